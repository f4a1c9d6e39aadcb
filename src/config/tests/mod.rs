//! Configs as users write them, and the problems reported for them.

mod first_day;
mod gaps;
mod hostile;
mod layering;
mod mistakes;
mod overrides;
mod pieces;
mod reach;
mod secrets;
mod tls;
mod whereabouts;
mod whole;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use linedown_sinks::{BuildError, Limits, Notification, Section, Settings, Severity, SinkKind, Texts};
use serde::Deserialize;

use super::*;

/// What every config needs, so that a test shows only what it is about.
const BASE: &str = r#"
sources.z-api = { type = "z-api", secret = { file = "SECRET" } }
sinks.console = { type = "stdout" }
[[rules]]
name = "base"
notify = ["console"]
"#;

const SOURCES: &[&str] = &["z-api", "waha"];

/// Kinds of sinks that accept anything, and one that has keys.
const TOYS: &[SinkKind] = &[
    SinkKind { name: "stdout", check: |_, _| Some(Arc::new(Toy)) },
    SinkKind { name: "email", check: |_, _| Some(Arc::new(Toy)) },
    SinkKind { name: "slack", check: |_, _| Some(Arc::new(Toy)) },
    SinkKind { name: "toy", check: check_toy },
];

struct Toy;

impl Settings for Toy {
    fn preview(&self, _: &Notification) -> String {
        String::new()
    }

    fn expects_of_label(&self, key: &str, value: &str) -> Option<&'static str> {
        (key == "owner" && !value.contains('@')).then_some("an address")
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn build(&self) -> Result<Arc<dyn linedown_sinks::Sink>, BuildError> {
        Err(BuildError("a toy".into()))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ToyKeys {
    url: Option<String>,
    port: Option<u16>,
    loud: bool,
    to: Vec<String>,
    password: Option<linedown_sinks::Secret>,
}

fn check_toy(section: &mut Section<'_>, _: Texts) -> Option<Arc<dyn Settings>> {
    let keys: ToyKeys = section.read()?;
    if let Some(password) = &keys.password {
        section.secret("password", password)?;
    }
    if keys.port == Some(0) {
        section.error("port", "no port").expected = Some("1 to 65535".into());
    }
    Some(Arc::new(Toy))
}

/// A folder with a config in it.
struct Folder {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
    kinds: Vec<SinkKind>,
}

impl Folder {
    fn empty() -> Self {
        // Everybody may enter it, so that its files are as open as their modes are.
        let root = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { root, variables: Vec::new(), kinds: TOYS.to_vec() }
    }

    /// Uses the text as the main file, and puts what else is needed into `conf.d`.
    fn with(text: &str) -> Self {
        let folder = Self::empty().write("l.toml", text).write("secret", "0123456789abcdef0123");
        let base = BASE.replace("SECRET", &folder.path("secret").to_string_lossy());
        folder.write("conf.d/base.toml", &base)
    }

    /// Writes a file that only its owner can read.
    fn write(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.mode(name, 0o600)
    }

    fn mode(self, name: &str, mode: u32) -> Self {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Uses these kinds of sinks instead of the toys.
    fn of_kinds(self, kinds: &[SinkKind]) -> Self {
        Self { kinds: kinds.to_vec(), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn load(&self) -> Loaded {
        self.load_as(&self.path("l.toml"), None)
    }

    fn load_as(&self, main: &FilePath, credentials: Option<PathBuf>) -> Loaded {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let process = Process { variables: self.variables.clone(), secrets: Secrets { credentials }, now };
        load(main, &self.kinds, SOURCES, &process)
    }

    fn config(&self) -> Config {
        let loaded = self.load();
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.report.render(false)))
    }

    /// Each problem as `1:9 what` or `warning 1:9 what`, with the file's name where it is not the main file.
    fn problems(&self) -> Vec<(String, String)> {
        let folder = format!("{}/", self.root.path().display());
        let shown = |row: &Row| {
            let severity = if row.severity == Severity::Warning { "warning " } else { "" };
            let file = row.file.replace(&folder, "");
            let file = if file == "l.toml" { String::new() } else { format!("{file}:") };
            let at = row.line.zip(row.column).map(|(line, column)| format!("{line}:{column}")).unwrap_or_default();
            format!("{severity}{file}{at} {}", row.what).replace(&folder, "")
        };
        let report = self.load().report;
        for row in report.rows() {
            assert!(row.expected.is_some() || row.hint.is_some(), "it leaves one alone: {row:?}");
        }
        report
            .rows()
            .iter()
            .map(|row| (shown(row), row.hint.clone().unwrap_or_default().replace(&folder, "")))
            .collect()
    }
}
