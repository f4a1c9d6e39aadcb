//! `[server]`: how webhooks are accepted.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;
use jiff::Timestamp;
use linedown_sinks::http::is_loopback;
use linedown_sinks::{Path, Problem, Section};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::reader::Reader;
use super::tls::{self, Tls};
use crate::link::Purpose;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Connections at the same time: the default and the bounds.
const MAX_CONNECTIONS: usize = 1024;
const CONNECTIONS: RangeInclusive<usize> = 1..=100_000;

/// Bytes of a webhook's body: the default and the bounds. Gateways send a few hundred.
const MAX_BODY: usize = 64 * 1024;
const BODY: RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

/// What linedown answers at: the first parts of the paths that are appended to the public address.
const PATHS: [&str; 3] = ["hooks", Purpose::Acknowledge.path(), Purpose::Reconnect.path()];

/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) without its final zero byte.
const LONGEST_SOCKET: usize = 107;

/// How webhooks are accepted.
#[derive(Clone)]
pub struct Server {
    /// The address to listen on, unless systemd hands over a socket.
    pub listen: SocketAddr,
    /// The address under which gateways and links in messages reach linedown, without a final slash.
    pub public_url: Option<String>,
    /// The certificate, if linedown itself speaks TLS rather than a proxy before it.
    pub tls: Option<Tls>,
    /// The Unix socket of the local API, if not the default one.
    pub api: Option<PathBuf>,
    /// Most connections at the same time.
    pub max_connections: usize,
    /// Most bytes of a webhook's body.
    pub max_body: usize,
    /// The proxies that are trusted to say where a request came from.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the connections of these proxies begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// The networks that metrics are for; none for everyone.
    pub metrics_for: Option<Vec<IpNet>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    listen: Option<String>,
    public_url: Option<String>,
    tls: Option<Value>,
    api: Option<PathBuf>,
    max_connections: Option<usize>,
    max_body: Option<usize>,
    trusted_proxies: Vec<String>,
    proxy_protocol: bool,
    metrics_for: Option<Vec<String>>,
}

pub(super) fn read(value: &Value, path: &Path, now: Timestamp, reader: &mut Reader<'_>) -> Server {
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = reader.table(value, path, "[server]").and_then(|_| section.read()).unwrap_or_default();
    let port = value.get("listen").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    for problem in section.problems.iter_mut().filter(|problem| problem.path == path.join("listen")) {
        problem.hint = port.map(|port| format!("write `listen = \"127.0.0.1:{port}\"`"));
    }
    let max_connections = keys.max_connections.unwrap_or(MAX_CONNECTIONS);
    let max_connections = section.within(&["max_connections"], max_connections, &CONNECTIONS);
    let max_body = section.within(&["max_body"], keys.max_body.unwrap_or(MAX_BODY), &BODY);
    reader.finish(section);
    let listen = keys.listen.map_or(Some(DEFAULT_LISTEN), |text| read_address(&text, &path.join("listen"), reader));
    let public_url = keys.public_url.and_then(|text| public_url(&text, &path.join("public_url"), reader));
    let wants_tls = keys.tls.is_some();
    let tls = keys.tls.and_then(|value| tls::read(&value, &path.join("tls"), public_url.as_deref(), now, reader));
    if !wants_tls && let Some(listen) = listen {
        warn_if_open(listen, path, reader);
    }
    if keys.proxy_protocol && keys.trusted_proxies.is_empty() {
        let problem = Problem::error(path.join("proxy_protocol"), "no proxy is trusted: `trusted_proxies` is missing");
        let problem = problem.expected("the addresses that your proxy connects from, such as [\"10.0.0.0/8\"]");
        reader.note(problem.unless("trusted_proxies"));
    }
    let trusted_proxies = networks(&keys.trusted_proxies, &path.join("trusted_proxies"), reader);
    warn_of_everybody(&keys.trusted_proxies, &path.join("trusted_proxies"), reader);
    Server {
        listen: listen.unwrap_or(DEFAULT_LISTEN),
        public_url,
        tls,
        api: keys.api.and_then(|socket| socket_path(socket, &path.join("api"), reader)),
        max_connections,
        max_body,
        trusted_proxies,
        proxy_protocol: keys.proxy_protocol,
        metrics_for: keys.metrics_for.map(|texts| networks(&texts, &path.join("metrics_for"), reader)),
    }
}

/// Warns of an address that webhooks reach through a network without TLS.
fn warn_if_open(listen: SocketAddr, path: &Path, reader: &mut Reader<'_>) {
    if !listen.ip().is_loopback() {
        let what = format!("{listen} is open to the network without TLS: others can read the secrets in transit");
        let hint = "set `tls`, or listen on 127.0.0.1 behind a proxy that does TLS";
        reader.note(Problem::warning(path.join("listen"), what).hint(hint).unless("tls"));
    }
}

fn socket_path(socket: PathBuf, path: &Path, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let socket = usable(socket);
    let noted = |what| reader.note(Problem::error(path.clone(), what).expected("such as \"/run/linedown/api.sock\""));
    socket.map_err(noted).ok()
}

