//! Makes text fit to be shown: nothing invisible in text from outside, no stray blanks in messages.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns a text as one line of at most `most` characters. White space and control characters become single spaces;
/// invisible characters that change how the rest is read ([`is_deceptive`]) are removed. A text without a visible
/// character becomes empty.
pub fn one_line(text: &str, most: usize) -> String {
    line(text, most, |c| !is_deceptive(c))
}

/// Like [`one_line`], for a text of linedown's own in which everything from outside has been cleaned already: the marks
/// of [`isolated`] stay.
pub(super) fn one_line_of_ours(text: &str, most: usize) -> String {
    line(text, most, |c| matches!(c, ISOLATE | END) || !is_deceptive(c))
}

/// Returns an identifier as [`one_line`] does. If nothing in it can be seen, it is spelt out: `\u{3164}`.
pub(crate) fn identifier(text: &str, most: usize) -> String {
    if is_visible(text) { one_line(text, most) } else { one_line(&text.escape_unicode().to_string(), most) }
}

/// Whether there is anything to look at.
pub(crate) fn is_visible(text: &str) -> bool {
    let is_blank =
        |c: char| c.is_whitespace() || c.is_control() || is_deceptive(c) || matches!(c, '\u{200c}' | '\u{200d}');
    !text.chars().all(is_blank)
}

fn line(text: &str, most: usize, is_kept: impl Fn(char) -> bool) -> String {
    let text = text.trim();
    if text.len() <= most && is_line(text, &is_kept) {
        return text.to_owned();
    }
    if !is_visible(text) {
        return String::new();
    }
    let mut line = String::new();
    let mut length = 0;
    let mut gap = false;
    for c in text.chars() {
        if !is_kept(c) && (c != IN_COLOUR || gap || !line.ends_with(is_sign)) {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            gap = length > 0;
            continue;
        }
        let width = if gap { 2 } else { 1 };
        if length + width > most {
            if length == most {
                line.pop();
            }
            line.push('…');
            break;
        }
        if gap {
            line.push(' ');
        }
        line.push(c);
        length += width;
        gap = false;
    }
    line
}

/// Whether a text is such a line already, and has a visible ASCII character. A shortcut: most are.
fn is_line(text: &str, is_kept: impl Fn(char) -> bool) -> bool {
    let (mut last, mut is_seen) = (' ', false);
    let is_line = text.chars().all(|c| {
        let before = std::mem::replace(&mut last, c);
        is_seen |= c.is_ascii_graphic();
        c.is_ascii_graphic()
            || c == ' ' && before != ' '
            || !c.is_ascii() && is_kept(c) && !c.is_whitespace() && !c.is_control()
    });
    is_line && is_seen && last != ' '
}

/// Whether a character is invisible and yet changes what people read, or makes a name look empty: Unicode's
/// `Default_Ignorable_Code_Point`, the marks around annotations, and the blank of Braille. The joiners with which emoji and
/// some scripts are written are not among them.
pub fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Shows the sign before it as an emoji (Unicode Technical Standard 51, 1.4.3).
const IN_COLOUR: char = '\u{fe0f}';

/// Whether a character may be an emoji. After a letter, an invisible character would make two names look the same.
fn is_sign(c: char) -> bool {
    !c.is_ascii() && !c.is_alphanumeric() && !is_deceptive(c)
}

/// FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE: the text between them is ordered by itself.
const ISOLATE: char = '\u{2068}';
const END: char = '\u{2069}';

/// Isolates a name that is written from right to left from the text beside it. Without that, a number after the name
/// would be shown before it, or in another order (Unicode Standard Annex 9, 2.4 and 6.3).
pub(super) fn isolated(name: String) -> String {
    if name.chars().any(is_right_to_left) { format!("{ISOLATE}{name}{END}") } else { name }
}

/// Whether a character belongs to a script that is written from right to left, by the blocks that Unicode reserves for
/// those.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        || matches!(c, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// Removes the blanks that a template's own lines leave: at the ends of lines, at both ends of the text, and all but
/// one of several empty lines.
pub(super) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && (tidy.is_empty() || tidy.ends_with("\n\n"))) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.trim().to_owned()
}

