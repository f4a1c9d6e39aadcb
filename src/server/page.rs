//! A small page for whoever follows a link in a message: for phones, and needing nothing from anywhere.

use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use warp::http::{HeaderValue, Response, StatusCode};

/// What a page says.
#[derive(Default)]
pub(super) struct Page<'p> {
    pub(super) status: StatusCode,
    pub(super) heading: &'p str,
    /// Text; nothing in it is HTML.
    pub(super) words: &'p str,
    /// What stands below, in HTML of our own making.
    pub(super) below: &'p str,
    /// After how many seconds which address is opened.
    pub(super) next: Option<(u64, &'p str)>,
}

impl Page<'_> {
    pub(super) fn answer(&self) -> Response<String> {
        let Self { status, heading, words, below, next } = self;
        let next = next.map(|(after, to)| format!("<meta http-equiv=\"refresh\" content=\"{after};url={to}\">"));
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">{}\
             <title>{heading}</title><style>\
             body{{font:1.2em/1.5 system-ui,sans-serif;max-width:30em;margin:3em auto;padding:0 1em;color-scheme:light dark}}\
             button{{font:inherit;padding:.8em 1.6em;border:0;border-radius:.5em;background:#0a7d38;color:#fff}}\
             img{{width:100%;max-width:20em;background:#fff;padding:1em;box-sizing:border-box;border-radius:.5em}}\
             </style><h1>{heading}</h1><p>{}</p>{below}</html>",
            next.unwrap_or_default(),
            escaped(words)
        );
        let mut response = Response::new(html);
        *response.status_mut() = *status;
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
            ),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
