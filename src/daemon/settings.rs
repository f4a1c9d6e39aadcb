//! Derives from the config what each part of the daemon needs.

use std::collections::BTreeMap;

use linedown_sinks::BuildError;

use crate::config::Config;
use crate::gateway::asking::Gateways;
use crate::heartbeat::Beats;
use crate::server::hook::{HookSettings, HookSource};
use crate::source;
use crate::trouble;

/// What the watcher looks at. A trouble with the certificate is named after the host that gateways post to.
pub(super) fn troubles(config: &Config) -> trouble::Scope {
    let url = config.server.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let host = url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "webhooks".to_owned());
    trouble::Scope { troubles: config.troubles, host }
}

/// Sets up the HTTP clients: those that ask gateways about lines, and the heartbeat's.
pub(super) fn asking(config: &Config) -> Result<(Gateways, Option<Beats>), BuildError> {
    let gateways = config.sources.iter().filter_map(|(name, source)| Some((name, source.gateway.as_ref()?)));
    Ok((Gateways::new(gateways)?, config.heartbeat.as_ref().map(Beats::new).transpose()?))
}

/// The settings by which webhooks are accepted.
pub(super) fn hook_settings(config: &Config) -> HookSettings {
    let sources = config.sources.iter().filter_map(|(name, configured)| {
        // Never missing: the config was checked against the same table of kinds.
        let kind = source::kind(&configured.kind)?;
        Some((name.clone(), HookSource::new(kind, &configured.secrets)))
    });
    HookSettings {
        sources: sources.collect::<BTreeMap<_, _>>(),
        max_body: config.server.max_body,
        trusted_proxies: config.server.trusted_proxies.clone(),
        proxy_protocol: config.server.proxy_protocol,
        metrics_for: config.server.metrics_for.clone(),
    }
}
