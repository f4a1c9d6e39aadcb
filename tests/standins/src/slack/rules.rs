//! Slack's rules for a message to an incoming webhook: <https://docs.slack.dev/reference/block-kit/blocks>,
//! <https://docs.slack.dev/messaging/formatting-message-text>, and the size of the whole, which Slack does not
//! document.

use serde_json::{Map, Value};

use crate::http::Request;

const BLOCKS: usize = 50;
const HEADER: usize = 150;
const TEXT: usize = 3_000;
const FIELDS: usize = 10;
const FIELD: usize = 2_000;
const ELEMENTS: usize = 10;
const WHOLE: usize = 13_000;

type Verdict = Result<(), &'static str>;

/// Checks a request; the error is the one that Slack would answer with.
pub(super) fn check(request: &Request) -> Verdict {
    if request.content_type.split(';').next() != Some("application/json") {
        return Err("invalid_payload");
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| "invalid_payload")?;
    let body = body.as_object().ok_or("invalid_payload")?;
    only(body, &["text", "blocks"], "invalid_payload")?;
    let text = body.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty()).ok_or("no_text")?;
    markup(text)?;
    let blocks = match body.get("blocks") {
        None => &[][..],
        Some(blocks) => blocks.as_array().ok_or("invalid_blocks_format")?,
    };
    if blocks.len() > BLOCKS {
        return Err("invalid_blocks");
    }
    blocks.iter().try_for_each(block)?;
    if blocks.iter().map(characters).sum::<usize>() + text.chars().count() > WHOLE {
        return Err("msg_blocks_too_long");
    }
    Ok(())
}

fn block(block: &Value) -> Verdict {
    let block = block.as_object().ok_or("invalid_blocks")?;
    match block.get("type").and_then(Value::as_str) {
        Some("header") => {
            only(block, &["type", "text", "block_id"], "invalid_blocks")?;
            text(block.get("text"), HEADER, &["plain_text"])
        }
        Some("section") => {
            only(block, &["type", "text", "fields", "block_id"], "invalid_blocks")?;
            let fields = list(block.get("fields"), FIELDS)?;
            fields.iter().try_for_each(|field| text(Some(field), FIELD, &["plain_text", "mrkdwn"]))?;
            match block.get("text") {
                None if !fields.is_empty() => Ok(()),
                given => text(given, TEXT, &["plain_text", "mrkdwn"]),
            }
        }
        Some("context") => {
            only(block, &["type", "elements", "block_id"], "invalid_blocks")?;
            let elements = list(block.get("elements"), ELEMENTS)?;
            if elements.is_empty() {
                return Err("invalid_blocks");
            }
            elements.iter().try_for_each(|element| text(Some(element), TEXT, &["plain_text", "mrkdwn"]))
        }
        Some("divider") => only(block, &["type", "block_id"], "invalid_blocks"),
        _ => Err("invalid_blocks"),
    }
}

fn text(object: Option<&Value>, most: usize, types: &[&str]) -> Verdict {
    let object = object.and_then(Value::as_object).ok_or("invalid_blocks")?;
    only(object, &["type", "text", "emoji", "verbatim"], "invalid_blocks")?;
    let kind = object.get("type").and_then(Value::as_str).filter(|kind| types.contains(kind));
    let kind = kind.ok_or("invalid_blocks")?;
    // Slack would take it, and make links of what looks like addresses and names.
    if kind == "mrkdwn" && object.get("verbatim") != Some(&Value::Bool(true)) {
        return Err("automatic_parsing");
    }
    let text = object.get("text").and_then(Value::as_str).ok_or("invalid_blocks")?;
    if !(1..=most).contains(&text.chars().count()) {
        return Err("invalid_blocks");
    }
    markup(text)
}

/// Checks that `<` and `>` are only around links, and `&` only in the three escapes. Slack would show such text
/// somehow; here it is an error, because it means that text from outside was not escaped. A mention such as
/// `<!channel>` is an error as well: linedown never makes one.
fn markup(text: &str) -> Verdict {
    for piece in text.split('&').skip(1) {
        if !["amp;", "lt;", "gt;"].iter().any(|escape| piece.starts_with(escape)) {
            return Err("unescaped_ampersand");
        }
    }
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>']) {
        let inside = rest[at..].strip_prefix('<').and_then(|inside| inside.split_once('>'));
        let (inside, after) = inside.ok_or("unescaped_angle_bracket")?;
        let link = ["https://", "http://", "mailto:", "tel:", "!date^"].iter().any(|form| inside.starts_with(form));
        if !link || inside.contains('<') {
            return Err("unescaped_angle_bracket");
        }
        rest = after;
    }
    Ok(())
}

fn list(list: Option<&Value>, most: usize) -> Result<&[Value], &'static str> {
    let Some(list) = list else { return Ok(&[]) };
    list.as_array().map(Vec::as_slice).filter(|list| list.len() <= most).ok_or("invalid_blocks")
}

fn only(object: &Map<String, Value>, known: &[&str], error: &'static str) -> Verdict {
    if object.keys().all(|key| known.contains(&key.as_str())) { Ok(()) } else { Err(error) }
}

/// The number of characters in all texts of a block.
fn characters(value: &Value) -> usize {
    match value {
        Value::Object(object) => {
            let own = object.get("text").and_then(Value::as_str).map_or(0, |text| text.chars().count());
            own + object.values().filter(|value| !value.is_string()).map(characters).sum::<usize>()
        }
        Value::Array(list) => list.iter().map(characters).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(body: &Value) -> Verdict {
        let content_type = "application/json".to_owned();
        check(&Request { content_type, body: body.to_string().into_bytes(), ..Request::default() })
    }

    fn section(text: &str) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
    }

    #[test]
    fn the_documented_rules_are_kept() {
        let header = |text: &str| json!({ "type": "header", "text": { "type": "plain_text", "text": text } });
        for (body, expected) in [
            (json!({ "text": "hi" }), Ok(())),
            (
                json!({ "text": "hi", "blocks": [header("a"), section("<https://a.example|b> &lt;"), { "type": "divider" }] }),
                Ok(()),
            ),
            (json!({ "blocks": [section("a")] }), Err("no_text")),
            (json!({ "text": "hi", "chanel": "x" }), Err("invalid_payload")),
            (json!({ "text": "hi", "blocks": {} }), Err("invalid_blocks_format")),
            (json!({ "text": "hi", "blocks": vec![section("a"); 51] }), Err("invalid_blocks")),
            (json!({ "text": "hi", "blocks": [header(&"x".repeat(151))] }), Err("invalid_blocks")),
            (json!({ "text": "hi", "blocks": [section(&"x".repeat(3001))] }), Err("invalid_blocks")),
            (json!({ "text": "hi", "blocks": [section("")] }), Err("invalid_blocks")),
            (json!({ "text": "hi", "blocks": vec![section(&"x".repeat(2900)); 5] }), Err("msg_blocks_too_long")),
            (json!({ "text": "hi", "blocks": [{ "type": "marquee" }] }), Err("invalid_blocks")),
            (
                json!({ "text": "hi", "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": "a" } }] }),
                Err("automatic_parsing"),
            ),
            (json!({ "text": "hi <!channel>" }), Err("unescaped_angle_bracket")),
            (json!({ "text": "a > b" }), Err("unescaped_angle_bracket")),
            (json!({ "text": "a & b" }), Err("unescaped_ampersand")),
        ] {
            assert_eq!(verdict(&body), expected, "{body:.200}");
        }
        assert_eq!(check(&Request { body: b"{\"text\":\"hi\"}".into(), ..Request::default() }), Err("invalid_payload"));
    }
}
