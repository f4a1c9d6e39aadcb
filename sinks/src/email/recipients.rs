//! The recipients of a message: addresses written out, and templates filled in from the incident.

use std::fmt;

use lettre::message::Mailbox;
use serde::de::value::SeqAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use super::addresses::{address, is_plain, names, parts, seal};
use crate::{Incident, Inline, Path, Problem, Section};

/// One text, or a list of them.
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, sequence: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The entries of `to`.
pub(super) struct Recipients(Vec<Recipient>);

enum Recipient {
    Address(String),
    Template {
        template: Inline,
        /// The label that the template consists of, if it is nothing but one label.
        label: Option<String>,
        /// The place of the entry in the config.
        place: Path,
    },
}

/// Checks `to`. Returns none if it is missing, empty or has a mistake.
pub(super) fn check(section: &mut Section<'_>, to: Option<OneOrMany>) -> Option<Recipients> {
    const WHOM: &str = "name the recipients: to = [\"ops@example.com\", \"{{ instance.labels.owner }}\"]";
    let place = section.path().join("to");
    let entries = match to {
        None => {
            section.missing("to", WHOM);
            return None;
        }
        Some(OneOrMany::Many(entries)) if entries.is_empty() => {
            section.error("to", "an empty list: nobody would be told").hint = Some(WHOM.into());
            return None;
        }
        Some(OneOrMany::One(entry)) => vec![(place, entry)],
        Some(OneOrMany::Many(entries)) => {
            entries.into_iter().enumerate().map(|(index, entry)| (place.join(index), entry)).collect()
        }
    };
    let read = |(place, entry): (Path, String)| read(&entry, place).map_err(|problem| section.problems.push(problem));
    let checked: Vec<_> = entries.into_iter().map(read).collect();
    checked.into_iter().collect::<Result<_, ()>>().ok().map(Recipients)
}

fn read(entry: &str, place: Path) -> Result<Recipient, Problem> {
    if entry.contains(['{', '}']) {
        let expected = "a template such as `{{ instance.labels.owner }}`";
        let template = Inline::compile(entry).map_err(|why| Problem::error(place.clone(), why).expected(expected))?;
        if has_single_braces(entry) {
            let problem = Problem::error(place, "single braces are not filled in");
            return Err(problem.expected(expected).hint("use double braces"));
        }
        return Ok(Recipient::Template { template, label: label(entry).map(str::to_owned), place });
    }
    let entry = entry.trim();
    if entry.parse::<Mailbox>().is_ok() {
        return Ok(Recipient::Address(entry.to_owned()));
    }
    let problem = Problem::error(place, "not an email address")
        .expected("`name@example.com`, `Name <name@example.com>` or a template such as `{{ instance.labels.owner }}`");
    let several: Vec<&str> = parts(entry).collect();
    let are_addresses = several.len() > 1 && several.iter().all(|part| part.parse::<Mailbox>().is_ok());
    let list: Vec<String> = several.iter().map(|part| format!("{part:?}")).collect();
    Err(if are_addresses { problem.hint(format!("write a list: [{}]", list.join(", "))) } else { problem })
}

impl Recipients {
    /// Whether the value of this label will do: the label is not used alone as a recipient, or its value is empty or
    /// consists of addresses.
    pub(super) fn takes_label(&self, key: &str, value: &str) -> bool {
        let is_named = |recipient: &Recipient| match recipient {
            Recipient::Address(_) => false,
            Recipient::Template { label, .. } => label.as_deref() == Some(key),
        };
        !self.0.iter().any(is_named) || is_plain(value) || parts(value).all(|part| part.parse::<Mailbox>().is_ok())
    }

