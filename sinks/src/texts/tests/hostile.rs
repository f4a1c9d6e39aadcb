//! Hostile text from outside is shown, and has no effect.

use proptest::prelude::*;

use super::super::Texts;
use super::super::reader::Language;
use super::super::samples::{digest, sample};
use super::texts;
use crate::{Acknowledged, Item, Kind, Notification, Reason};

/// A sample in which every text from outside is this one.
fn filled(kind: Kind, reason: Reason, closed: bool, text: &str) -> Notification {
    let mut notification = sample(kind, reason, true, closed);
    let text = || text.to_owned();
    notification.recipient = text();
    notification.rule = Some(text());
    notification.last_failure = Some(text());
    notification.incident.source = text();
    notification.incident.error = Some(text());
    notification.incident.instance.id = text();
    notification.incident.instance.name = Some(text());
    notification.incident.instance.phone = Some(text());
    notification.incident.instance.labels = [(text(), text())].into();
    if let Some(undelivered) = &mut notification.undelivered {
        (undelivered.sink, undelivered.recipient, undelivered.why) = (text(), text(), text());
    }
    let by = text();
    notification.incident.acknowledged =
        notification.incident.acknowledged.map(|acknowledged| Acknowledged { by, ..acknowledged });
    notification.acknowledge_url = Some(format!("https://linedown.example/{}", text()));
    if kind == Kind::Digest {
        notification.items = (1..=200).map(|number| item(&notification, number)).collect();
    }
    notification
}

/// An item about another line like that of the notification.
fn item(like: &Notification, number: i64) -> Item {
    let mut incident = like.incident.clone();
    incident.id = number;
    incident.instance.id.push_str(&number.to_string());
    incident.acknowledged = Some(Acknowledged { by: like.recipient.clone(), at: like.at });
    Item {
        notification: number,
        kind: if number % 2 == 0 { Kind::Undelivered } else { Kind::Down },
        incident,
        flapping: None,
        undelivered: None,
    }
}

fn count(text: &str, wanted: char) -> usize {
    text.chars().filter(|c| *c == wanted).count()
}

/// Compares the messages with those that have harmless text in the same places.
fn holds(texts: &Texts, hostile: &Notification, harmless: &Notification) {
    let title = texts.title(hostile);
    assert!(!title.trim().is_empty() && title.chars().count() <= 150, "{title}");
    assert!(!title.chars().any(char::is_control), "{title:?}");

    let text = texts.text(hostile);
    assert_eq!(text.lines().count(), texts.text(harmless).lines().count(), "{text}");
    let visible = |c: char| c == '\n' || (!c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c));
    assert!(text.chars().all(visible), "{text:?}");

    let (html, plain) = (texts.html(hostile), texts.html(harmless));
    for sign in ['<', '>', '"', '\n'] {
        assert_eq!(count(&html, sign), count(&plain, sign), "{sign}: {html}");
    }
    let (slack, plain) = (texts.slack(hostile), texts.slack(harmless));
    // The only link is linedown's own.
    assert_eq!(count(&slack, '<'), slack.matches("<https://linedown.example/").count(), "{slack}");
    for sign in ['<', '>', '*', '`', '~', '\n'] {
        assert_eq!(count(&slack, sign), count(&plain, sign), "{sign}: {slack}");
    }
}

