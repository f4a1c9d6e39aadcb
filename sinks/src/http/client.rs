//! The client: requests with time limits, to one address.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, Entry, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::http::request::Builder;
use hyper::http::response::Parts;
use hyper::http::uri::Scheme;
use hyper_util::client::legacy;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::login;
use super::connector::{Connector, Dialler, Way};
use super::error::Error;
use super::is_loopback;
use crate::{BuildError, tls};

/// How linedown names itself.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("linedown/", env!("CARGO_PKG_VERSION")));

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(90);

/// The limits of a client.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Time limit for the TCP connection and TLS.
    pub connect: Duration,
    /// Time limit from sending the request to the end of the answer.
    pub answer: Duration,
    /// The most bytes of one answer, with all its heads, as they come over the network.
    pub most: usize,
    /// The most idle connections kept for the next request.
    pub kept: usize,
}

/// A client that follows no redirects.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    proxies: Option<Arc<Matcher>>,
    answer: Duration,
}

impl Client {
    /// For one address. It trusts the system's authorities, and reaches this machine's own addresses without a proxy.
    pub fn new(address: &Url, manners: Manners) -> Result<Self, BuildError> {
        let proxies = (!is_loopback(address)).then(|| Arc::new(Matcher::from_env()));
        let authorities = tls::authorities();
        if authorities.is_empty() && address.scheme() == "https" {
            return Err(BuildError("this system trusts no authority: install ca-certificates".to_owned()));
        }
        Ok(Self::by(Way::tcp(manners.connect), proxies, tls::trusting(authorities)?, manners))
    }

    /// Without a proxy, and trusts this authority alone.
    pub fn trusting(authority: CertificateDer<'static>, manners: Manners) -> Result<Self, BuildError> {
        let mut authorities = RootCertStore::empty();
        authorities.add(authority).map_err(|error| tls::impossible(&error))?;
        Ok(Self::by(Way::tcp(manners.connect), None, tls::trusting(authorities)?, manners))
    }

    /// Over a Unix socket. The hosts of addresses have no meaning, and none is encrypted.
    pub fn at_socket(socket: PathBuf, manners: Manners) -> Result<Self, BuildError> {
        Ok(Self::by(Way::Unix(socket), None, tls::trusting(RootCertStore::empty())?, manners))
    }

    fn by(way: Way, proxies: Option<Arc<Matcher>>, mut tls: ClientConfig, manners: Manners) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let dialler = Dialler { way, tls: Arc::new(tls).into(), most: manners.most };
        let connector = Connector { dialler, proxies: proxies.clone(), limit: manners.connect };
        let mut http = legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(manners.kept);
        Self { http: http.build(connector), proxies, answer: manners.answer }
    }

    /// Sends a request and waits for the head of its answer. The time limit is also that of the answer's body.
    pub async fn send(&self, request: Builder, body: impl Into<Bytes>) -> Result<Response, Error> {
        let until = Instant::now() + self.answer;
        let mut request = request.body(Full::new(body.into())).map_err(|error| Error::Broken(error.into()))?;
        // For encrypted requests, the connection itself is made with the proxy's login.
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(proxy) = self.proxies.as_ref().and_then(|proxies| proxies.intercept(request.uri()))
            && let (Some(login), Entry::Vacant(header)) =
                (proxy.basic_auth(), request.headers_mut().entry(PROXY_AUTHORIZATION))
        {
            header.insert(login.clone());
        }
        let answer = timeout_at(until, self.http.request(request)).await.map_err(|_| Error::Late)?;
        let (parts, body) = answer.map_err(Error::of)?.into_parts();
        Ok(Response { parts, body, until })
    }
}

/// A request to an address, with the login that the address contains (RFC 7617).
pub fn request(method: Method, to: &Url) -> Builder {
    let mut bare = to.clone();
    // Never fails: an address with a host may have a login.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    let request = Builder::new().method(method).uri(bare.as_str()).header(USER_AGENT, AGENT);
    let request = request.header(ACCEPT, HeaderValue::from_static("*/*"));
    let (user, password) = login(to);
    if user.is_empty() && password.is_empty() {
        return request;
    }
    match HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))) {
        Ok(mut login) => {
            login.set_sensitive(true);
            request.header(AUTHORIZATION, login)
        }
        // Never happens: this is ASCII.
        Err(_) => request,
    }
}

/// The head of an answer; the body is yet to come.
pub struct Response {
    /// The head.
    pub parts: Parts,
    body: Incoming,
    until: Instant,
}

impl Response {
    /// Reads at most `largest` bytes of the body, and says whether that is all of it.
    pub async fn read(self, largest: usize) -> Result<(Vec<u8>, bool), Error> {
        timeout_at(self.until, read(self.body, largest)).await.map_err(|_| Error::Late)?
    }
}