    /// Whether every recipient is a label alone, and all of these labels are empty or missing.
    pub(super) fn are_nobody<'l>(&self, value: &dyn Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|recipient| match recipient {
            Recipient::Template { label: Some(key), .. } => {
                value(key).is_none_or(|value| parts(value).next().is_none())
            }
            Recipient::Template { label: None, .. } | Recipient::Address(_) => false,
        })
    }

    /// The labels that the templates use, each with the place of the entry that names it.
    pub(super) fn labels(&self) -> Vec<(Path, String)> {
        let of_one = |recipient: &Recipient| match recipient {
            Recipient::Address(_) => Vec::new(),
            Recipient::Template { template, place, .. } => {
                template.labels().into_iter().map(|label| (place.clone(), label)).collect()
            }
        };
        self.0.iter().flat_map(of_one).collect()
    }

    /// Returns each address once, however it is written. Returns one empty name if there is no address at all, so that
    /// a notification exists, fails and is seen.
    pub(super) fn of(&self, incident: &Incident) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut sealed = None;
        for recipient in &self.0 {
            let names = match recipient {
                Recipient::Address(address) => vec![address.clone()],
                Recipient::Template { template, .. } => {
                    names(&template.render(sealed.get_or_insert_with(|| seal(incident))))
                }
            };
            for name in names {
                if !found.iter().any(|other| address(other) == address(&name)) {
                    found.push(name);
                }
            }
        }
        if found.is_empty() { vec![String::new()] } else { found }
    }
}

