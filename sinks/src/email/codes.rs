//! Pure: reply codes that lettre cannot read, spelt on their way to it so that it can.
//!
//! The first digit of a code says what an answer means, even if the rest is unknown (RFC 5321, 4.2.1). lettre refuses a
//! code whose second digit is above 5, such as 571, and a code without a text. Here such a digit becomes 5, and a mark
//! before the text keeps it, so that the true code gets into the record.

use lettre::transport::smtp::response::Response;

/// What lettre reads instead of a second digit above 5.
const KNOWN: u8 = b'5';
/// Stands before the true second digit, at the beginning of a line's text.
const MARK: char = '\u{1}';

/// Reads a relay's answers, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// How many characters of the line have come, up to the end of its code.
    column: u8,
    /// The true second digit of the line's code, if lettre cannot read it.
    second: Option<u8>,
}

impl Codes {
    /// Appends bytes from the relay to `spelt`, as lettre can read them.
    pub(super) fn spell(&mut self, bytes: &[u8], spelt: &mut Vec<u8>) {
        for byte in bytes {
            match (self.column, byte) {
                (1, b'6'..=b'9') => {
                    self.second = Some(*byte);
                    spelt.push(KNOWN);
                }
                (3, b'\r' | b' ' | b'-') => {
                    spelt.push(if *byte == b'-' { b'-' } else { b' ' });
                    if let Some(digit) = self.second.take() {
                        spelt.extend([MARK as u8, digit]);
                    }
                    spelt.extend((*byte == b'\r').then_some(b'\r'));
                }
                _ => spelt.push(*byte),
            }
            self.column = if *byte == b'\n' { 0 } else { self.column.saturating_add(1) };
            if self.column == 0 {
                self.second = None;
            }
        }
    }
}

/// The code and the text that the relay sent, of an answer as lettre read it.
pub(super) fn sent(code: u16, text: &str) -> (u16, String) {
    let marked = |text: &str| text.strip_prefix(MARK).and_then(|text| text.chars().next()?.to_digit(10));
    let Some(second) = marked(text).and_then(|digit| u16::try_from(digit).ok()) else {
        return (code, text.to_owned());
    };
    // Each line of an answer has the same code, and so the same mark.
    (code / 100 * 100 + second * 10 + code % 10, text.replace(&format!("{MARK}{second}"), ""))
}

/// The code and the text of an answer, its lines joined by spaces.
pub(super) fn of(answer: &Response) -> (u16, String) {
    sent(u16::from(answer.code()), &answer.message().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spell(answer: &str, cuts: &[usize]) -> String {
        let (mut codes, mut spelt, mut rest) = (Codes::default(), Vec::new(), answer.as_bytes());
        for cut in cuts {
            let (part, later) = rest.split_at((*cut).min(rest.len()));
            codes.spell(part, &mut spelt);
            rest = later;
        }
        codes.spell(rest, &mut spelt);
        String::from_utf8(spelt).unwrap()
    }

    #[test]
    fn a_code_without_a_text_is_a_code() {
        let answer: Response = spell("571\r\n", &[]).parse().unwrap();
        assert_eq!(of(&answer), (571, String::new()));
        let answer: Response = spell("250\r\n", &[]).parse().unwrap();
        assert_eq!(of(&answer), (250, String::new()));
    }

    #[test]
    fn what_is_no_code_stays_none() {
        for babble in ["what?\r\n", "27\r\n", "27x no\r\n", "199 no\r\n", "699 no\r\n", "5711 no\r\n", "\r\n"] {
            assert!(spell(babble, &[]).parse::<Response>().is_err(), "{babble}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

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
            let spelt = spell(&wire, &cuts);
            let mut rest = spelt.as_str();
            for (code, lines) in answers {
                let answer: Response = rest.parse().unwrap();
                prop_assert_eq!(of(&answer), (code, lines.join(" ")));
                rest = rest.splitn(lines.len() + 1, "\r\n").last().unwrap();
            }
        }
    }
}
