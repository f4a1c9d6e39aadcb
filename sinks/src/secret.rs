//! Secrets: where they are looked up, and a type that cannot print itself.

mod rotation;

use std::fmt;
use std::fs::File;
use std::path::{Path as FilePath, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

use crate::config::{Path, Problem};
use crate::file::{is_public, read_bounded, text};

pub use rotation::Rotation;

/// A secret as written in the config: `"plain"`, `{ file = … }`, `{ env = … }` or `{ credential = … }`.
#[derive(Clone, Debug)]
pub enum Secret {
    /// Written out in the config.
    Plain(SecretString),
    /// The content of a file, without its final line break.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// The name under which the unit loads the folder of credentials (`LoadCredential=linedown:…`).
const FOLDER_OF_CREDENTIALS: &str = "linedown";
/// The largest secret read, in bytes.
const LARGEST: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    file: Option<PathBuf>,
    env: Option<String>,
    credential: Option<String>,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::Plain(text.into()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                let place = Place::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match (place.file, place.env, place.credential) {
                    (Some(file), None, None) => Ok(Secret::File(file)),
                    (None, Some(env), None) => Ok(Secret::Env(env)),
                    (None, None, Some(credential)) => Ok(Secret::Credential(credential)),
                    (None, None, None) => Err(de::Error::custom(
                        "this does not say where the secret is, expected one of `file`, `env`, `credential`",
                    )),
                    _ => Err(de::Error::custom(
                        "more than one place for one secret, expected one of `file`, `env`, `credential`",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Looks secrets up. Reads files and environment variables; touches nothing else.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts credentials.
    pub credentials: Option<PathBuf>,
}

/// A secret that was looked up.
#[derive(Debug)]
pub struct Found {
    /// The secret.
    pub value: SecretString,
    /// The file that holds it, if every user of the machine can read that file. Never a credential: systemd guards
    /// those.
    pub public: Option<PathBuf>,
}

impl Found {
    /// The warning for a secret at `path` of the config whose file every user can read.
    pub fn warning(&self, path: &Path) -> Option<Problem> {
        let file = self.public.as_ref()?.display();
        let what = format!("the secret in {file} can be read by every user of this machine");
        let hint = format!("make it a credential, or {}", only_for_us(&file));
        Some(Problem::warning(path.join("file"), what).hint(hint))
    }
}

/// How to hide a file from others, and not from the service: its user, whom systemd makes up, is one of the others.
pub fn only_for_us(file: &impl fmt::Display) -> String {
    format!("let only root and a group of the service's read it (docs/service.md, Secrets): chmod 640 {file}")
}

/// Why a secret cannot be had. Names its place, never its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// systemd gave this process no credentials, or none that it can read.
    #[error("credential {0} is available only when systemd starts linedown")]
    NoCredentials(String),
    /// The secret is empty.
    #[error("it is empty")]
    Empty,
    /// The file's path is empty.
    #[error("no file is named")]
    NoFile,
    /// The credential's name is not a plain file name.
    #[error("{0} is not the name of a credential")]
    Name(String),
}

impl Secrets {
    /// Finds the credentials of this process in its environment.
    pub fn of_this_process() -> Self {
        // systemd sets the variable for commands of ExecReload= too, but does not let them read the folder.
        let forbidden = |folder: &PathBuf| {
            std::fs::read_dir(folder).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        };
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { credentials: folder.filter(|folder| !forbidden(folder)) }
    }

    /// Fetches a secret. Fails if it cannot be read or is empty.
    pub fn get(&self, secret: &Secret) -> Result<Found, SecretError> {
        let mut public = None;
        let value = match secret {
            Secret::Plain(value) => value.clone(),
            Secret::File(path) if path.as_os_str().is_empty() => return Err(SecretError::NoFile),
            Secret::File(path) => {
                let (value, is_public) = read(path)?;
                public = is_public.then(|| path.clone());
                value
            }
            Secret::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?.into(),
            Secret::Credential(name) => {
                if name.contains('/') || name.starts_with('.') || name.is_empty() {
                    return Err(SecretError::Name(name.clone()));
                }
                let folder = self.credentials.as_ref().ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                credential(folder, name)?
            }
        };
        if value.expose_secret().is_empty() { Err(SecretError::Empty) } else { Ok(Found { value, public }) }
    }
}

/// Reads a credential by its own name, or from the folder that systemd loads as a whole: with
/// `LoadCredential=linedown:FOLDER`, each file in the folder appears as `linedown_NAME`.
fn credential(folder: &FilePath, name: &str) -> Result<SecretString, SecretError> {
    let of_folder = folder.join(format!("{FOLDER_OF_CREDENTIALS}_{name}"));
    let own = folder.join(name);
    Ok(read(if !own.exists() && of_folder.exists() { &of_folder } else { &own })?.0)
}

/// Returns the content of a file, and whether it is a secret that every user of the machine can read.
fn read(path: &FilePath) -> Result<(SecretString, bool), SecretError> {
    let read = File::open(path).and_then(|file| {
        let is_public = is_public(path, &file.metadata()?);
        Ok((read_bounded(file, LARGEST, Vec::new()).and_then(text)?, is_public))
    });
    let (text, is_public) = read.map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((text.into(), is_public && may_be_secret(text)))
}

/// Whether a text can be a secret: one line, or a private key in PEM. Anything else is a file named by mistake, which
/// others may have to read, such as `/etc/passwd`; nobody should be told to hide it.
fn may_be_secret(text: &str) -> bool {
    !text.contains('\n') || text.contains("PRIVATE KEY-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Secret, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn the_four_forms_are_read() {
        assert!(matches!(parse(r#""x""#).unwrap(), Secret::Plain(_)));
        assert!(matches!(parse(r#"{"file":"/x"}"#).unwrap(), Secret::File(_)));
        assert!(matches!(parse(r#"{"env":"X"}"#).unwrap(), Secret::Env(_)));
        assert!(matches!(parse(r#"{"credential":"x"}"#).unwrap(), Secret::Credential(_)));
        assert!(parse(r#"{"file":"/x","env":"X"}"#).is_err());
        assert!(parse("{}").is_err());
        assert!(parse("7").is_err());
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert!(!format!("{:?}", parse(r#""hunter2""#).unwrap()).contains("hunter2"));
    }

    #[test]
    fn what_every_user_can_read_is_said_to_be() {
        use std::os::unix::fs::PermissionsExt;
        let folder = open_folder();
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        let path = closed.join("token");
        std::fs::write(&path, "s3cret").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for (folder_mode, mode, is_public) in [
            (0o755, 0o600, false),
            (0o755, 0o640, false),
            (0o755, 0o644, true),
            (0o711, 0o644, true),
            (0o700, 0o644, false),
            (0o750, 0o644, false),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(folder_mode)).unwrap();
            for path in [&path, &link] {
                let found = Secrets::default().get(&Secret::File(path.clone())).unwrap();
                assert_eq!(found.public.is_some(), is_public, "{folder_mode:o} {mode:o} {}", path.display());
            }
        }
    }

    /// A folder that everybody may enter, as those of a temporary folder of one's own may not be.
    fn open_folder() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn what_is_no_secret_is_not_to_be_hidden() {
        use std::os::unix::fs::PermissionsExt;
        let folder = open_folder();
        let path = folder.path().join("file");
        for (text, is_public) in [
            ("s3cret\r\n\r\n", true),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", true),
            ("root:x:0:0\ndaemon:x:1:1\n", false),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let found = Secrets::default().get(&Secret::File(path.clone())).unwrap();
            assert_eq!(found.public.is_some(), is_public, "{text}");
        }
    }

    #[test]
    fn what_is_larger_than_a_secret_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (most, more) = (folder.path().join("most"), folder.path().join("more"));
        std::fs::write(&most, "x".repeat(64 * 1024)).unwrap();
        std::fs::write(&more, "x".repeat(64 * 1024 + 1)).unwrap();
        let secrets = Secrets::default();
        assert_eq!(secrets.get(&Secret::File(most)).unwrap().value.expose_secret().len(), 64 * 1024);
        for path in [more, "/dev/zero".into()] {
            let Err(SecretError::File { source, .. }) = secrets.get(&Secret::File(path)) else { panic!() };
            assert_eq!(source.to_string(), "it is larger than 64 KiB");
        }
    }

    #[test]
    fn files_and_credentials_lose_their_final_line_break_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), " s3cret \n").unwrap();
        let secrets = Secrets { credentials: Some(folder.path().to_owned()) };
        for place in [Secret::File(folder.path().join("token")), Secret::Credential("token".into())] {
            assert_eq!(secrets.get(&place).unwrap().value.expose_secret(), " s3cret ");
        }
        assert!(matches!(secrets.get(&Secret::Credential("../token".into())), Err(SecretError::Name(_))));
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        assert!(matches!(secrets.get(&Secret::Credential("empty".into())), Err(SecretError::Empty)));
        std::fs::write(folder.path().join("linedown_of-folder"), "hunter2").unwrap();
        assert_eq!(secrets.get(&Secret::Credential("of-folder".into())).unwrap().value.expose_secret(), "hunter2");
        assert!(matches!(
            Secrets::default().get(&Secret::Credential("token".into())),
            Err(SecretError::NoCredentials(_))
        ));
    }
}
