//! The gateway's own API, over HTTPS: the webhooks registered there, and the state of each line as it says.

mod audit;
mod commands;
mod watch;

use linedown_standins::{Certificates, ZApi};

use crate::daemon::{Daemon, SECRET, eventually};
use crate::sections::{CONSOLE, tell};

/// The account's security token.
const CLIENT_TOKEN: &str = "0canary-account";
/// The partner's token.
const PARTNER_TOKEN: &str = "0canary-partner";
/// The address under which an instance's webhooks are to be registered.
fn ours(instance: &str) -> String {
    format!("https://alerts.example.com/hooks/z-api/{SECRET}/{instance}")
}

/// A gateway over HTTPS with some instances, and a daemon that is not running and whose config knows them.
struct Place {
    gateway: ZApi,
    daemon: Daemon,
}

fn token(instance: &str) -> String {
    format!("0canary-token-{instance}")
}

fn place(instances: &[&str]) -> Place {
    let certificates = Certificates::new();
    let gateway = ZApi::over_tls(&certificates).with_client_token(CLIENT_TOKEN);
    for id in instances {
        gateway.add(id, &token(id));
    }
    let mut daemon = Daemon::prepare(&sections(&gateway, instances, ""));
    daemon.trust(certificates);
    Place { gateway, daemon }
}

fn sections(gateway: &ZApi, instances: &[&str], more: &str) -> String {
    let lines = instances.iter().fold(String::new(), |lines, id| {
        lines + &format!("[instances.{id}]\nname = \"Loja {id}\"\ntoken = \"{}\"\n", token(id))
    });
    format!(
        "[server]\npublic_url = \"https://alerts.example.com\"\n[sources.z-api]\napi = \"{}\"\nclient_token = \"{CLIENT_TOKEN}\"\n{more}{lines}{CONSOLE}{}",
        gateway.url(),
        tell(&["console"])
    )
}

/// Waits until an instance was asked about `more` more times.
fn wait_for_questions(gateway: &ZApi, id: &str, more: usize) {
    let asked = || gateway.calls().iter().filter(|call| call.instance.as_deref() == Some(id)).count();
    let before = asked();
    eventually("the next questions", || (asked() >= before + more).then_some(()));
}