/// Hostile text: any characters, and pieces that have a meaning in some form.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "<!channel>",
            "<https://evil.example|ok>",
            "<script>",
            "</p>",
            "&lt;",
            "{{ 7 * 7 }}",
            "{% endset %}",
            "\r\n",
            "\n\nRule: none",
            "\u{202e}",
            "\u{2028}",
            "\u{85}",
            "\0",
            "`",
            "*",
            "~",
            "\"",
            "'",
            "”",
            "\u{1b}[31m",
        ])
        .prop_map(str::to_owned),
        "x{0,400}",
    ];
    // Something visible is always there; without it, some lines would rightly be left out.
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("x{}", pieces.concat()))
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let both = Language::ALL.map(|language| texts(language, "America/Sao_Paulo"));
    let case = (
        hostile_text(),
        prop::sample::select(&Kind::ALL[..]),
        prop::sample::select(&Reason::ALL[..]),
        any::<bool>(),
        0..both.len(),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(100)
    });
    runner
        .run(&case, |(text, kind, reason, closed, reader)| {
            holds(&both[reader], &filled(kind, reason, closed, &text), &filled(kind, reason, closed, "x"));
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_means_something_to_slack_html_or_a_template_is_shown_as_it_is() {
    let hostile = filled(Kind::Down, Reason::Other, false, "<!here> & {{ 7 * 7 }} `x`\r\nRule: none\u{202e}");
    let texts = texts(Language::English, "UTC");
    assert_eq!(texts.title(&hostile), "🔴 <!here> & {{ 7 * 7 }} `x` Rule: none is down: reason unknown");
    assert!(texts.text(&hostile).contains("The gateway says: “<!here> & {{ 7 * 7 }} `x` Rule: none”\n"));
    assert!(texts.slack(&hostile).contains("The gateway says: `&lt;!here&gt; &amp; {{ 7 ∗ 7 }} 'x' Rule: none`\n"));
    assert!(texts.html(&hostile).contains(">&lt;!here&gt; &amp; {{ 7 * 7 }} `x` Rule: none</blockquote>"));
}

#[test]
fn a_line_without_a_visible_name_is_called_something() {
    let texts = texts(Language::English, "UTC");
    for invisible in [
        "\u{202e}\n",
        "\u{3164}",
        "\u{2800} \u{2800}",
        "\u{115f}\u{1160}\u{ffa0}",
        "\u{34f}\u{fe0f}\u{e0100}",
        "\u{200d}",
    ] {
        let mut notification = filled(Kind::Down, Reason::Other, false, invisible);
        notification.incident.instance.id = "i-1".to_owned();
        assert_eq!(notification.incident.instance.title(), "i-1");
        assert_eq!(texts.title(&notification), "🔴 i-1 is down: reason unknown");
        for text in [texts.text(&notification), texts.html(&notification), texts.slack(&notification)] {
            assert!(text.contains("i-1"), "{text}");
        }
    }
}

#[test]
fn an_identifier_that_cannot_be_seen_is_spelt_out() {
    let texts = texts(Language::English, "UTC");
    let mut notification = filled(Kind::Down, Reason::Other, false, "\u{3164}\u{202e}");
    let spelt = "\\u{3164}\\u{202e}";
    assert_eq!(texts.title(&notification), format!("🔴 {spelt} is down: reason unknown"));
    assert!(texts.text(&notification).contains(&format!("Instance: {spelt}\n")), "{}", texts.text(&notification));
    let digest = filled(Kind::Digest, Reason::Other, false, "\u{3164}");
    assert!(texts.title(&digest).contains("200 lines"));
    notification.incident.instance.id = String::new();
    assert_eq!(texts.title(&notification), "🔴 ? is down: reason unknown");
}

#[test]
fn messages_stay_short_whatever_comes() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Digest) {
        let notification = filled(kind, Reason::Other, false, &"& <".repeat(100_000));
        let texts = texts(Language::BrazilianPortuguese, "UTC");
        assert!(texts.text(&notification).len() < 10_000);
        assert!(texts.html(&notification).len() < 20_000);
        assert!(texts.slack(&notification).len() < 13_000, "{}", texts.slack(&notification).len());
    }
}

#[test]
fn the_worst_digest_is_still_said_in_full() {
    for language in Language::ALL {
        let texts = texts(language, "America/Argentina/ComodRivadavia");
        for hostile in ["& <", "''/", "👩\u{301}", "x"] {
            let digest = filled(Kind::Digest, Reason::NumberBlocked, false, &hostile.repeat(1000));
            let last = if language == Language::English { "and 100 more" } else { "e mais 100" };
            assert!(texts.text(&digest).contains(last));
            assert!(texts.html(&digest).contains(last), "{}", texts.html(&digest).len());
            assert!(texts.slack(&digest).contains(&last.replace("100", "170")));
        }
    }
}

/// In every form, also where a number follows the name.
#[test]
fn a_name_that_is_written_from_right_to_left_is_set_apart() {
    let texts = texts(Language::English, "UTC");
    let mut notification = sample(Kind::Down, Reason::Other, true, false);
    notification.incident.instance.name = Some("متجر 12".to_owned());
    let title = "🔴 \u{2068}متجر 12\u{2069} is down: reason unknown";
    assert_eq!(texts.title(&notification), title);
    for text in [texts.text(&notification), texts.html(&notification), texts.slack(&notification)] {
        assert!(text.contains("\u{2068}متجر 12\u{2069} has been disconnected"), "{text}");
    }
    let mut digest = digest(3);
    digest.items[0].incident.instance.name = Some("متجر 12".to_owned());
    let text = texts.text(&digest);
    assert!(text.contains("- \u{2068}متجر 12\u{2069} (5544*****9999): "), "{text}");
}
