//! Pure: a relay's answers, spelt on their way to lettre so that it can read them.
//!
//! Three digits begin an answer, and the first of them says what it means, even if the rest is unknown (RFC 5321,
//! 4.2.1). lettre wants more: a second digit up to 5, a blank or a `-` after the code, the same code in each line,
//! lines that are not long and end with CR LF, and UTF-8. An answer that it cannot read would make linedown send again
//! what the relay has taken.
//!
//! All lines of an answer have one code (RFC 5321, 4.2.1), but some relays vary it within its class, and some wrap a
//! text without a code before each line. Such a line may begin with a number that looks like a code, as in `250
//! messages a day`, so in an answer that goes on, only a code of the first line's class counts: a no stays a no. A yes
//! is taken back by a line that is complete with a no: a message that is sent again is better than a lost one. If no
//! line ends an answer, the time limit of the command does, or the limit on an answer's bytes.

use std::mem::take;

use lettre::transport::smtp::response::Response;

/// The most bytes of a line that count, as RFC 5321, 4.5.3.1.5, has it.
const LINE: usize = 512;
/// The most bytes of an answer that are passed on; lettre reads 100,000.
const WHOLE: usize = 64 * 1024;
/// The most bytes that are added to a line's text: its code, a blank and its end.
const FRAME: usize = 6;
/// What lettre reads instead of a second digit above 5.
const KNOWN: u8 = b'5';
/// Stands before the true second digit, at the beginning of an answer's text.
const MARK: char = '\u{1}';

/// The three digits that begin an answer.
type Code = [u8; 3];

/// Reads a relay's answers, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The code of the first line, in an answer that goes on.
    first: Option<Code>,
    /// The texts of the answer's lines that have ended.
    texts: Vec<String>,
    /// How many bytes those will have as lines.
    length: usize,
}

impl Answers {
    /// Takes bytes from the relay. Appends each answer that is complete to `spelt`, as lettre can read it. A line that
    /// begins no answer is passed on.
    pub(super) fn spell(&mut self, bytes: &[u8], spelt: &mut Vec<u8>) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(spelt),
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self, spelt: &mut Vec<u8>) {
        let line = take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        match (split(line), self.first) {
            (Some((code, rest)), first) if first.is_none_or(|first| counts(first, code, rest)) => {
                self.keep(rest.strip_prefix(b"-").or(rest.strip_prefix(b" ")).unwrap_or(rest));
                if rest.starts_with(b"-") {
                    self.first = first.or(Some(code));
                } else {
                    self.end(code, spelt);
                }
            }
            (_, None) => spelt.extend([text(line).as_bytes(), b"\r\n"].concat()),
            (_, Some(_)) => self.keep(line),
        }
    }

    fn keep(&mut self, line: &[u8]) {
        let text = text(line);
        self.length += text.len() + FRAME;
        if self.length <= WHOLE {
            self.texts.push(text);
        }
    }

    /// Ends an answer with its last line's code, which is passed on for all lines.
    fn end(&mut self, [first, second, third]: Code, spelt: &mut Vec<u8>) {
        (self.first, self.length) = (None, 0);
        let texts = take(&mut self.texts);
        let known = if second > KNOWN { KNOWN } else { second };
        // lettre also wants a word in the answer to EHLO.
        let is_marked = known != second || texts.first().is_some_and(|text| text.trim().is_empty());
        for (index, text) in texts.iter().enumerate() {
            let separator = if index + 1 < texts.len() { b'-' } else { b' ' };
            spelt.extend([first, known, third, separator]);
            if index == 0 && is_marked {
                spelt.extend([MARK as u8, second]);
            }
            spelt.extend([text.as_bytes(), b"\r\n"].concat());
        }
    }
}

/// A line's code and what follows it.
fn split(line: &[u8]) -> Option<(Code, &[u8])> {
    let (code, rest) = line.split_first_chunk()?;
    (matches!(code[0], b'2'..=b'5') && code.iter().all(u8::is_ascii_digit)).then_some((*code, rest))
}

/// Whether a further line of an answer that began with the code `first` has a code itself. If not, all of it is text.
fn counts(first: Code, code: Code, rest: &[u8]) -> bool {
    let is_last = matches!(rest, [] | [b' ', ..]);
    let takes_back = !is_no(first) && is_no(code) && is_last;
    code == first || takes_back || code[0] == first[0] && (is_last || rest.starts_with(b"-"))
}

fn is_no(code: Code) -> bool {
    code[0] >= b'4'
}

fn text(line: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(line).replace(MARK, " ");
    text.truncate(text.floor_char_boundary(LINE));
    text
}

