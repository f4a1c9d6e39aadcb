//! Fetches the secrets that a section names, and says what is wrong with those that cannot be had.

use std::collections::BTreeMap;
use std::io;

use secrecy::SecretString;

use super::path::Path;
use super::{Problem, Section};
use crate::secret::{Found, Secret, SecretError};

impl Section<'_> {
    /// Fetches a secret. Notes why if it cannot be had, and warns if every user of this machine can read it.
    pub fn secret(&mut self, key: &str, secret: &Secret) -> Option<SecretString> {
        self.secret_at(&Path(vec![key.into()]), secret)
    }

    /// Like [`Section::secret`], for a secret anywhere below this section.
    pub fn secret_at(&mut self, place: &Path, secret: &Secret) -> Option<SecretString> {
        let path = self.path.extend(place);
        let found = self.fetch(&path, secret)?;
        self.problems.extend(found.warning(&path));
        if matches!(secret, Secret::Plain(_)) {
            self.written_out.push(path);
        }
        Some(found.value)
    }

    /// Fetches the secrets of the table at `key`, which may hold at most `most`. `entry` makes each into what it is for,
    /// from its place, its name and its value; the value is none if it cannot be had, which is noted by then. Returns
    /// none if any entry cannot be used.
    pub(crate) fn secrets<T>(
        &mut self,
        key: &str,
        table: &BTreeMap<String, Secret>,
        (most, nouns): (usize, &str),
        entry: impl Fn(Path, &str, Option<SecretString>) -> Result<Option<T>, Problem>,
    ) -> Option<Vec<T>> {
        if table.len() > most {
            self.error(key, format!("{} {nouns}", table.len())).expected = Some(format!("at most {most}"));
            return None;
        }
        let mut entries = Vec::new();
        for (name, secret) in table {
            let place = Path(vec![key.into(), name.as_str().into()]);
            let value = self.secret_at(&place, secret);
            entries.push(entry(self.path.extend(&place), name, value).unwrap_or_else(|problem| {
                self.note(problem);
                None
            }));
        }
        entries.into_iter().collect()
    }

    /// Fetches a value that is configured like a secret but is none, such as a certificate. Notes why if it cannot be
    /// had.
    pub fn no_secret(&mut self, key: &str, place: &Secret) -> Option<SecretString> {
        self.fetch(&self.path.join(key), place).map(|found| found.value)
    }

    fn fetch(&mut self, path: &Path, secret: &Secret) -> Option<Found> {
        match self.environment.secrets.get(secret) {
            Ok(found) => Some(found),
            // Only systemd provides credentials: to a person who runs `linedown check` by hand, this is no mistake.
            Err(error @ SecretError::NoCredentials(_)) => {
                self.lacks_credentials = true;
                let problem = Problem::warning(path.clone(), error.to_string());
                self.note(problem.hint(format!("to check it as well: {AS_THE_SERVICE}")));
                Some(Found { value: SecretString::from(""), public: None })
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                self.note(Problem::error(path.clone(), format!("{error}{why}")).hint(advice(secret, &error)));
                None
            }
        }
    }
}

/// The command that checks with the credentials that systemd gives the service.
const AS_THE_SERVICE: &str = "sudo env CREDENTIALS_DIRECTORY=/etc/linedown/credentials linedown check";

/// What to do about a secret that cannot be had.
fn advice(secret: &Secret, error: &SecretError) -> String {
    let advice = match (secret, error) {
        (_, SecretError::Name(_)) => "write the name of a file in /etc/linedown/credentials, without the folder",
        (_, SecretError::NoFile) => "write the full path of the file that holds it",
        (Secret::Credential(_), _) => {
            return format!("write it to /etc/linedown/credentials, check it ({AS_THE_SERVICE}), and restart linedown");
        }
        (_, SecretError::File { source, .. }) => unread(source),
        (Secret::File(_), SecretError::Empty) => "is it the right file?",
        (Secret::Env(_), _) => "for the service, set it with `Environment=` in `systemctl edit linedown`",
        _ => "write the secret itself, or where it is: { file = … }, { env = … } or { credential = … }",
    };
    advice.to_owned()
}

/// What to do about a file or a folder that cannot be read.
pub fn unread(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "write the full path of one that exists",
        io::ErrorKind::PermissionDenied => {
            "let the user who runs linedown read it; for the service, make the secret a credential"
        }
        io::ErrorKind::IsADirectory => "that is a folder: name a file",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder: correct the path",
        _ => "is it the right file?",
    }
}
