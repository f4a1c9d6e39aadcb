//! The line of `format = "text"`: the title, then pairs as logfmt writes them.

use std::borrow::Cow;

use super::Object;
use crate::texts::{identifier, title};
use crate::{Item, one_line};

/// The most instances of a digest named on a line of text.
const NAMES: usize = 5;
/// The most characters of each such name.
const NAME: usize = 40;

impl Object<'_> {
    /// The line about a notification with these items.
    pub(super) fn text(&self, items: &[Item]) -> String {
        let title = one_line(&self.title, usize::MAX);
        let mut line = format!("{:.0} {} | {}", self.at, quoted(&title, &['=', '|', '"']), self.kind);
        let about = if self.items.is_some() { of_digest(items) } else { self.of_incident() };
        for (name, value) in about.into_iter().chain([("notification", self.notification.to_string())]) {
            line.extend([" ", name, "=", &quoted(&value, &['=', ' ', '"'])]);
        }
        line
    }

    fn of_incident(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("instance", identifier(self.instance, usize::MAX)),
            ("reason", self.reason.to_owned()),
            ("since", format!("{:.0}", self.opened_at)),
        ];
        pairs.extend(self.closed_at.map(|closed| ("until", format!("{closed:.0}"))));
        // A test message has no incident in the store.
        pairs.extend((self.incident > 0).then(|| ("incident", self.incident.to_string())));
        pairs
    }
}

/// The first lines of a digest, and how many more there are.
fn of_digest(items: &[Item]) -> Vec<(&'static str, String)> {
    let rest = items.len().saturating_sub(NAMES);
    let rest = if rest == 0 { String::new() } else { format!(", +{rest}") };
    let first = items.iter().take(NAMES).map(|item| &item.incident);
    let names: Vec<String> = first.clone().map(|incident| title(&incident.instance, NAME)).collect();
    let numbers: Vec<String> = first.filter(|one| one.id > 0).map(|one| one.id.to_string()).collect();
    let mut pairs = vec![("instances", format!("{}{rest}", names.join(", ")))];
    pairs.extend((!numbers.is_empty()).then(|| ("incidents", format!("{}{rest}", numbers.join(", ")))));
    pairs
}

/// Puts a value into quotes, as logfmt does, if it has one of these characters: it could pass for another pair.
fn quoted<'v>(value: &'v str, telling: &[char]) -> Cow<'v, str> {
    if value.contains(telling) {
        Cow::Owned(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
    } else {
        Cow::Borrowed(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{digest, line};
    use crate::sample::notification as sample;

    #[test]
    fn text_cannot_break_out_of_its_line() {
        let mut notification = sample();
        notification.incident.instance.name = Some("Loja\n\u{1b}[2JCentro".into());
        let line = line(Format::Text, &notification);
        assert!(!line.contains(char::is_control), "{line}");
        assert!(line.contains("incident=7") && line.contains("reason=session-expired"), "{line}");
    }

    #[test]
    fn a_value_cannot_pass_for_another_pair() {
        let mut notification = sample();
        let forged = "A reason=number-blocked incident=1";
        for (id, shown) in [
            (forged, r#"instance="A reason=number-blocked incident=1" reason=session-expired"#),
            (r#"A" reason=x \"#, r#"instance="A\" reason=x \\" reason=session-expired"#),
            ("A\u{a0}\nB", r#"instance="A B" reason=session-expired"#),
            ("A=B", r#"instance="A=B" reason=session-expired"#),
            ("39EC-a.b", "instance=39EC-a.b reason=session-expired"),
        ] {
            notification.incident.instance.id = id.into();
            let line = line(Format::Text, &notification);
            assert!(line.contains(&format!(" | down {shown}")), "{line}");
        }
        notification.incident.instance.name = Some("x | down instance=B \"".into());
        let line = line(Format::Text, &notification);
        assert!(line.starts_with(r#"2026-11-23T08:00:00Z "🔴 x | down instance=B \" is down: "#), "{line}");
        assert!(line.contains("\" | down instance=39EC-a.b "), "{line}");
        let mut digest = digest(2);
        digest.items[1].incident.instance.name = Some("B incidents=9".into());
        let line = self::line(Format::Text, &digest);
        assert!(line.ends_with(r#"instances="i-1, B incidents=9" incidents="1, 2" notification=42"#), "{line}");
    }

    #[test]
    fn what_cannot_be_seen_is_spelt_out() {
        let mut notification = sample();
        notification.incident.instance.id = "\u{3164}\u{200d}".into();
        assert!(line(Format::Text, &notification).contains(r" instance=\u{3164}\u{200d} "));
        let mut digest = digest(2);
        digest.items[1].incident.instance.name = Some("\u{2800}".into());
        assert!(line(Format::Text, &digest).contains("instances=\"i-1, i-2\""));
    }
}