/// The label that a template consists of: `{{ instance.labels.owner }}`.
fn label(template: &str) -> Option<&str> {
    let name = template.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("instance.labels.")?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

/// Whether there is a brace outside the template's `{{ … }}` and `{% … %}`.
fn has_single_braces(template: &str) -> bool {
    let mut pieces = template.split("{{").flat_map(|piece| piece.split("{%"));
    let has_braces = |piece: &str| piece.contains(['{', '}']);
    let after =
        |piece: &str| piece.rsplit("}}").next().and_then(|rest| rest.rsplit("%}").next()).is_some_and(has_braces);
    pieces.next().is_some_and(has_braces) || pieces.any(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_written_to_twice() {
        let addresses = ["ops@example.com", "OPS@Example.com", "Ops <ops@example.com>", "b@example.com"];
        let recipients = Recipients(addresses.map(|address| Recipient::Address(address.into())).into());
        assert_eq!(recipients.of(&crate::sample::notification().incident), ["ops@example.com", "b@example.com"]);
    }

    #[test]
    fn a_label_that_is_written_to_is_addresses() {
        let template = |text| read(text, Path::default()).unwrap();
        let recipients = Recipients(vec![
            Recipient::Address("ops@example.com".into()),
            template("{{ instance.labels.owner }}"),
            template("{{instance.labels.boss}}"),
            template("{{ instance.labels.shop }}@example.com"),
        ]);
        for (key, value, good) in [
            ("owner", "dono@acme.example", true),
            ("owner", " Dono <dono@acme.example>, b@x.example ", true),
            ("owner", "", true),
            ("owner", "dono@acme.example,", true),
            ("owner", "dono@acme.example, ask Ana", false),
            ("owner", "not an address", false),
            ("owner", "dono@", false),
            ("boss", "@acme.example", false),
            ("boss", "a..b@acme.example", false),
            ("shop", "centro", true),
            ("tier", "gold", true),
        ] {
            assert_eq!(recipients.takes_label(key, value), good, "{key} {value}");
            // The shortcut takes nothing that the parser would refuse.
            assert!(!is_plain(value) || value.parse::<Mailbox>().is_ok(), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_takes_none_of_the_others_with_it() {
        let owner = read("{{ instance.labels.owner }}", Path::default()).unwrap();
        let recipients = Recipients(vec![owner, Recipient::Address("ops@example.com".into())]);
        for (owner, expected) in [
            ("good@x.example, bad", &["good@x.example", "bad", "ops@example.com"][..]),
            ("one@x.example,", &["one@x.example", "ops@example.com"]),
            (", ,one@x.example,,two@x.example", &["one@x.example", "two@x.example", "ops@example.com"]),
            (r#""Ana <a@x.example>, b@x.example"#, &[r#""Ana <a@x.example>"#, "b@x.example", "ops@example.com"]),
            (r#""A\", B" <a@x.example>, b@"#, &[r#""A\", B" <a@x.example>"#, "b@", "ops@example.com"]),
            (",", &["ops@example.com"]),
        ] {
            let mut incident = crate::sample::notification().incident;
            incident.instance.labels.insert("owner".into(), owner.into());
            assert_eq!(recipients.of(&incident), expected, "{owner}");
            // What the check predicts is what a delivery would do.
            let alone = Recipients(vec![read("{{ instance.labels.owner }}", Path::default()).unwrap()]);
            assert_eq!(alone.are_nobody(&|_| Some(owner)), alone.of(&incident) == [""], "{owner}");
            assert!(!recipients.are_nobody(&|_| None), "somebody is always told");
        }
    }

    /// Anybody who has the webhook's secret can choose every value in a payload.
    #[test]
    fn a_payload_names_nobody_beside_the_one_it_is_part_of() {
        let of = |entry: &str, fill: &dyn Fn(&mut Incident)| {
            let mut incident = crate::sample::notification().incident;
            incident.instance.labels.insert("several".into(), "a@x.example, \"B, b\" <b@x.example>".into());
            fill(&mut incident);
            Recipients(vec![read(entry, Path::default()).unwrap()]).of(&incident)
        };
        let hostile = "1@x.example,eve@evil.example,\"";
        for entry in ["{{ instance.id }}", "{{ instance.title }}", "{{ instance.name }}", "{{ incident.error }}"] {
            let fill = |incident: &mut Incident| {
                incident.instance.id = hostile.into();
                incident.instance.name = Some(hostile.into());
                incident.error = Some(hostile.into());
            };
            let named = of(entry, &fill);
            assert_eq!(named, [hostile], "{entry}");
            assert!(named[0].parse::<Mailbox>().is_err());
            // What is one address is one.
            let one = |incident: &mut Incident| {
                incident.instance.id = "1@x.example".into();
                incident.instance.name = Some("1@x.example".into());
                incident.error = Some("1@x.example".into());
            };
            assert_eq!(of(entry, &one), ["1@x.example"], "{entry}");
        }
        let id = |id: &'static str| move |incident: &mut Incident| incident.instance.id = id.into();
        let phone = |incident: &mut Incident| incident.instance.phone = Some("1,a@evil.example,".into());
        assert_eq!(of("{{ instance.phone }}@sms.example", &phone).len(), 1);
        for id in
            [id("eve@evil.example,x"), id("eve@evil.example, x"), id("eve@evil.example <x"), id("<eve@evil.example>")]
        {
            let named = of("{{ instance.id }}@sms.example", &id);
            assert!(named.len() == 1 && named[0].parse::<Mailbox>().is_err(), "{named:?}");
        }
        // Nor does it take anybody away: its quotes are none around a comma of the operator's.
        let named = of("{{ instance.id }} <a@x.example>, {{ instance.id }} <b@x.example>", &id("\""));
        assert_eq!(named.len(), 2, "{named:?}");
        // The operator's own words may still name several, whatever stands beside them.
        let several = ["a@x.example", "\"B, b\" <b@x.example>"];
        assert_eq!(of("{{ instance.labels.several }}", &id(hostile)), several);
        assert_eq!(of("{% if incident.error %}{{ instance.labels.several }}{% endif %}", &id(hostile)), several);
        assert_eq!(of("{% if instance.id %}a@x.example, b@x.example{% endif %}", &id(hostile)), several.map(address));
    }

    #[test]
    fn single_braces_are_no_template() {
        for entry in
            ["{ instance.labels.owner }", "{owner}@x.example", "{{ instance.labels.a }}, { b }", "a }}@x.example"]
        {
            let problem = read(entry, Path::default()).err().unwrap();
            assert_eq!(problem.what, "single braces are not filled in", "{entry}");
        }
        for entry in ["{% if instance.name %}a@x.example{% endif %}", "{{ {'a': 'x'}['a'] }}@x.example"] {
            assert!(read(entry, Path::default()).is_ok(), "{entry}");
        }
    }

    #[test]
    fn the_labels_that_entries_name_are_known_with_their_places() {
        let place = |index: usize| Path::default().join("to").join(index);
        let entries =
            ["ops@example.com", "{{ instance.labels.onwer or instance.labels.boss }}", "{{ instance.name }}@x.example"];
        let read = |(index, entry): (usize, &&str)| read(entry, place(index)).unwrap();
        let recipients = Recipients(entries.iter().enumerate().map(read).collect());
        assert_eq!(recipients.labels(), [(place(1), "boss".to_owned()), (place(1), "onwer".to_owned())]);
    }
}
