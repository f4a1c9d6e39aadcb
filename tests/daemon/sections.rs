//! Sections of the config. Each ends inside its table, so that a test can add keys to it.

use linedown_standins::{Slack, Smtp};

/// Quick retries, to add to a sink's section.
pub(crate) const QUICK: &str = "retry = { first = \"50ms\", max = \"200ms\", give_up_after = \"1h\" }\n";

/// A sink whose lines [`crate::daemon::Daemon::told`] reads.
pub(crate) const CONSOLE: &str = "[sinks.console]\ntype = \"stdout\"\nformat = \"json\"\n";

/// An email sink to one address, through a relay without encryption.
pub(crate) fn email(name: &str, relay: &Smtp) -> String {
    email_to(name, relay, &["ops@example.com"])
}

/// An email sink to some addresses, through a relay without encryption.
pub(crate) fn email_to(name: &str, relay: &Smtp, to: &[&str]) -> String {
    let server = relay.url();
    format!(
        "[sinks.{name}]\ntype = \"email\"\nserver = \"{server}\"\ntls = \"none\"\nfrom = \"linedown@example.com\"\nto = {to:?}\n"
    )
}

/// A sink that posts to this Slack.
pub(crate) fn slack(name: &str, slack: &Slack) -> String {
    chat(name, &slack.url())
}

/// A Slack sink that posts to this address.
pub(crate) fn chat(name: &str, url: &str) -> String {
    format!("[sinks.{name}]\ntype = \"slack\"\nwebhook_url = \"{url}\"\n")
}

/// A rule that tells these sinks of every incident, at once.
pub(crate) fn tell(sinks: &[&str]) -> String {
    format!("[[rules]]\nname = \"all\"\nnotify = {sinks:?}\ngroup_interval = \"0s\"\n")
}
