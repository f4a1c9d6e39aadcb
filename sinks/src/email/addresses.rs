//! Addresses in the text that an entry of `to` is filled in to.

use lettre::message::Mailbox;

use crate::Incident;

/// Whether the text is plainly an address. A shortcut: most are, and the parser is slow.
pub(super) fn is_plain(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    text.split_once('@').is_some_and(|(user, host)| user.split('.').chain(host.split('.')).all(is_atom))
}

/// The characters that separate addresses or quote a separator, each with its stand-in in text that is not the operator's.
/// The stand-ins are private-use characters, which have no other meaning.
const SEALS: [(char, char); 3] = [(',', '\u{f700}'), ('"', '\u{f701}'), ('\\', '\u{f702}')];

/// Returns the incident with stand-ins for the separators in all text but its labels. Only a label may name several
/// recipients: the rest may come from a payload, and must stay one address or be refused as no address.
pub(super) fn seal(incident: &Incident) -> Incident {
    let mut sealed = incident.clone();
    let Incident { instance, error, acknowledged, .. } = &mut sealed;
    let by = acknowledged.as_mut().map(|acknowledged| &mut acknowledged.by);
    let words = [&mut instance.name, &mut instance.phone, error].into_iter().flatten();
    for words in words.chain([&mut instance.id]).chain(by) {
        *words = replaced(words, SEALS);
    }
    sealed
}

/// Undoes [`seal`] in one recipient.
fn unseal(text: &str) -> String {
    replaced(text, SEALS.map(|(separator, seal)| (seal, separator)))
}

fn replaced(text: &str, pairs: [(char, char); 3]) -> String {
    text.chars().map(|c| pairs.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)).collect()
}

/// Splits a rendered entry: a label may hold several addresses, separated by commas. A part that is no address becomes
/// a recipient of its own, which is later refused by name; the other addresses still get their messages.
pub(super) fn names(rendered: &str) -> Vec<String> {
    let name = |part: String| part.parse::<Mailbox>().map_or(part, |mailbox| mailbox.to_string());
    parts(rendered).map(unseal).map(name).collect()
}

/// The parts between the commas, without empty ones, such as after a trailing comma. A comma in quotes belongs to a
/// name (RFC 5322, 3.4), unless the quotes never end.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let mut separates = |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        c == ',' && !quoted
    };
    let parts: Vec<&str> = text.split(&mut separates).collect();
    let parts = if quoted { text.split(',').collect() } else { parts };
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn address(name: &str) -> String {
    let mailbox = name.parse::<Mailbox>();
    mailbox.map_or_else(|_| name.to_lowercase(), |mailbox| mailbox.email.to_string().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_name_several_or_nobody() {
        assert_eq!(names(" a@x.example, B <b@x.example>"), ["a@x.example", "B <b@x.example>"]);
        assert_eq!(names("\"Silva, Ana\" <a@x.example>,b@x.example"), ["\"Silva, Ana\" <a@x.example>", "b@x.example"]);
        assert_eq!(names("  "), Vec::<String>::new());
        assert_eq!(names("ask Ana"), ["ask Ana"]);
    }
}