/// Escapes text for Slack's mrkdwn: `&`, `<` and `>` as in Slack's reference ("Formatting text for app surfaces",
/// "Escaping text"), so that in a `verbatim` text object the text can neither mention nor link. The signs for bold, code
/// and strike-through become look-alikes, as Slack has no escape for them.
pub(super) fn mrkdwn(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| b"&<>`*~".contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '`' => escaped.push('\''),
            '*' => escaped.push('∗'),
            '~' => escaped.push('∼'),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Breaks up what mail programs would decode in a header (RFC 2047, 2: `=?utf-8?q?…?=`), so that they show a name as it
/// is written. lettre encodes words for other reasons only.
pub(crate) fn without_encoded_words(text: &str) -> String {
    text.replace("=?", "= ?")
}

/// The most bytes of a URL that is shown: a longer one would break on its way through mail and chat.
const URL: usize = 2_000;

/// Makes a URL fit for any message: every character with a meaning in text, HTML or mrkdwn is percent-encoded, which
/// RFC 3986 (2.2, 2.4) allows in a finished URL. Returns none if it is no web address, or too long: a cut URL would
/// lead elsewhere.
pub(super) fn address(url: &str) -> Option<String> {
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.len() > URL {
        return None;
    }
    let mut clean = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => clean.push(char::from(byte)),
            _ if b"-._:/?#[]@!$&()+,;=%".contains(&byte) => clean.push(char::from(byte)),
            other => _ = write!(clean, "%{other:02X}"),
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_single_visible_and_bounded() {
        for (text, line) in [
            ("", ""),
            (" \n ", ""),
            ("  a \r\n\t b\u{2028}c ", "a b c"),
            ("a\0b\u{7f}\u{9b}c", "a b c"),
            ("a\u{202e}gpj.exe\u{2066}\u{200b}", "agpj.exe"),
            ("1234567890", "1234567890"),
            ("12345678901", "123456789…"),
            ("12345678 901", "12345678 …"),
            ("123456789 0", "123456789…"),
            ("👩‍🔧 ação", "👩‍🔧 ação"),
            // Emoji keep what colours them; elsewhere the same character hides.
            ("⚠\u{fe0f} Loja", "⚠\u{fe0f} Loja"),
            ("⚠\u{fe0f}\u{fe0f}", "⚠\u{fe0f}"),
            ("❤\u{fe0f}\u{200d}🔥", "❤\u{fe0f}\u{200d}🔥"),
            ("\u{fe0f}L\u{fe0f}o \u{fe0f}j", "Lo j"),
            ("a\u{34f}\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}b", "ab"),
            ("a\u{fe00}\u{fe0e}\u{e0100}\u{e01ef}\u{17b4}\u{180b}b", "ab"),
            // Joiners alone are nothing to look at.
            ("\u{200d} \u{200c}\u{fe0f}", ""),
        ] {
            assert_eq!(one_line(text, 10), line, "{text:?}");
        }
    }

    #[test]
    fn only_what_is_written_from_right_to_left_is_set_apart() {
        for (name, set_apart) in [
            ("Loja Centro ação", "Loja Centro ação"),
            ("متجر 12", "\u{2068}متجر 12\u{2069}"),
            ("Loja חנות", "\u{2068}Loja חנות\u{2069}"),
        ] {
            assert_eq!(isolated(name.to_owned()), set_apart);
            assert_eq!(one_line_of_ours(set_apart, 80), set_apart);
            assert_eq!(one_line(set_apart, 80), name);
        }
    }

    #[test]
    fn templates_leave_no_blanks_behind() {
        assert_eq!(tidy("\n \n a  \n\n\n  b\r\n\n"), "a\n\n  b");
        assert_eq!(tidy(" \n"), "");
    }

    #[test]
    fn slack_shows_what_it_would_obey() {
        assert_eq!(mrkdwn("<!channel> & `*~x~*`"), "&lt;!channel&gt; &amp; '∗∼x∼∗'");
    }

    #[test]
    fn addresses_are_whole_and_mean_nothing_else() {
        for (url, clean) in [
            ("https://a.example/ack/7?t=x_Y-9&u=%20", Some("https://a.example/ack/7?t=x_Y-9&u=%20")),
            ("http://[::1]:8080/a|b> <!channel>", Some("http://[::1]:8080/a%7Cb%3E%20%3C!channel%3E")),
            ("https://a.example/\"'*~`\r\n\u{202e}", Some("https://a.example/%22%27%2A%7E%60%0D%0A%E2%80%AE")),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            assert_eq!(address(url).as_deref(), clean, "{url:?}");
        }
        assert_eq!(address(&format!("https://{}", "x".repeat(URL))), None);
    }
}