/// The code and the text that the relay sent, of an answer as lettre read it.
pub(super) fn sent(code: u16, text: &str) -> (u16, String) {
    let marked = text.strip_prefix(MARK).and_then(|rest| rest.split_at_checked(1));
    let Some((second, rest)) = marked.and_then(|(digit, rest)| Some((digit.parse::<u16>().ok()?, rest))) else {
        return (code, text.to_owned());
    };
    (code / 100 * 100 + second * 10 + code % 10, rest.to_owned())
}

/// The code and the text of an answer, its lines joined by spaces.
pub(super) fn of(answer: &Response) -> (u16, String) {
    sent(u16::from(answer.code()), &answer.message().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spell(answer: &[u8], cuts: &[usize]) -> String {
        let (mut answers, mut spelt, mut rest) = (Answers::default(), Vec::new(), answer);
        for cut in cuts {
            let (part, later) = rest.split_at((*cut).min(rest.len()));
            answers.spell(part, &mut spelt);
            rest = later;
        }
        answers.spell(rest, &mut spelt);
        String::from_utf8(spelt).unwrap()
    }

    fn read(answer: &[u8]) -> (u16, String) {
        of(&spell(answer, &[]).parse().unwrap_or_else(|error| panic!("{answer:?}: {error}")))
    }

    #[test]
    fn an_answer_is_read_however_it_is_put() {
        for (answer, code, text) in [
            (&b"571\r\n"[..], 571, ""),
            (b"250\r\n", 250, ""),
            (b"250 ok\n", 250, "ok"),
            (b"250ok\r\n", 250, "ok"),
            (b"2502.0.0 ok\r\n", 250, "2.0.0 ok"),
            (b"250\tok\r\n", 250, "\tok"),
            (b"250 caf\xe9 ok\r\n", 250, "caf\u{fffd} ok"),
            ("250 café ok\r\n".as_bytes(), 250, "café ok"),
            (b"250 \x019 ok\r\n", 250, " 9 ok"),
            (b"250 \0\r ok\r\r\n", 250, "\0\r ok\r"),
            // Within a class the last line decides, and what stands between belongs to the text.
            (b"250-a\r\n251-b\r\n271 c\r\n", 271, "a b c"),
            (b"550-a\r\nb\r\n\r\n550 c\r\n", 550, "a b  c"),
            (b"220-\r\n220 \r\n", 220, " "),
            // A number in a wrapped text is no code.
            (b"550-at most\r\n250 a day\r\n550 see\r\n", 550, "at most 250 a day see"),
            (b"550-at most\r\n250\r\n450-\r\n551 c\r\n", 551, "at most 250 450- c"),
            (b"450-at most\r\n550 a day\r\n450 see\r\n", 450, "at most 550 a day see"),
            (
                b"250-you have\r\n354 left\r\n2512 of all\r\n550-odd\r\n250 ok\r\n",
                250,
                "you have 354 left 2512 of all 550-odd ok",
            ),
            // A yes may be taken back.
            (b"250-ok\r\n550 no\r\n", 550, "ok no"),
            (b"250-ok\r\n450\r\n", 450, "ok "),
            (b"354-go\r\n554-5.7.1 no\r\n554 5.7.1 no\r\n", 554, "go 554-5.7.1 no 5.7.1 no"),
        ] {
            assert_eq!(read(answer), (code, text.to_owned()), "{answer:?}");
        }
    }

    #[test]
    fn of_a_long_answer_as_much_is_read_as_lettre_takes() {
        let long = [b"250 2.0.0 ", "é".repeat(3000).as_bytes(), b"\r\n"].concat();
        let (code, text) = read(&long);
        assert!(code == 250 && text.starts_with("2.0.0 éé") && (LINE - 8..=LINE).contains(&text.len()), "{text}");
        let many = [&b"250-\xe9\xe9\xe9\xe9\n".repeat(7000)[..], b"250 ok\n"].concat();
        assert!(spell(&many, &[]).len() <= WHOLE && read(&many).0 == 250);
    }

    #[test]
    fn a_no_is_not_ended_by_a_yes() {
        for unfinished in ["550-no\r\n250 ok\r\n", "450-no\r\n354 go\r\n250\r\n", "250-ok\r\n354 go\r\n"] {
            assert_eq!(spell(unfinished.as_bytes(), &[]), "", "{unfinished}");
        }
    }

    #[test]
    fn what_is_no_code_stays_none() {
        for babble in ["what?\r\n", "27\r\n", "27x no\r\n", "199 no\r\n", "699 no\r\n", "\r\n"] {
            assert!(spell(babble.as_bytes(), &[]).parse::<Response>().is_err(), "{babble}");
        }
    }

    /// A line of an answer: of any code, or of a wrapped text that begins with a number or with none.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof!["[2-5][0-9]{2}[ -][ -~]{0,8}", "[2-5][0-9]{2}", "[0-9]{1,6}[ -~]{0,8}", "[ -~]{0,12}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Whatever lines follow, in an answer that begins as a no or that is taken back.
        #[test]
        fn a_no_never_becomes_a_yes(
            first in 200_u16..600,
            lines in prop::collection::vec(line(), 0..8),
            last in 0_u16..100,
            cuts in prop::collection::vec(0_usize..20, 0..8),
        ) {
            let class = first / 100;
            let wire = format!("{first}-a\r\n{}{} z\r\n", lines.join("\r\n") + "\r\n", class * 100 + last);
            let answer: Response = spell(wire.as_bytes(), &cuts).parse().unwrap();
            let (read, length) = (of(&answer).0, answer.message().count());
            if class >= 4 {
                prop_assert_eq!(read / 100, class);
            } else if read < 400 {
                let is_no = |line: &str| matches!(split(line.as_bytes()), Some((code, [] | [b' ', ..])) if is_no(code));
                prop_assert!(!wire.lines().take(length).any(is_no), "{wire}");
            }
        }

        /// A text that is wrapped belongs to its answer as a whole: nothing of it is left for the next command.
        #[test]
        fn a_wrapped_no_is_read_to_its_end(
            code in 400_u16..600,
            lines in prop::collection::vec(line(), 0..8),
            cuts in prop::collection::vec(0_usize..20, 0..8),
        ) {
            let class = code.to_string().remove(0);
            let lines: Vec<String> = lines.into_iter().filter(|line| !line.starts_with(class)).collect();
            let between: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
            let spelt = spell(format!("{code}-a\r\n{between}{code} z\r\n250 ok\r\n").as_bytes(), &cuts);
            let answer = spelt.strip_suffix("250 ok\r\n").unwrap().parse::<Response>().unwrap();
            let text = [&["a".to_owned()][..], &lines, &["z".to_owned()]].concat().join(" ");
            prop_assert_eq!(of(&answer), (code, text));
        }

        /// Several answers in a row, cut anywhere: each is read with the code and the text that were sent.
        #[test]
        fn every_code_is_read_as_it_was_sent(
            answers in prop::collection::vec((200_u16..600, prop::collection::vec("[ -~]{0,12}", 1..4)), 1..4),
            cuts in prop::collection::vec(0_usize..9, 0..12),
        ) {
            let mut wire = String::new();
            for (code, lines) in &answers {
                for (index, line) in lines.iter().enumerate() {
                    let separator = if index + 1 < lines.len() { "-" } else { " " };
                    wire.extend([&code.to_string(), separator, line.as_str(), "\r\n"]);
                }
            }
            let spelt = spell(wire.as_bytes(), &cuts);
            let mut rest = spelt.as_str();
            for (code, lines) in answers {
                let answer: Response = rest.parse().unwrap();
                prop_assert_eq!(of(&answer), (code, lines.join(" ")));
                rest = rest.splitn(lines.len() + 1, "\r\n").last().unwrap();
            }
        }

        /// Whatever a relay adds to its code, one answer with this code is read, and lettre takes it.
        #[test]
        fn no_words_hide_a_code(
            code in 200_u16..600,
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 1..5),
            long in prop::option::weighted(0.1, 500_usize..1500),
            cuts in prop::collection::vec(0_usize..60, 0..4),
            bare in any::<bool>(),
        ) {
            let end: &[u8] = if bare { b"\n" } else { b"\r\n" };
            let mut wire = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                let bytes = line.iter().copied().filter(|byte| *byte != b'\n');
                let line: Vec<u8> = bytes.cycle().take(long.unwrap_or(line.len())).collect();
                // The last line may follow its code without a blank, unless it would say that more follows.
                let separator: &[u8] = match line.first() {
                    _ if index + 1 < lines.len() => b"-",
                    Some(b'-') => b" ",
                    _ => b"",
                };
                wire.extend([code.to_string().as_bytes(), separator, line.as_slice(), end].concat());
            }
            let spelt = spell(&wire, &cuts);
            let answer: Response = spelt.parse().unwrap();
            prop_assert_eq!(of(&answer).0, code);
            prop_assert_eq!(spelt.matches("\r\n").count(), lines.len());
            prop_assert!(spelt.split_inclusive("\r\n").all(|line| line.len() <= LINE + 8));
            prop_assert!(answer.first_word().is_some());
        }
    }
}