/// The path if a socket can have it, else what is wrong with it.
fn usable(socket: PathBuf) -> Result<PathBuf, String> {
    if !socket.is_absolute() {
        return Err("not the path of a socket: it is not absolute".into());
    }
    let bytes = socket.as_os_str().as_encoded_bytes();
    if bytes.ends_with(b"/") {
        return Err("this is a folder, not a socket".into());
    }
    if bytes.len() > LONGEST_SOCKET {
        return Err(format!("a path of {} bytes; a socket's has at most {LONGEST_SOCKET}", bytes.len()));
    }
    Ok(socket)
}

/// Reads only the local API's socket, from a table that may have other mistakes.
pub(super) fn api(value: &Value) -> Option<PathBuf> {
    let socket = value.get("api").and_then(Value::as_str)?;
    usable(socket.into()).ok()
}

fn networks(texts: &[String], path: &Path, reader: &mut Reader<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        if let Some(network) = network(text) {
            networks.push(network);
        } else {
            let problem = Problem::error(path.join(number), format!("{text:?} is neither an address nor a network"));
            reader.note(problem.expected("such as \"127.0.0.1\" or \"10.0.0.0/8\""));
        }
    }
    networks
}

/// A single address is a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok())
}

/// Warns of trusted proxies that are every address there is.
fn warn_of_everybody(texts: &[String], path: &Path, reader: &mut Reader<'_>) {
    let networks = texts.iter().enumerate().filter_map(|(number, text)| Some((number, network(text)?)));
    for (number, _) in networks.filter(|(_, network)| network.prefix_len() == 0) {
        let what = "everybody is trusted to say which address they come from, so guesses at the secret are not limited";
        let problem = Problem::warning(path.join(number), what);
        reader.note(problem.hint("name only the addresses that your proxy connects from"));
    }
}

fn read_address(text: &str, path: &Path, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let why = |_| {
        let problem = Problem::error(path.clone(), format!("{text:?} is not an address to listen on"))
            .expected("an IP address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"");
        if text.parse::<std::net::IpAddr>().is_ok() {
            problem.hint("the port is missing")
        } else if let Some(port) = text.strip_prefix(':').or(text.strip_prefix("*:")) {
            problem.hint(format!("write \"0.0.0.0:{port}\" to listen on every address"))
        } else if let Some(port) = text.strip_prefix("localhost:").or(text.parse::<u16>().is_ok().then_some(text)) {
            problem.hint(format!("write \"127.0.0.1:{port}\""))
        } else if text.starts_with('/') || text.starts_with("unix:") {
            problem.hint("webhooks come in by TCP; behind a proxy on this machine, use a port of 127.0.0.1")
        } else {
            problem
        }
    };
    text.parse().map_err(why).map_err(|problem| reader.note(problem)).ok()
}

/// Reads the public address. Its problems never repeat it: it may contain a password or the secret of a webhook.
fn public_url(text: &str, path: &Path, reader: &mut Reader<'_>) -> Option<String> {
    let url = public(text).map_err(|problem| reader.note(Problem { path: path.clone(), ..problem })).ok()?;
    if url.path() != "/" {
        let what = "it has a path, but linedown itself answers at /hooks/, /ack/ and /reconnect/ only";
        let hint = "leave the path out, or let a proxy take it off each request";
        reader.note(Problem::warning(path.clone(), what).hint(hint));
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// The caller adds the place to the problem.
fn public(text: &str) -> Result<Url, Problem> {
    let problem = |what: &str| Problem::error(Path::default(), what).expected("such as \"https://alerts.example.com\"");
    let url = Url::parse(text).map_err(|error| {
        let problem = problem(&format!("not an address: {error}"));
        if text.contains("://") { problem } else { problem.hint("begin it with `https://`") }
    })?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(problem("gateways post to https:// addresses only")),
        _ => return Err(problem("not an https:// address")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("a public address has no user name and no password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("the address must not have a `?` or `#`: paths are appended to it"));
    }
    let segments = url.path_segments().into_iter().flatten();
    if let Some(own) = segments.clone().find(|segment| PATHS.contains(segment)) {
        let problem = problem(&format!("linedown appends /{own}/ by itself, so nothing would ever arrive"));
        return Err(problem.hint("write only what comes before it"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        for (text, url) in [
            ("https://a.example", Some("https://a.example/")),
            ("https://a.example/", Some("https://a.example/")),
            ("https://a.example:8443/x/", Some("https://a.example:8443/x/")),
            ("https://a.example/hooks/z-api/s3cret", None),
            ("https://a.example/hooks", None),
            ("https://a.example/x/ack/", None),
            ("https://a.example/hooks-of-ours", Some("https://a.example/hooks-of-ours")),
            ("http://localhost:8080", Some("http://localhost:8080/")),
            ("http://127.0.0.2:8080", Some("http://127.0.0.2:8080/")),
            ("http://a.example", None),
            ("a.example", None),
            ("ftp://a.example", None),
            ("https://u:p@a.example", None),
            ("https://a.example/?x", None),
        ] {
            assert_eq!(public(text).ok().as_ref().map(Url::as_str), url, "{text}");
        }
    }
}
