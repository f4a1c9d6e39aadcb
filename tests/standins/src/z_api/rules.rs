//! Z-API's calls as documented: <https://developer.z-api.io>. Everything undocumented is refused, so that a client that
//! goes beyond the documentation is found out.

use serde_json::{Value, json};

use super::{Account, Instance};
use crate::http::Request;

type Refusal = (u16, String);

/// The instance and the call that a path names.
pub(super) fn parts(path: &str) -> (Option<String>, String) {
    let path = path.split('?').next().unwrap_or_default();
    match path.trim_start_matches('/').splitn(5, '/').collect::<Vec<_>>().as_slice() {
        ["instances", id, "token", _, call] => (Some((*id).to_owned()), (*call).to_owned()),
        _ => (None, path.to_owned()),
    }
}

/// The status and the body that a request is answered with; registering changes the account.
pub(super) fn answer(account: &mut Account, request: &Request) -> (u16, String) {
    answered(account, request).unwrap_or_else(|refusal| refusal)
}

fn answered(account: &mut Account, request: &Request) -> Result<(u16, String), Refusal> {
    request.header("host").ok_or((400, String::new()))?;
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path == "/instances" {
        return fleet(account, request, query);
    }
    if let Some(expected) = &account.client_token {
        match request.header("client-token") {
            None => return Err((403, said("null not allowed"))),
            Some(given) if given != expected => return Err((403, said(&format!("Client-Token {given} not allowed")))),
            Some(_) => {}
        }
    }
    let no_route =
        (404, json!({"error": "NOT_FOUND", "message": "Unable to find matching target resource"}).to_string());
    let ["instances", id, "token", token, call] = *path.trim_start_matches('/').splitn(5, '/').collect::<Vec<_>>()
    else {
        return Err(no_route);
    };
    if !query.is_empty() {
        return Err(no_route);
    }
    let instance = account.instances.get_mut(id).ok_or((404, said("Instance not found")))?;
    if token != instance.token {
        return Err((401, said(&format!("token {token} is not that of the instance"))));
    }
    match call {
        "status" => get(request).map(|()| (200, status(instance))),
        "me" => get(request).map(|()| (200, profile(id, instance).to_string())),
        "qr-code/image" => get(request).map(|()| (200, qr_code(instance))),
        "update-webhook-disconnected" => put(request).map(|url| answer_put(&mut instance.disconnected_url, url)),
        "update-webhook-connected" => put(request).map(|url| answer_put(&mut instance.connected_url, url)),
        _ => Err(no_route),
    }
}

fn get(request: &Request) -> Result<(), Refusal> {
    if request.method != "GET" {
        return Err((405, String::new()));
    }
    // No documented GET has a body.
    if request.body.is_empty() { Ok(()) } else { Err((400, said("a body on a GET"))) }
}

/// The address to register.
fn put(request: &Request) -> Result<String, Refusal> {
    if request.method != "PUT" {
        return Err((405, String::new()));
    }
    if request.content_type != "application/json" {
        return Err((415, String::new()));
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| (400, said("not JSON")))?;
    let only = body.as_object().filter(|body| body.len() == 1).and_then(|body| body.get("value")?.as_str());
    let url = only.ok_or((400, said("the body is not {\"value\": …}")))?;
    if url.starts_with("https://") { Ok(url.to_owned()) } else { Err((400, said("the address must be HTTPS"))) }
}

fn answer_put(registered: &mut Value, url: String) -> (u16, String) {
    *registered = url.into();
    // The answer is not documented; this one was seen.
    (200, json!({"value": true}).to_string())
}

fn status(instance: &Instance) -> String {
    json!({"connected": instance.connected, "error": instance.error, "smartphoneConnected": true}).to_string()
}

fn profile(id: &str, instance: &Instance) -> Value {
    json!({
        "id": id, "token": instance.token, "name": instance.name, "due": instance.due,
        "paymentStatus": instance.payment, "connected": instance.connected,
        "disconnectedCallbackUrl": instance.disconnected_url, "connectedCallbackUrl": instance.connected_url,
        "receivedCallbackUrl": instance.received_url,
    })
}

/// A PNG of 29 by 29 pixels that looks like a QR code, in base64.
const QR_CODE: &str = "iVBORw0KGgoAAAANSUhEUgAAAB0AAAAdAQAAAAB+6FqiAAAAOElEQVR42mNgjLq2ncF0bXY8A+O54vkMrv///2dwtTxXzpAJkmAESViCJP6DJJ6DJLJBEltpJQEAdvlIOOu1bHsAAAAASUVORK5CYII=";

fn qr_code(instance: &Instance) -> String {
    let image = json!({"value": format!("data:image/png;base64,{QR_CODE}")});
    if instance.connected == json!(true) { json!({"connected": true}).to_string() } else { image.to_string() }
}

/// The partner's list of instances, in pages from 1 on.
fn fleet(account: &Account, request: &Request, query: &str) -> Result<(u16, String), Refusal> {
    get(request)?;
    let expected = account.partner_token.as_ref().map(|token| format!("Bearer {token}"));
    if expected.is_none() || request.header("authorization") != expected.as_deref() {
        return Err((401, said("not a partner")));
    }
    let number = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.parse::<usize>().ok().filter(|number| *number > 0)
    };
    let (page, size) = number("page").zip(number("pageSize")).ok_or((400, said("page and pageSize")))?;
    let content: Vec<Value> = account
        .instances
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|(id, instance)| {
            let mut entry = profile(id, instance);
            entry["whatsappConnected"] = entry["connected"].take();
            entry
        })
        .collect();
    let total = account.instances.len();
    let body =
        json!({"total": total, "totalPage": total.div_ceil(size), "pageSize": size, "page": page, "content": content});
    Ok((201, body.to_string()))
}

fn said(error: &str) -> String {
    json!({ "error": error }).to_string()
}
