//! Obtains a certificate from an authority that speaks ACME (RFC 8555), and renews it in time. Meanwhile the present
//! certificate is still served.

mod authority;
mod kept;
mod order;
mod schedule;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use instant_acme::NewAccount;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::certificate::{Certificate, Served};
use crate::clock;
use crate::config::Acme;
use authority::Authority;
use kept::{Account, For, Issued, Kept};
use order::{Failure, order};
use schedule::{Asked, due};

/// How long one attempt to obtain a certificate may take altogether.
const PATIENCE: Duration = Duration::from_mins(5);
/// Longest sleep before the wall clock is read again: the clock may be set, or the machine may sleep.
const LOOK: Duration = Duration::from_mins(10);

/// The task that obtains and renews the certificate.
pub(crate) struct Renewal {
    /// The certificate to obtain; none if the config takes it from elsewhere.
    wanted: watch::Receiver<Option<Acme>>,
    served: Arc<Served>,
    /// The file that `kept` is written to.
    path: PathBuf,
    kept: Kept,
    /// The last issued certificate, ready to serve.
    certificate: Option<Certificate>,
    /// Whether an attempt is in progress.
    asking: bool,
}

impl Renewal {
    /// Immediately serves the certificate that was kept beside this store.
    pub(crate) fn new(wanted: watch::Receiver<Option<Acme>>, served: Arc<Served>, store: &Path) -> Self {
        let path = kept::path(store);
        let kept = Kept::read(&path);
        let certificate = kept.issued.as_ref().and_then(|issued| issued.any().certificate().ok());
        let renewal = Self { wanted, served, path, kept, certificate, asking: false };
        renewal.serve();
        renewal.say_when();
        renewal
    }

