//! What the parts of the daemon are given of a config.

use std::collections::BTreeMap;

use linedown_sinks::BuildError;

use crate::config::Config;
use crate::gateway::counter::Counter;
use crate::heartbeat::Beats;
use crate::server::hook::{HookSettings, HookSource};
use crate::source;
use crate::trouble;

/// What of its own troubles is told. Its certificate is called by the host that gateways post to.
pub(super) fn troubles(config: &Config) -> trouble::Orders {
    let url = config.server.public_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
    let host = url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "webhooks".to_owned());
    trouble::Orders { troubles: config.troubles, host }
}

/// What asks others over HTTP: about lines, and whether somebody hears that all is well.
pub(super) fn asking(config: &Config) -> Result<(Counter, Option<Beats>), BuildError> {
    let gateways = config.sources.iter().filter_map(|(name, source)| Some((name, source.gateway.as_ref()?)));
    Ok((Counter::new(gateways)?, config.heartbeat.as_ref().map(Beats::new).transpose()?))
}

/// What webhooks are taken by.
pub(super) fn hook_settings(config: &Config) -> HookSettings {
    let sources = config.sources.iter().filter_map(|(name, configured)| {
        // The config was checked against the same table of kinds.
        let kind = source::kind(&configured.kind)?;
        Some((name.clone(), HookSource::new(kind, &configured.secret)))
    });
    HookSettings {
        sources: sources.collect::<BTreeMap<_, _>>(),
        max_body: config.server.max_body,
        trusted_proxies: config.server.trusted_proxies.clone(),
        proxy_protocol: config.server.proxy_protocol,
    }
}
