//! HTTP client for the gateway's API. Each call is bounded in time and in the size of its answer.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Builder;
use linedown_sinks::http::{self, Answer, Manners};
use linedown_sinks::{BuildError, Hidden};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Access, Failure, FailureKind, LineAccess, Page, Profile, QrCode, Standing, Webhook, answer};
use crate::clock;

/// Time limit of the TCP connection and TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit of one call, from the connection to the end of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// Most bytes of an answer.
const LARGEST: usize = 64 * 1024;
/// Most bytes of an answer with an image or a page of the fleet.
const LARGEST_IMAGE: usize = 1024 * 1024;
/// The header with the account's security token.
const CLIENT_TOKEN: &str = "client-token";

/// The client for one source's API.
pub struct Client {
    http: http::Client,
    access: Arc<Access>,
}

impl Client {
    /// Opens no connection; later it keeps at most `kept` open.
    pub fn new(access: Arc<Access>, kept: usize) -> Result<Self, BuildError> {
        let manners = Manners { connect: CONNECT, answer: PATIENCE, most: http::HEADS + LARGEST_IMAGE, kept };
        Ok(Self { http: http::Client::new(&access.api, manners)?, access })
    }

    /// The API that it asks, and the lines that it can ask about.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Asks for the state of a line.
    pub async fn status(&self, line: &LineAccess) -> Result<Standing, Failure> {
        answer::standing(&self.ask(line, Method::GET, "status", None, LARGEST).await?, &self.hidden(&line.token))
    }

    /// Asks what the API says about an instance.
    pub async fn profile(&self, line: &LineAccess) -> Result<Profile, Failure> {
        answer::profile(&self.ask(line, Method::GET, "me", None, LARGEST).await?, &self.hidden(&line.token))
    }

    /// Registers the address that an instance posts a webhook to.
    pub async fn register(&self, line: &LineAccess, webhook: Webhook, address: &SecretString) -> Result<(), Failure> {
        let body = serde_json::json!({ "value": address.expose_secret() }).to_string();
        // The body of the answer is not documented; only its status counts.
        self.ask(line, Method::PUT, webhook.call(), Some(body), LARGEST).await.map(drop)
    }

    /// Asks for the QR code that reconnects a line.
    pub async fn qr_code(&self, line: &LineAccess) -> Result<QrCode, Failure> {
        answer::qr_code(&self.ask(line, Method::GET, "qr-code/image", None, LARGEST_IMAGE).await?)
    }

    /// Asks for a page of a partner's fleet. Pages count from 1. Needs the partner's token.
    pub async fn page(&self, page: usize, size: usize) -> Result<Page, Failure> {
        let mut url = self.below(&["instances"]);
        url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("pageSize", &size.to_string());
        let request = http::request(Method::GET, &url);
        let none = SecretString::default();
        let token = self.access.partner_token.as_ref().unwrap_or(&none);
        let request = match secret_header(&format!("Bearer {}", token.expose_secret())) {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let hidden = self.hidden(token);
        answer::page(&self.send(request, String::new(), &hidden, LARGEST_IMAGE).await?, &hidden)
    }

    async fn ask(
        &self,
        line: &LineAccess,
        method: Method,
        call: &str,
        body: Option<String>,
        largest: usize,
    ) -> Result<String, Failure> {
        let token = line.token.expose_secret();
        let parts = ["instances", &line.instance, "token", token].into_iter().chain(call.split('/'));
        let mut request = http::request(method, &self.below(&parts.collect::<Vec<_>>()));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        self.send(request, body.unwrap_or_default(), &self.hidden(&line.token), largest).await
    }

    async fn send(
        &self,
        mut request: Builder,
        body: String,
        hidden: &Hidden,
        largest: usize,
    ) -> Result<String, Failure> {
        let client_token = self.client_token();
        if let Some(value) = secret_header(client_token).filter(|_| !client_token.is_empty()) {
            request = request.header(CLIENT_TOKEN, value);
        }
        let response = self.http.send(request, body).await.map_err(|error| Failure::of_request(&error))?;
        let answer = Answer::read(response, largest, clock::now()).await;
        let answer = answer.map_err(|error| Failure::of_request(&error))?;
        match Failure::of_answer(&answer, hidden) {
            Some(failure) => Err(failure),
            None if !answer.whole => Err(Failure::new(FailureKind::TooLarge)),
            None => Ok(answer.body),
        }
    }

    fn client_token(&self) -> &str {
        self.access.client_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default()
    }

    /// The secrets of a call with this token, which its answer may repeat.
    fn hidden(&self, token: &SecretString) -> Hidden {
        Hidden::new([token.expose_secret(), self.client_token()])
    }

    /// An address below the API's. Each part is one path segment, whatever it contains.
    fn below(&self, parts: &[&str]) -> Url {
        let mut url = self.access.api.clone();
        // Never fails: the config was checked for an address that others can be appended to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}

/// A header value that is not logged. None if no header can hold it, which the check of the config rules out.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