    /// Runs until it is told to stop, or the config's sender is gone.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.changed() => {}
            () = self.renew() => {}
        }
        if let Some(asked) = self.kept.asked.as_mut().filter(|_| self.asking) {
            asked.any_mut().broken_off();
            self.save().await;
        }
    }

    async fn renew(&mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let before = wanted.clone();
            let now = clock::now();
            let wait = if let Some(acme) = &wanted {
                self.serve();
                clock::between(now, self.due(acme, now))
            } else {
                self.served.lacks(None);
                LOOK
            };
            tokio::select! {
                () = sleep(wait.min(LOOK)) => {
                    if let Some(acme) = wanted.filter(|_| wait <= LOOK) {
                        self.ask(&acme).await;
                    }
                }
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let is_changed = *self.wanted.borrow() != before;
                    if let Some(asked) = &mut self.kept.asked {
                        asked.any_mut().reloaded(is_changed);
                    }
                }
            }
        }
    }

    /// Serves the kept certificate, unless a reload has switched to another source of certificates.
    fn serve(&self) {
        // The lock is held meanwhile, so that after such a switch the other certificate is installed last.
        let wanted = self.wanted.borrow();
        if let (Some(_), Some(certificate)) = (&*wanted, &self.certificate) {
            self.served.install(certificate.clone());
        }
    }

    /// Notes for readiness when the authority will be asked. After a restart that may be later, if attempts had failed.
    fn say_when(&self) {
        if let Some(acme) = &*self.wanted.borrow() {
            let now = clock::now();
            let due = self.due(acme, now);
            let when = if due > now { format!("at {due:.0}") } else { "now".to_owned() };
            self.served.lacks(Some(format!("linedown asks {} for one {when}", acme.directory)));
        }
    }

    fn due(&self, acme: &Acme, now: Timestamp) -> Timestamp {
        let fits = self.kept.issued.as_ref().is_some_and(|issued| issued.of(acme).is_some());
        let certificate = self.certificate.as_ref().filter(|_| fits).and_then(|certificate| certificate.validity);
        due(certificate, self.asked(acme), now)
    }

    fn asked(&self, acme: &Acme) -> Option<&Asked> {
        self.kept.asked.as_ref().and_then(|asked| asked.of(acme))
    }

    async fn ask(&mut self, acme: &Acme) {
        let mut asked = Asked::now(self.asked(acme), clock::now(), fastrand::f64());
        self.kept.asked = Some(For::new(acme, asked.clone()));
        self.asking = true;
        self.save().await;
        let (result, hint) = match Authority::new(&acme.directory) {
            Ok(authority) => {
                let obtained = timeout(PATIENCE, self.obtain(acme, &authority)).await;
                (obtained.unwrap_or(Err(Failure::Slow(PATIENCE))), authority.wait())
            }
            Err(error) => (Err(error.into()), None),
        };
        self.served.challenge(HashMap::new());
        let failure = match result {
            Ok((issued, certificate)) => {
                if let Some(validity) = certificate.validity {
                    asked.succeeded(validity);
                }
                self.certificate = Some(certificate);
                self.kept.issued = Some(For::new(acme, issued));
                self.serve();
                None
            }
            Err(failure) => {
                asked.failed(hint);
                Some(failure)
            }
        };
        self.kept.asked = Some(For::new(acme, asked));
        self.asking = false;
        self.save().await;
        self.tell(acme, failure);
    }

    /// Obtains one certificate, and creates the account first if there is none.
    async fn obtain(&mut self, acme: &Acme, authority: &Authority) -> Result<(Issued, Certificate), Failure> {
        let account = self.account(acme, authority).await?;
        let issued = match order(&account, &acme.names, &self.served).await {
            Err(failure) if failure.is_about_the_account() => {
                self.kept.account = None;
                let account = self.account(acme, authority).await?;
                order(&account, &acme.names, &self.served).await?
            }
            ordered => ordered?,
        };
        let certificate = issued.certificate().map_err(Failure::Unusable)?;
        if certificate.validity.is_none() || !certificate.covers(&acme.names) {
            return Err(Failure::Unusable("it is not for these names".to_owned()));
        }
        Ok((issued, certificate))
    }

    async fn account(&mut self, acme: &Acme, authority: &Authority) -> Result<instant_acme::Account, Failure> {
        let builder = instant_acme::Account::builder_with_http(Box::new(authority.clone()));
        let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
        if let Some(kept) = self.kept.account.as_mut().filter(|kept| kept.directory == acme.directory) {
            let credentials = kept.credentials().map_err(instant_acme::Error::from)?;
            let account = builder.from_credentials(credentials).await?;
            if kept.contact != acme.contact {
                account.update_contacts(&contact).await?;
                kept.contact.clone_from(&acme.contact);
            }
            return Ok(account);
        }
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&new, acme.directory.clone(), None).await?;
        let (directory, contact) = (acme.directory.clone(), acme.contact.clone());
        self.kept.account = Some(Account { directory, contact, credentials });
        self.save().await;
        Ok(account)
    }

    /// Saves what is kept. If that fails, e.g. because the disk is full, the certificate is served all the same; only
    /// the authority is asked more often than necessary.
    async fn save(&self) {
        if let Err(error) = self.kept.save(&self.path).await {
            let file = self.path.display();
            tracing::error!(%file, error = %error, "cannot save the certificate; after a restart, linedown requests a new one");
        }
    }

    fn tell(&self, acme: &Acme, failure: Option<Failure>) {
        let (names, directory, again_at) = (acme.names.join(" "), &acme.directory, self.due(acme, clock::now()));
        let again_at = format!("{again_at:.0}");
        let until = self.certificate.as_ref().and_then(|certificate| certificate.validity);
        let until = until.map(|validity| validity.until.to_string()).unwrap_or_default();
        let Some(failure) = failure else {
            self.served.lacks(None);
            tracing::info!(name: "certificate-issued", names, directory, until, renewed_at = again_at, "a new certificate is served");
            return;
        };
        let (why, hint) = (failure.to_string(), failure.hint());
        self.served.lacks(Some(format!("{directory} issued none: {why}; {hint}")));
        if self.served.trouble(clock::now()).is_none() {
            tracing::warn!(name: "certificate-not-issued", names, directory, why, hint, again_at, until, "no new certificate; the one that is served is still valid");
        } else {
            tracing::error!(name: "certificate-not-issued", names, directory, why, hint, again_at, "no certificate, so webhooks cannot come in");
        }
    }
}
