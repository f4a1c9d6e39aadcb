//! What the daemon remembers across restarts: its account at the authority, the certificate with its key, and when it
//! last asked. All of it is in one file beside the store that only its owner can read, and that is always replaced as a
//! whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::schedule::Asked;
use crate::certificate::Certificate;
use crate::config::Acme;

/// Most bytes read of the file. A chain and two keys have a few kilobytes.
const LARGEST: u64 = 1024 * 1024;

/// The content of the file.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) account: Option<Account>,
    pub(super) asked: Option<For<Asked>>,
    pub(super) issued: Option<For<Issued>>,
}

/// An account at an authority.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) directory: String,
    pub(super) contact: Option<String>,
    pub(super) credentials: AccountCredentials,
}

impl Account {
    /// A copy of the credentials for the library, which takes them by value and does not let us clone them.
    pub(super) fn credentials(&self) -> Result<AccountCredentials, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(&self.credentials)?)
    }
}

/// Something that holds for a certificate for certain names from a certain authority.
#[derive(Serialize, Deserialize)]
pub(super) struct For<T> {
    directory: String,
    names: Vec<String>,
    what: T,
}

impl<T> For<T> {
    /// For a certificate for the names and the authority in `acme`.
    pub(super) fn new(acme: &Acme, what: T) -> Self {
        Self { directory: acme.directory.clone(), names: acme.names.clone(), what }
    }

    /// Returns it if it is for the names and the authority that are wanted.
    pub(super) fn of(&self, acme: &Acme) -> Option<&T> {
        (self.directory == acme.directory && self.names == acme.names).then_some(&self.what)
    }

    /// Returns it whatever it is for.
    pub(super) fn any(&self) -> &T {
        &self.what
    }

    /// Returns it whatever it is for.
    pub(super) fn any_mut(&mut self) -> &mut T {
        &mut self.what
    }
}

/// A certificate chain and its key, in PEM, as issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Issued {
    /// Parses it for serving. The error says why it cannot be used.
    pub(super) fn certificate(&self) -> Result<Certificate, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let chain = chain.map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|error| error.to_string())?;
        Certificate::new(chain, key).map_err(|error| error.to_string())
    }
}

/// The path of the file that belongs to this store.
pub(super) fn path(store: &Path) -> PathBuf {
    store.with_extension("acme.json")
}

impl Kept {
    /// Reads the file. One that cannot be read counts as empty: all of its content can be obtained again.
    pub(super) fn read(path: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        let why = match read {
            Ok(_) => match serde_json::from_str(&text) {
                Ok(kept) => return kept,
                Err(error) => format!("it is damaged: {error}"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(file = %path.display(), why, "cannot read the saved certificate; requesting a new one");
        Self::default()
    }

    /// Replaces the file and syncs it to disk.
    pub(super) async fn save(&self, path: &Path) -> io::Result<()> {
        let (path, text) = (path.to_owned(), serde_json::to_vec_pretty(self)?);
        tokio::task::spawn_blocking(move || replace(&path, &text)).await?
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::from_millis;

    fn acme(names: &[&str]) -> Acme {
        let names = names.iter().map(ToString::to_string).collect();
        Acme { names, contact: None, directory: "https://ca.example/".into() }
    }

    #[tokio::test]
    async fn what_is_kept_is_read_again_and_only_we_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("linedown.db"));
        assert!(path.ends_with("linedown.acme.json"));
        let issued = Issued { chain: "chain".into(), key: "key".into() };
        let (one, other) = (acme(&["a.example"]), acme(&["b.example"]));
        let mut kept = Kept::read(&path);
        assert!(kept.issued.is_none() && kept.asked.is_none() && kept.account.is_none());
        kept.issued = Some(For::new(&one, issued.clone()));
        let asked = Asked::now(None, from_millis(7), 0.0);
        kept.asked = Some(For::new(&one, asked.clone()));
        for _ in 0..2 {
            kept.save(&path).await.unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

        let kept = Kept::read(&path);
        assert_eq!(kept.asked.unwrap().of(&one), Some(&asked));
        let kept = kept.issued.unwrap();
        assert!(kept.of(&one) == Some(&issued) && kept.of(&other).is_none() && *kept.any() == issued);
        let elsewhere = Acme { directory: "https://other.example/".into(), ..one };
        assert!(kept.of(&elsewhere).is_none());
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.acme.json");
        for text in ["", "{", "[]", r#"{"account":7}"#] {
            fs::write(&path, text).unwrap();
            assert!(Kept::read(&path).account.is_none(), "{text}");
        }
    }
}
