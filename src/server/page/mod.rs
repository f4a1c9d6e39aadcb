//! The pages behind the links in messages: made for phones, in the language of the message, and without any external
//! resources.

mod english;
mod portuguese;

use linedown_sinks::Language;
use warp::http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use warp::http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::store::StoreError;

/// The message of a page. `line` is the line's name for people.
#[derive(Clone, Copy)]
pub(super) enum Saying<'s> {
    /// The link to reconnect a line is not ours, or no longer valid.
    NoLinkToReconnect,
    /// The link to acknowledge is not ours, or no longer valid.
    NoLinkToAcknowledge,
    /// The method is not one that a browser uses here.
    WrongMethod,
    /// The store does not answer.
    NotNow,
    /// Instructions, before the first code is shown.
    Prepare { line: &'s str },
    /// The code with this `number` out of `of`.
    Code { line: &'s str, number: u64, of: u64 },
    /// All codes were shown and nobody read one.
    RanOut { line: &'s str, of: u64 },
    /// All codes were shown, and the gateway does not say whether somebody read one.
    RanOutUnsure { line: &'s str, of: u64 },
    /// The line is connected.
    Connected { line: &'s str },
    /// The gateway gives no code.
    NoCode { line: &'s str },
    /// The line's token is not in the config any more.
    NoToken { line: &'s str },
    /// Asks whether the reader is on it.
    AreYouOnIt { line: &'s str, incident: i64 },
    /// The reader has acknowledged the incident.
    Yours { line: &'s str },
    /// Somebody else has acknowledged the incident.
    Taken { by: &'s str },
    /// The link's incident is over. It says nothing of the line's present state, which was not checked.
    Over { line: &'s str },
    /// It is over, and the line has a newer one.
    OverAndAgain { line: &'s str },
    /// The incident has been deleted.
    Forgotten,
}

impl Saying<'_> {
    /// Whether nothing is left to do for the reader.
    fn is_good(&self) -> bool {
        matches!(self, Self::Connected { .. } | Self::Yours { .. } | Self::Over { .. })
    }
}

/// A page's texts. They are plain text, not HTML.
struct Words {
    heading: &'static str,
    text: String,
    steps: Vec<String>,
    button: &'static str,
}

impl Words {
    fn new(heading: &'static str, text: impl Into<String>) -> Self {
        Self { heading, text: text.into(), steps: Vec::new(), button: "" }
    }

    fn button(self, button: &'static str) -> Self {
        Self { button, ..self }
    }
}

/// What pressing the button does.
pub(super) enum Press {
    /// Acknowledges the incident.
    Acknowledge,
    /// Shows the first code.
    ShowCode,
}

/// A page.
pub(super) struct Page<'p> {
    pub(super) language: Language,
    pub(super) status: StatusCode,
    pub(super) saying: Saying<'p>,
    /// A PNG image in Base64.
    pub(super) image: Option<&'p str>,
    /// What went wrong, for whoever operates the daemon.
    pub(super) detail: Option<String>,
    /// The button, if there is one.
    pub(super) press: Option<Press>,
    /// After how many seconds the browser opens which address.
    pub(super) next: Option<(u64, String)>,
}

impl<'p> Page<'p> {
    /// A page with nothing but a message.
    pub(super) fn new(language: Language, status: StatusCode, saying: Saying<'p>) -> Self {
        Self { language, status, saying, image: None, detail: None, press: None, next: None }
    }

    /// Answers a request with a wrong method, and names those that are allowed.
    pub(super) fn wrong_method(language: Language, allowed: &'static str) -> Response<String> {
        let mut response = Page::new(language, StatusCode::METHOD_NOT_ALLOWED, Saying::WrongMethod).answer();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    }

    /// Answers a request that the store could not serve.
    pub(super) fn unavailable(language: Language, error: &StoreError) -> Response<String> {
        let page = Page::new(language, StatusCode::SERVICE_UNAVAILABLE, Saying::NotNow);
        Page { detail: Some(error.to_string()), ..page }.answer()
    }

    pub(super) fn answer(&self) -> Response<String> {
        let mut response = Response::new(self.html());
        *response.status_mut() = self.status;
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn html(&self) -> String {
        let words = match self.language {
            Language::English => english::words(&self.saying),
            Language::BrazilianPortuguese => portuguese::words(&self.saying),
        };
        let next = self.next.as_ref();
        let next = next.map(|(after, to)| format!("<meta http-equiv=\"refresh\" content=\"{after};url={to}\">"));
        format!(
            "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"robots\" content=\"noindex\"><meta name=\"color-scheme\" content=\"light dark\">{}\
             <title>{}</title><style>{STYLE}</style><main>{}</main></html>",
            self.language.name(),
            next.unwrap_or_default(),
            words.heading,
            self.body(&words)
        )
    }

    fn body(&self, words: &Words) -> String {
        let Words { heading, text, steps, button } = words;
        let good = if self.saying.is_good() { " class=\"good\"" } else { "" };
        let image = self.image.map(|image| format!("<img alt=\"QR code\" src=\"data:image/png;base64,{image}\">"));
        let steps: String = steps.iter().flat_map(|step| ["<li>".to_owned(), escaped(step)]).collect();
        let steps = if steps.is_empty() { steps } else { format!("<ol>{steps}</ol>") };
        let form = self.press.as_ref().map(|press| match press {
            Press::Acknowledge => format!("<form method=\"post\"><button>{button}</button></form>"),
            Press::ShowCode => format!("<form><button name=\"code\" value=\"1\">{button}</button></form>"),
        });
        let detail = self.detail.as_ref().map(|detail| format!("<p class=\"detail\">{}", escaped(detail)));
        let [image, form, detail] = [image, form, detail].map(Option::unwrap_or_default);
        format!("<h1{good}>{heading}</h1>{image}<p>{}</p>{steps}{form}{detail}", escaped(text))
    }
}

/// The browser stores nothing, sends no referrer, and loads nothing from elsewhere.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// Uses the reader's light or dark colours, except for the button. A QR code needs white around it to be readable.
const STYLE: &str = "\
    :root{color-scheme:light dark;-webkit-text-size-adjust:100%}\
    body{margin:0;font:1.125rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
    main{max-width:26rem;margin:0 auto;padding:1.5rem 1.25rem}\
    h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}\
    p,ol{margin:0 0 1.25rem}ol{padding-left:1.5rem}li{margin-bottom:.5rem}\
    button{width:100%;min-height:3.25rem;font:inherit;font-weight:600;border:0;border-radius:.75rem;\
    background:#0a6b30;color:#fff}\
    button:focus-visible{outline:3px solid;outline-offset:3px}\
    img{display:block;width:100%;margin:0 0 1rem;padding:.75rem;box-sizing:border-box;border-radius:.75rem;\
    background:#fff;image-rendering:pixelated}\
    .detail{margin-top:1.25rem;font-size:.875rem;opacity:.8}\
    .good::before{content:\"✓ \";color:#16a34a}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_the_readers_language_and_lets_nothing_through() {
        let line = "Loja <b>&\"";
        for saying in [
            Saying::NoLinkToReconnect,
            Saying::NoLinkToAcknowledge,
            Saying::WrongMethod,
            Saying::NotNow,
            Saying::Prepare { line },
            Saying::Code { line, number: 1, of: 3 },
            Saying::RanOut { line, of: 3 },
            Saying::RanOutUnsure { line, of: 3 },
            Saying::Connected { line },
            Saying::NoCode { line },
            Saying::NoToken { line },
            Saying::AreYouOnIt { line, incident: 7 },
            Saying::Yours { line },
            Saying::Taken { by: line },
            Saying::Over { line },
            Saying::OverAndAgain { line },
            Saying::Forgotten,
        ] {
            let html = |language| {
                let page = Page::new(language, StatusCode::OK, saying);
                Page { press: Some(Press::ShowCode), detail: Some(line.to_owned()), ..page }.html()
            };
            let [english, portuguese] = Language::ALL.map(html);
            assert!(english.contains("lang=\"en\"") && portuguese.contains("lang=\"pt-BR\""));
            assert_ne!(english.split("</style>").nth(1), portuguese.split("</style>").nth(1));
            for html in [english, portuguese] {
                assert!(!html.contains("<b>") && html.contains("Loja &lt;b&gt;&amp;&quot;"), "{html}");
            }
        }
    }
}
