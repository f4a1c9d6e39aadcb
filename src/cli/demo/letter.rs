//! Reads an email from the mailbox folder: its recipient, subject and text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The parts of an email that a mail reader would show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

impl Letter {
    /// Reads a message (RFC 5322, RFC 2045). Its text is the first part of type `text/plain`.
    pub(super) fn read(message: &str) -> Self {
        let message = message.replace("\r\n", "\n");
        let (head, body) = message.split_once("\n\n").unwrap_or((&message, ""));
        let header = |name| decoded_words(&header(head, name));
        Self { to: header("To"), subject: header("Subject"), text: plain_text(head, body) }
    }
}

/// A header's value, unfolded.
fn header(head: &str, name: &str) -> String {
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let lines = unfolded.lines().filter_map(|line| line.split_once(':'));
    let value = lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    value.unwrap_or_default().to_owned()
}

fn plain_text(head: &str, body: &str) -> String {
    let content_type = header(head, "Content-Type");
    let Some((_, boundary)) = content_type.split_once("boundary=") else { return decoded_body(head, body) };
    let boundary = format!("--{}", boundary.split(';').next().unwrap_or_default().trim_matches('"'));
    let parts = body.split(boundary.as_str()).filter_map(|part| part.trim_start().split_once("\n\n"));
    let plain = parts.into_iter().find(|(head, _)| header(head, "Content-Type").starts_with("text/plain"));
    plain.map(|(head, text)| decoded_body(head, text)).unwrap_or_default()
}

fn decoded_body(head: &str, body: &str) -> String {
    let bytes = match header(head, "Content-Transfer-Encoding").to_ascii_lowercase().as_str() {
        "base64" => base64(body),
        "quoted-printable" => quoted_printable(&body.replace("=\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim().to_owned()
}

/// Decodes the encoded words (RFC 2047) of a header. White space between two of them is dropped.
fn decoded_words(value: &str) -> String {
    let mut text = String::new();
    let mut after_encoded = false;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        let encoded = word.strip_prefix("=?").and_then(|word| word.strip_suffix("?="));
        let mut parts = encoded.map(|word| word.splitn(3, '?').skip(1)).into_iter().flatten();
        let bytes = match (parts.next(), parts.next()) {
            (Some("b" | "B"), Some(word)) => Some(base64(word)),
            (Some("q" | "Q"), Some(word)) => Some(quoted_printable(&word.replace('_', " "))),
            _ => None,
        };
        let joins = text.is_empty() || (after_encoded && bytes.is_some());
        if !joins {
            text.push(' ');
        }
        after_encoded = bytes.is_some();
        match bytes {
            Some(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            None => text.push_str(word),
        }
    }
    text
}

/// Decodes Base64 in one line or several; what is none is empty.
fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap_or_default()
}

/// Decodes quoted-printable text, whose soft line breaks have been removed.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let decoded = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(b'='));
        bytes.extend(&part.as_bytes()[if decoded.is_some() { 2 } else { 0 }..]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_a_mail_reader_would() {
        let message = "From: linedown <a@example.com>\r\nTo: Ana <ana@example.com>\r\n\
            Subject: =?utf-8?b?8J+UtA==?= Loja =?utf-8?b?U8Ojbw==?= =?utf-8?q?_Jo=C3=A3o?=\r\n is down\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"xyz\"\r\n\r\n\
            --xyz\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Loja S=C3=A3o Jo=\r\n=C3=A3o: 1 =3D 1\r\nend\r\n--xyz\r\nContent-Type: text/html\r\n\r\n<p>\r\n--xyz--\r\n";
        let letter = Letter::read(message);
        assert_eq!(letter.to, "Ana <ana@example.com>");
        assert_eq!(letter.subject, "🔴 Loja São João is down");
        assert_eq!(letter.text, "Loja São João: 1 = 1\nend");
    }

    #[test]
    fn a_letter_of_one_part() {
        let letter = Letter::read("To: a@x\nContent-Transfer-Encoding: base64\n\nb2zD\noQ==\n");
        assert_eq!((letter.to.as_str(), letter.text.as_str()), ("a@x", "olá"));
    }
}
