//! `webhook`: posts each notification as JSON, signed as in Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! ```toml
//! [sinks.helpdesk]
//! type = "webhook"
//! url = { credential = "webhook-url" }         # whoever has it can post
//! secret = { credential = "webhook-secret" }   # whsec_…; a list while a secret is replaced; without: unsigned
//! headers = { Authorization = { credential = "webhook-login" } }
//! insecure = false                             # true lets it be http:// beyond this machine
//! ```

mod answer;
mod headers;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::hidden::{Hidden, value_and_parts};
use crate::http::{self, Address, Answer, Client, Purpose};
use crate::stdout::object;
use crate::{
    BuildError, Failure, Limits, Notification, Receipt, Rotation, Secret, Section, Settings, Sink, SinkKind, Texts,
};
use signature::Signature;

/// This sink's entry in [`crate::KINDS`].
pub(crate) const KIND: SinkKind = SinkKind { name: "webhook", check };

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    url: Option<Secret>,
    secret: Rotation,
    headers: BTreeMap<String, Secret>,
    insecure: bool,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    let address = address(section, &keys);
    let signature = Signature::check(section, &keys.secret);
    let headers = headers::check(section, &keys.headers);
    // A credential is empty if this process has none; the section has noted that.
    let target = if section.lacks_credentials {
        None
    } else {
        Some(Target { address: address?, signature: signature?, headers: headers? })
    };
    Some(Arc::new(Checked { target, texts }))
}

fn address(section: &mut Section<'_>, keys: &Keys) -> Option<Address> {
    let Some(secret) = &keys.url else {
        section.missing("url", "the address to which notifications are posted");
        return None;
    };
    let text = section.secret("url", secret)?;
    Address::check(section, "url", text.expose_secret(), keys.insecure, &PURPOSE)
}

const PURPOSE: Purpose = Purpose { what: "the address of a webhook", lets: "post", example: "`https://…`" };

/// Where notifications are posted, and what proves that they come from here.
#[derive(Clone)]
struct Target {
    address: Address,
    signature: Signature,
    headers: HeaderMap,
}

struct Checked {
    /// None if a credential is not available to this process.
    target: Option<Target>,
    texts: Texts,
}

impl Settings for Checked {
    fn preview(&self, notification: &Notification) -> String {
        object(&self.texts, notification)
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        let target = self.target.clone().ok_or_else(|| BuildError::lacks("a secret of this sink"))?;
        let client = Client::new(&target.address.0, http::SINK)?;
        let values = target.headers.values().filter_map(|value| value.to_str().ok());
        let hidden = target.address.hidden(values.flat_map(value_and_parts));
        Ok(Arc::new(Webhook { client, target, hidden, texts: self.texts.clone() }))
    }
}

struct Webhook {
    client: Client,
    target: Target,
    hidden: Hidden,
    texts: Texts,
}

#[async_trait]
impl Sink for Webhook {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let (id, at) = (notification.key(), notification.at.as_second());
        let body = object(&self.texts, notification);
        let mut request = http::request(Method::POST, &self.target.address.0);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.target.headers.clone());
        }
        request = request.header("webhook-id", &id).header("webhook-timestamp", at);
        if let Some(signature) = self.target.signature.of(&id, at, &body) {
            request = request.header("webhook-signature", signature);
        }
        let sent = self.client.send(request, body).await;
        let response = sent.map_err(|error| http::failure(answer::WHO, &error))?;
        let status = response.parts.status;
        match Answer::read(response, http::LARGEST, notification.at).await {
            Ok(answer) => answer::outcome(&Answer { body: self.hidden.out_of(&answer.body), ..answer }),
            // The status alone says that the notification was taken; to repeat it would tell somebody twice.
            Err(_) if status.is_success() => Ok(Receipt(status.as_u16().to_string())),
            Err(error) => Err(http::failure(answer::WHO, &error)),
        }
    }
}
