//! The message for Slack: within Block Kit's limits (<https://docs.slack.dev/reference/block-kit/blocks>), whatever the
//! texts contain.

use serde_json::{Value, json};

use crate::texts::identifier;
use crate::{Form, Kind, Notification, Texts};

/// The most characters of a header, after escaping (Slack's limit).
const HEADER: usize = 150;
/// The most characters of a section's text, after escaping: below Slack's 3,000.
const SECTION: usize = 2_900;
/// The most characters of all sections together. Slack takes about 13,000 in a whole message (undocumented); the
/// header, `text`, the context and the JSON around them need some of that.
const SECTIONS: usize = 10_000;
/// The most characters of the top-level text, after escaping.
const TEXT: usize = 300;
/// The most characters of the source's name and of the instance's identifier in the context line, after escaping.
const INSTANCE: usize = 100;

/// Returns the body of the request.
pub(super) fn message(texts: &Texts, notification: &Notification) -> Value {
    let [title, body] = texts.render(notification, [Form::Title, Form::Slack]);
    compose(&title, &body, notification)
}

/// Makes the message from a plain title and a body in mrkdwn.
fn compose(title: &str, body: &str, notification: &Notification) -> Value {
    let (sections, cut) = sections(body);
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": escape(title, HEADER) } })];
    blocks.extend(sections.iter().map(|text| json!({ "type": "section", "text": mrkdwn(text) })));
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&context(notification, cut))] }));
    json!({ "text": escape(title, TEXT), "blocks": blocks })
}

/// A text object in which only `<…|…>` becomes a link, and no address or name by itself
/// (<https://docs.slack.dev/reference/block-kit/composition-objects/text-object>).
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

/// The context line: what the message is about, and, if it was cut, the command that shows the rest. No words, so it
/// can be understood in any language.
fn context(notification: &Notification, cut: bool) -> String {
    let incident = &notification.incident;
    if notification.kind == Kind::Digest {
        return format!("{}`linedown incidents`", if cut { "[…] " } else { "" });
    }
    let instance = escape(&identifier(&incident.instance.id, INSTANCE), INSTANCE);
    let source = escape(&incident.source, INSTANCE);
    let rest = if cut { format!(" · […] `linedown incident {}`", incident.id) } else { String::new() };
    // A test message has no incident in the store.
    let number = if incident.id > 0 { format!("#{} · ", incident.id) } else { String::new() };
    format!("{number}{source} · {instance}{rest}")
}

/// Escapes text from outside and cuts it to at most `room` characters, counted after escaping; no escape is ever cut.
fn escape(text: &str, room: usize) -> String {
    let text = text.trim();
    let length = |c: char| entity(c).map_or(1, str::len);
    let whole = text.chars().map(length).sum::<usize>() <= room;
    let mut room = if whole { room } else { room - 1 };
    let mut escaped = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let Some(rest) = room.checked_sub(length(c)) else { break };
        room = rest;
        match entity(c) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(c),
        }
    }
    if !whole {
        escaped.push('…');
    }
    // Slack refuses empty texts.
    if escaped.is_empty() { "-".to_owned() } else { escaped }
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Splits the body, which is escaped already, into as many sections as it needs, between lines where possible. Also
/// returns whether something had to be left out.
fn sections(body: &str) -> (Vec<String>, bool) {
    let body = body.trim();
    let kept = &body[..boundary(body, SECTIONS)];
    let mut sections: Vec<String> = Vec::new();
    let mut rest = kept;
    while !rest.trim().is_empty() {
        let most = boundary(rest, SECTION);
        let end = match rest[..most].rfind('\n') {
            Some(line) if most < rest.len() && line > 0 => line,
            _ => most,
        };
        let section = rest[..end].trim_matches('\n');
        if !section.trim().is_empty() {
            sections.push(section.to_owned());
        }
        rest = &rest[end..];
    }
    (sections, kept.len() < body.len())
}

/// The byte at which to cut a text of mrkdwn to at most `most` characters, neither within an entity such as `&amp;` nor
/// within `<…|…>`.
fn boundary(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let Some((end, _)) = text.char_indices().nth(most) else { return text.len() };
    let open = |start: char, close: char| {
        let at = text[..end].rfind(start)?;
        (at > 0 && !text[at..end].contains(close) && text[at..].contains(close)).then_some(at)
    };
    let end = open('<', '>').unwrap_or(end);
    // Entities are short: an ampersand further back does not begin one.
    match text[..end].rfind('&') {
        Some(at) if at > 0 && end - at < "&quot;".len() && !text[at..end].contains(';') => at,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_ours_cannot_mention_or_link() {
        assert_eq!(escape("<!channel> & <http://x|y>", 150), "&lt;!channel&gt; &amp; &lt;http://x|y&gt;");
        assert_eq!(escape("&&&&", 11), "&amp;&amp;…");
        assert_eq!(escape("ação\n!", 150), "ação !");
        assert_eq!(escape("ação ação", 5), "ação…");
        assert_eq!(escape(" ", 150), "-");
    }

    #[test]
    fn an_instance_that_cannot_be_seen_is_spelt_out() {
        let mut notification = crate::sample::notification();
        notification.incident.instance.id = "\u{3164}".into();
        assert_eq!(context(&notification, false), r"#7 · z-api · \u{3164}");
        notification.incident.instance.id = "A\u{202e}B".into();
        assert_eq!(context(&notification, false), "#7 · z-api · AB");
    }

    #[test]
    fn sections_end_between_lines() {
        let line = "x".repeat(1000);
        let (sections, cut) = sections(&[line.as_str(); 5].join("\n"));
        assert_eq!(sections.iter().map(String::len).collect::<Vec<_>>(), [2001, 2001, 1000]);
        assert!(!cut);
    }

    #[test]
    fn what_was_cut_says_where_the_rest_is() {
        let mut notification = crate::sample::notification();
        let long = compose("title", &"a line\n".repeat(5_000), &notification).to_string();
        assert!(long.contains("linedown incident 7") && long.chars().count() < 13_000);
        assert!(!compose("title", "a line", &notification).to_string().contains("linedown incident 7"));
        notification.kind = Kind::Digest;
        let digest = compose("title", &"a line\n".repeat(5_000), &notification).to_string();
        assert!(digest.contains("[…] `linedown incidents`"));
    }

    #[test]
    fn an_escape_and_a_link_are_never_cut() {
        let text = format!("{}&amp;{}<https://example.com/incident|incident>", "x".repeat(8), "y".repeat(5));
        for most in 1..text.len() {
            let end = boundary(&text, most);
            assert!(end <= most && end > 0);
            assert!(end <= 8 || end >= 13, "{end}");
            assert!(end <= 18 || end == text.len(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn nothing_exceeds_the_limits(parts in proptest::collection::vec("(&amp;|&lt;|<https://a.example/[a-z]{0,9}\\|b>|ç|[a-z ]{0,40}|\n){0,9}", 0..40)) {
            let body = parts.concat();
            let (sections, cut) = sections(&body);
            prop_assert!(sections.iter().all(|section| section.chars().count() <= SECTION && !section.trim().is_empty()));
            prop_assert!(sections.len() <= 40);
            let total: usize = sections.iter().map(|section| section.chars().count()).sum();
            prop_assert!(total <= SECTIONS);
            if !cut {
                let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                prop_assert_eq!(bare(&sections.concat()), bare(&body));
            }
        }
    }
}