async fn read(mut body: Incoming, largest: usize) -> Result<(Vec<u8>, bool), Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Broken(error.into()))?;
        let Some(data) = frame.data_ref() else { continue };
        let read = data.len().min(largest - bytes.len());
        bytes.extend_from_slice(&data[..read]);
        if read < data.len() {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, copy};
    use std::net::TcpStream;
    use std::sync::mpsc;
    use std::thread;

    use linedown_standins::{Certificates, Port, Scripted, Slack};
    use rustls::pki_types::pem::PemObject;

    use super::super::{LARGEST, SINK};
    use super::*;

    fn authority(certificates: &Certificates) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(certificates.ca()).unwrap()
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// A client that takes this way to wherever it is sent.
    fn by_proxy(port: &Port, authorities: RootCertStore) -> Client {
        let proxy = format!("http://ops:hunter2@127.0.0.1:{}", port.number());
        let proxies = Arc::new(Matcher::builder().all(proxy).build());
        Client::by(Way::tcp(SINK.connect), Some(proxies), tls::trusting(authorities).unwrap(), SINK)
    }

    /// What comes before the empty line.
    fn head(stream: &mut impl Read) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        String::from_utf8(head).unwrap()
    }

    async fn status(client: &Client, to: &Url) -> u16 {
        client.send(request(Method::POST, to), "{}").await.unwrap().parts.status.as_u16()
    }

    #[tokio::test]
    async fn an_unencrypted_request_is_given_to_the_proxy_with_both_logins() {
        let (tell, told) = mpsc::channel();
        let port = Port::listen(move |mut stream| {
            tell.send(head(&mut stream)).unwrap();
            stream.write_all(b"HTTP/1.1 204 None\r\n\r\n").unwrap();
        });
        let client = by_proxy(&port, RootCertStore::empty());
        assert_eq!(status(&client, &url("http://ana:secret@receiver.example/a?b#c")).await, 204);
        let head = told.recv().unwrap();
        let agent = format!("user-agent: {}\r\n", AGENT.to_str().unwrap());
        for part in [
            "POST http://receiver.example/a?b HTTP/1.1\r\n",
            "\r\nhost: receiver.example\r\n",
            "\r\nproxy-authorization: Basic b3BzOmh1bnRlcjI=\r\n",
            "\r\nauthorization: Basic YW5hOnNlY3JldA==\r\n",
            &agent,
        ] {
            assert!(head.contains(part), "{part}: {head}");
        }
    }

    #[tokio::test]
    async fn an_encrypted_request_goes_through_the_proxy_unseen() {
        let certificates = Certificates::new();
        let receiver = Slack::over_tls(&certificates).without_rules();
        let (to, (tell, told)) = (receiver.port(), mpsc::channel());
        let port = Port::listen(move |mut stream| {
            tell.send(head(&mut stream)).unwrap();
            let mut there = TcpStream::connect(("127.0.0.1", to)).unwrap();
            stream.write_all(b"HTTP/1.1 200 Go\r\n\r\n").unwrap();
            let (mut back, mut from) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
            thread::spawn(move || copy(&mut from, &mut back));
            thread::spawn(move || copy(&mut stream, &mut there));
        });
        let mut authorities = RootCertStore::empty();
        authorities.add(authority(&certificates)).unwrap();
        let client = by_proxy(&port, authorities);
        let address = url(&receiver.url().replace(&format!("127.0.0.1:{to}"), "localhost"));
        // The second request takes the same tunnel.
        for _ in 0..2 {
            assert_eq!(status(&client, &address).await, 202);
        }
        let head = told.recv().unwrap();
        assert!(head.starts_with("CONNECT localhost:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: Basic b3BzOmh1bnRlcjI=\r\n"), "{head}");
        assert_eq!((port.connections(), receiver.wait_for(2).len()), (1, 2));
    }

    #[tokio::test]
    async fn a_proxy_that_wants_another_login_is_named_as_the_trouble() {
        let port = Port::listen(|mut stream| {
            head(&mut stream);
            stream.write_all(b"HTTP/1.1 407 Who?\r\n\r\n").unwrap();
        });
        let client = by_proxy(&port, RootCertStore::empty());
        let sent = client.send(request(Method::GET, &url("https://localhost/")), "").await;
        let error = sent.err().unwrap();
        assert!(error.is_unreachable() && error.innermost().contains("proxy authorization required"), "{error:?}");
    }

    #[tokio::test]
    async fn answers_are_counted_one_by_one() {
        let certificates = Certificates::new();
        let receiver = Slack::over_tls(&certificates).without_rules();
        let client = Client::trusting(authority(&certificates), SINK).unwrap();
        let to = url(&receiver.url());
        for _ in 0..2 * SINK.most / LARGEST {
            receiver.script(Scripted::answer(200, &"x".repeat(LARGEST)));
            let response = client.send(request(Method::POST, &to), "{}").await.unwrap();
            assert_eq!(response.read(LARGEST).await.unwrap(), (vec![b'x'; LARGEST], true));
        }
        assert_eq!(receiver.connections(), 1);
        receiver.script(Scripted::interim());
        let error = client.send(request(Method::POST, &to), "{}").await.err().unwrap();
        assert!(error.is_endless(), "{error:?}");
    }
}
