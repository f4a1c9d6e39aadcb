//! `exec`: runs a program for each notification, in any language. It reads the notification as JSON from its standard
//! input, and its exit code says how it went.
//!
//! ```toml
//! [sinks.pager]
//! type = "exec"
//! command = ["/usr/local/bin/page-me", "--loud"]   # no shell; the full path
//! environment = { TOKEN = { credential = "pager-token" } }
//! ```

mod exit;
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::hidden::{Hidden, value_and_parts};
use crate::stdout::object;
use crate::{
    BuildError, EXCERPT, Failure, Form, Limits, Notification, Path, Problem, Receipt, Secret, Section, Settings, Sink,
    SinkKind, Texts, one_line, unread,
};
use program::Program;

/// This sink's entry in [`crate::KINDS`].
pub(crate) const KIND: SinkKind = SinkKind { name: "exec", check };

/// The most variables of `environment`.
const MOST: usize = 32;
/// How the names of linedown's own variables begin.
const PREFIX: &str = "LINEDOWN_";
/// The most bytes of `LINEDOWN_TEXT`. Linux refuses a variable of more than 128 KiB.
const TEXT: usize = 32 * 1024;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    command: Option<Vec<String>>,
    environment: BTreeMap<String, Secret>,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    let command = check_command(section, keys.command);
    let environment = section.secrets("environment", &keys.environment, (MOST, "variables"), variable);
    // A credential is empty if this process has none; the section has noted that.
    let program =
        if section.lacks_credentials { None } else { Some(Program { command: command?, environment: environment? }) };
    Some(Arc::new(Checked { program, texts }))
}

fn check_command(section: &mut Section<'_>, command: Option<Vec<String>>) -> Option<Vec<String>> {
    let Some(command) = command else {
        section.missing("command", "name the program: command = [\"/usr/local/bin/page-me\"]");
        return None;
    };
    let place = |index: usize| section.path().join("command").join(index);
    let Some(program) = command.first() else {
        section.error("command", "it names no program").expected = Some("`[\"/usr/local/bin/page-me\"]`".into());
        return None;
    };
    if let Some(index) = command.iter().position(|word| word.contains('\0')) {
        let problem = Problem::error(place(index), "no argument can contain this character");
        section.problems.push(problem.hint("remove `\\u0000`"));
        return None;
    }
    if !program.starts_with('/') {
        let problem = Problem::error(place(0), "this is not the full path of a program");
        section.problems.push(problem.expected("`/usr/local/bin/page-me`, say: it is not looked up in PATH"));
        return None;
    }
    let warning = why_not(FilePath::new(program)).map(|(what, hint)| Problem::warning(place(0), what).hint(hint));
    section.problems.extend(warning);
    Some(command)
}

/// Why a program cannot be run, and what to do about it; none if nothing speaks against it.
fn why_not(program: &FilePath) -> Option<(String, String)> {
    let shown = program.display();
    match fs::metadata(program) {
        Err(error) => Some((format!("cannot find {shown}: {error}"), unread(&error).to_owned())),
        Ok(file) if !file.is_file() => Some((format!("{shown} is not a program"), "name a file".to_owned())),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => {
            Some((format!("{shown} is not executable"), format!("chmod a+x {shown}")))
        }
        Ok(_) => None,
    }
}

fn variable(path: Path, name: &str, value: Option<SecretString>) -> Result<Option<(String, SecretString)>, Problem> {
    if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return Err(Problem::error(path, "this cannot be the name of a variable").expected("letters, digits and `_`"));
    }
    if name.starts_with(PREFIX) {
        let what = format!("names that begin with {PREFIX} are linedown's own");
        return Err(Problem::error(path, what).hint("choose another name"));
    }
    let Some(value) = value else { return Ok(None) };
    if value.expose_secret().contains('\0') {
        return Err(Problem::error(path, "this cannot be the value of a variable").expected("text without NUL"));
    }
    Ok(Some((name.to_owned(), value)))
}

struct Checked {
    /// None if a credential is not available to this process.
    program: Option<Program>,
    texts: Texts,
}

impl Settings for Checked {
    fn preview(&self, notification: &Notification) -> String {
        object(&self.texts, notification)
    }

    fn limits(&self) -> Limits {
        Limits { in_flight: 1, ..Limits::default() }
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        let program = self.program.clone().ok_or_else(|| BuildError::lacks("a secret of this sink"))?;
        let values = program.environment.iter().flat_map(|(_, value)| value_and_parts(value.expose_secret()));
        let hidden = Hidden::new(values);
        Ok(Arc::new(Exec { program, hidden, texts: self.texts.clone() }))
    }
}

struct Exec {
    program: Program,
    hidden: Hidden,
    texts: Texts,
}

#[async_trait]
impl Sink for Exec {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let input = object(&self.texts, notification) + "\n";
        let ended = self.program.run(&variables(&self.texts, notification), input.as_bytes()).await;
        exit::outcome(&ended, &self.hidden)
    }
}

/// The variables that describe a notification, for programs that read no JSON.
fn variables(texts: &Texts, notification: &Notification) -> [(&'static str, String); 8] {
    let incident = &notification.incident;
    let [title, mut text] = texts.render(notification, [Form::Title, Form::Text]);
    text.truncate(text.floor_char_boundary(TEXT));
    [
        ("LINEDOWN_KEY", notification.key()),
        ("LINEDOWN_NOTIFICATION", notification.id.to_string()),
        ("LINEDOWN_KIND", notification.kind.as_str().to_owned()),
        ("LINEDOWN_ATTEMPT", notification.attempt.to_string()),
        ("LINEDOWN_INCIDENT", incident.id.to_string()),
        ("LINEDOWN_INSTANCE", one_line(&incident.instance.id, EXCERPT)),
        ("LINEDOWN_TITLE", one_line(&title, EXCERPT)),
        ("LINEDOWN_TEXT", text.replace('\0', "")),
    ]
}
