//! Reload: a new config replaces the former one. Also loads a certificate whose files were replaced.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Daemon;
use super::settings::{asking, hook_settings, troubles};
use crate::config::{Config, Server, Tls};
use crate::store::LastReminders;
use crate::{clock, delivery, systemd};

/// The settings that only a restart can change, as of the start.
pub(super) struct Begun {
    listen: SocketAddr,
    max_connections: usize,
    api: Option<PathBuf>,
    tls: bool,
    store: PathBuf,
}

impl Begun {
    pub(super) fn with(config: &Config) -> Self {
        let Server { listen, max_connections, api, tls, .. } = config.server.clone();
        Self { listen, max_connections, api, tls: tls.is_some(), store: config.store.path.clone() }
    }
}

impl Daemon {
    /// Reads the config again and, if it is good, puts it in force. Afterwards warns of outages that nobody can end or
    /// is reminded of any more.
    pub(super) async fn reload(&mut self, load: impl Fn() -> Result<Config, String>) {
        systemd::reloading();
        let swapped = self.swap(load).await;
        let succeeded = swapped.is_some();
        if let Some(last_reminders) = swapped {
            self.hold_again().await;
            self.keep_up().await;
            self.warn_of_what_nobody_can_end().await;
            self.warn_of_last_reminders(last_reminders).await;
        }
        self.reception.metrics.reloaded(succeeded);
        self.reload_failed.store(!succeeded, Ordering::Relaxed);
        systemd::ready();
    }

    /// Does everything that can fail, then swaps the config. Work in progress goes on undisturbed. Returns the
    /// reminders that are the last ones under the new config, or nothing if the reload failed.
    async fn swap(&mut self, load: impl Fn() -> Result<Config, String>) -> Option<LastReminders> {
        let prepared = match load() {
            Err(report) => Err(report),
            Ok(config) => match (delivery::build(&config.routing), asking(&config), self.reception.store.owing().await)
            {
                (Ok(built), Ok(asking), Ok(owing)) => Ok((config, built, asking, owing)),
                (Err(error), ..) => Err(with_cause(&error)),
                (_, Err(error), _) => Err(with_cause(&error)),
                (.., Err(error)) => Err(with_cause(&error)),
            },
        };
        let (config, built, (gateways, beats), owing) = match prepared {
            Ok(prepared) => prepared,
            Err(report) => {
                tracing::error!(name: "not-reloaded", "the config was not reloaded; the former one stays in force\n{report}");
                return None;
            }
        };
        self.warn_of_what_needs_a_restart(&config);
        // After the swap, one of these reminders may be sent, and so be gone, at any moment.
        let last_reminders = self.last_reminders(&config.routing).await;
        self.hook.settings.store(Arc::new(hook_settings(&config)));
        self.reception.routing.store(Arc::clone(&config.routing));
        self.hook.gateways.store(Arc::new(gateways));
        self.reception.delivery.assign(built, &owing);
        let (sinks, rules) = (config.routing.sinks.len(), config.routing.rules.len());
        self.config = config;
        self.take_effect();
        self.troubles.send_replace(troubles(&self.config));
        self.send_orders();
        self.begin_heartbeat(beats);
        tracing::info!(name: "reloaded", sinks, rules, "config reloaded");
        Some(last_reminders)
    }

    /// Compares with the start, so that changes by an earlier reload are named again.
    fn warn_of_what_needs_a_restart(&self, config: &Config) {
        let (begun, now) = (&self.begun, Begun::with(config));
        for (key, changed) in [
            ("server.listen", begun.listen != now.listen),
            ("server.max_connections", begun.max_connections != now.max_connections),
            ("server.api", begun.api != now.api),
            ("server.tls", begun.tls != now.tls),
            ("store.url", begun.store != now.store),
        ] {
            if changed {
                tracing::warn!(key, "this change takes effect after a restart");
            }
        }
    }

    /// Puts the config's certificate in force: new connections get the one it names, or the one that ACME obtained for
    /// it.
    pub(super) fn take_effect(&self) {
        self.reception.metrics.configured(clock::now());
        let acme = match &self.config.server.tls {
            Some(Tls::Acme(acme)) => Some(acme.clone()),
            _ => None,
        };
        self.acme.send_replace(acme);
        self.install_certificate();
    }

    /// Loads the certificate if its files were replaced; all other changes wait for a reload. If it cannot be loaded,
    /// that is tried again: whoever replaces it, or edits the config, may not be finished.
    pub(super) fn renew(&mut self, load: impl Fn() -> Result<Config, String>) {
        let Some(Tls::Files(loaded)) = &mut self.config.server.tls else { return };
        let now = loaded.files.again();
        if now == loaded.files {
            self.not_renewed = None;
            return;
        }
        match load().map(|config| config.server.tls) {
            Ok(Some(Tls::Files(renewed))) if renewed.files.are(&loaded.files) => {
                *loaded = renewed;
                self.install_certificate();
                tracing::info!(name: "certificate-renewed", "the certificate was replaced in its files; new connections are served with it");
            }
            // By now the config names other files, which wait for a reload.
            Ok(_) => loaded.files = now,
            Err(report) if self.not_renewed.as_ref() != Some(&report) => {
                tracing::warn!(name: "certificate-not-renewed", "the certificate was replaced in its files, but the new one cannot be used; the former one is still served\n{report}");
                self.not_renewed = Some(report);
            }
            Err(_) => {}
        }
    }

    fn install_certificate(&self) {
        let Some(Tls::Files(loaded)) = &self.config.server.tls else { return };
        if let (Some(served), Some(certificate)) = (&self.reception.certificate, loaded.certificate.clone()) {
            served.install(certificate);
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
