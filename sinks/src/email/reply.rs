//! What a relay's answer means. The class of its code decides, even for unknown codes (RFC 5321, 4.2.1); the stage of
//! the conversation and the enhanced code (RFC 3463, RFC 5248) tell whether it concerns the sink, the login or the
//! recipient.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::io::{self, ErrorKind};

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;

use super::answers;
use crate::failure::about_name_servers;
use crate::hidden::value_and_parts;
use crate::{Failure, FailureKind, excerpt, one_line};

/// How many consecutive characters a word shares with a login to count as a part of it.
const TELLING: usize = 4;
/// Shortest word, in characters, that counts as the beginning or the end of a login that was cut short.
const REST: usize = 2;

/// A stage of the conversation.
pub(super) enum Stage<'a> {
    /// Connecting and TLS, up to the greeting.
    Connect,
    Login,
    /// MAIL FROM
    Sender(&'a Address),
    /// RCPT TO
    Recipient(&'a Address),
    /// DATA
    Data(&'a Address),
    /// The content after DATA, up to the final dot.
    Message(&'a Address),
}

impl fmt::Display for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the greeting",
            Self::Login => "the login",
            Self::Sender(_) => "the sender",
            Self::Recipient(_) => "the recipient",
            Self::Data(_) | Self::Message(_) => "the message",
        })
    }
}

impl Stage<'_> {
    /// Whether a failure at this stage, before a recipient is named, would have met any other message as well.
    fn is_of_any_message(&self) -> bool {
        matches!(self, Self::Connect | Self::Login | Self::Sender(_))
    }
}

/// Returns what went wrong, in words and as a kind. `login` is what linedown logs in with, if it does; its password
/// never appears in the words.
pub(super) fn failure(
    stage: &Stage<'_>,
    error: &Error,
    (host, port): &(String, u16),
    login: Option<&Credentials>,
) -> Failure {
    if let Some(code) = error.status() {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let (code, text) = answers::sent(u16::from(code), &text);
        return answered(stage, code, &text, login);
    }
    if error.is_client() && matches!(stage, Stage::Login) {
        let what = format!("{host}:{port} offers no login method that linedown knows (PLAIN, LOGIN)");
        return Failure::new(FailureKind::Unauthorised, what).advice("does it want TLS first?");
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = io.map(io::Error::kind);
    if kind == Some(ErrorKind::TimedOut) {
        return Failure::new(FailureKind::TimedOut, format!("{host}:{port} gave no answer to {stage}"));
    }
    let what = match io {
        _ if kind == Some(ErrorKind::UnexpectedEof) || is_incomplete(error) => {
            format!("{host}:{port} closed the connection before it answered {stage}")
        }
        Some(io) => format!("{host}:{port} failed at {stage}: {io}"),
        // lettre's words may quote anything that the server said, even a secret that it repeats.
        None => format!("{host}:{port} answered {stage} with something that is not SMTP"),
    };
    Failure::new(FailureKind::Unreachable, what)
}

/// The failure to connect at all.
pub(super) fn unreachable(error: &io::Error, (host, port): &(String, u16)) -> Failure {
    let kind = if error.kind() == ErrorKind::TimedOut { FailureKind::TimedOut } else { FailureKind::Unreachable };
    let why = error.to_string();
    Failure::new(kind, format!("{host}:{port} cannot be reached: {why}")).advice(about_name_servers(&why))
}

/// Returns the failure that an answer of 4xx or 5xx means.
pub(super) fn answered(stage: &Stage<'_>, code: u16, text: &str, login: Option<&Credentials>) -> Failure {
    let is_about_login = is_about_login(stage, code, enhanced(text));
    let kind = kind(stage, code, enhanced(text), is_about_login);
    let text = login.map_or_else(|| Cow::Borrowed(text), |login| without_credentials(text, login).into());
    let reply = format!("{code} {}", excerpt(&text));
    let reply = reply.trim_end();
    let (what, advice) = match (kind, stage) {
        (FailureKind::Unauthorised, Stage::Connect) => {
            (Cow::from("the relay does not accept connections from this machine"), Some("ask whoever runs the relay"))
        }
        (FailureKind::Unauthorised, Stage::Sender(from)) if !is_about_login => {
            let advice = "correct `from`, or have it allowed at the relay";
            (format!("the relay does not let us send as {from}").into(), Some(advice))
        }
        (FailureKind::Unauthorised, _) if login.is_none() => {
            ("the relay requires a login".into(), Some("set `username` and `password`"))
        }
        (FailureKind::Unauthorised, _) => (
            "the relay does not accept our login".into(),
            Some("correct `username` and `password` (a credential needs a restart)"),
        ),
        (FailureKind::Refused, Stage::Recipient(to)) => {
            (format!("{to} is refused").into(), Some("correct `to`, or the label the address comes from"))
        }
        (FailureKind::Refused, _) => ("the relay refuses the message".into(), None),
        (FailureKind::Deferred | FailureKind::Busy, Stage::Recipient(to) | Stage::Data(to) | Stage::Message(to)) => {
            (format!("the relay does not accept mail for {to} now").into(), None)
        }
        _ => ("the relay cannot do it now".into(), None),
    };
    Failure::new(kind, format!("{what}: {reply}")).advice(advice)
}

fn kind(stage: &Stage<'_>, code: u16, enhanced: Option<[u16; 3]>, is_about_login: bool) -> FailureKind {
    match code {
        500.. if stage.is_of_any_message() || is_about_login => FailureKind::Unauthorised,
        500.. => FailureKind::Refused,
        _ if stage.is_of_any_message() => FailureKind::Busy,
        // 421: closing down. 454: no TLS or no login just now.
        421 | 454 => FailureKind::Busy,
        // 4.3.x: the mail system itself (RFC 3463).
        _ if matches!(enhanced, Some([4, 3, _])) => FailureKind::Busy,
        _ => FailureKind::Deferred,
    }
}

/// Whether an answer is about the login: RFC 4954, section 6, and RFC 5248 for 5.7.8 to 5.7.14. Once a recipient is
/// named, 5.7.9 and above do not count: the recipient's own system may send them (Exchange: it takes nothing from
/// outside).
fn is_about_login(stage: &Stage<'_>, code: u16, enhanced: Option<[u16; 3]>) -> bool {
    let last = if stage.is_of_any_message() { 14 } else { 8 };
    matches!(code, 530 | 534 | 535 | 538)
        || enhanced.is_some_and(|[a, b, c]| (a, b) == (5, 7) && (8..=last).contains(&c))
}

fn enhanced(text: &str) -> Option<[u16; 3]> {
    let mut numbers = text.split_whitespace().next()?.split('.').map(|number| number.parse().ok());
    let code = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(code)
}

/// Removes every word that may be part of the login. Some servers repeat the command that they refuse, also cut short,
/// folded or in another case, and AUTH contains the password. The other words stay, because they say what is wrong.
fn without_credentials(text: &str, credentials: &Credentials) -> String {
    // Cleaned first: an invisible character would split a word here, and be gone when the text is shown.
    let mut text = one_line(text, usize::MAX);
    if let Ok(password) = Mechanism::Login.response(credentials, Some("Password:")) {
        // The longest first: nothing of it may be left. A short one is hidden, too: it is a login that somebody chose.
        let whole = one_line(&password, usize::MAX);
        text =
            [whole.clone()].into_iter().chain(value_and_parts(&whole)).fold(text, |text, part| without(&text, &part));
    }
    let sent = sent(credentials);
    let is_sent = |word: &str| word.split(|c| !is_base64(c)).any(|part| sent.iter().any(|sent| is_part(part, sent)));
    let words: Vec<&str> = text.split(' ').map(|word| if is_sent(word) { "…" } else { word }).collect();
    words.join(" ")
}

/// Returns the text without the password, which may be there in another case.
fn without(text: &str, password: &str) -> String {
    // Lower case by ASCII changes no length, so positions stay the same.
    let (plain, password) = (text.to_ascii_lowercase(), password.to_ascii_lowercase());
    if password.is_empty() {
        return text.to_owned();
    }
    let (mut rest, mut kept) = (0, String::new());
    for (at, found) in plain.match_indices(&password) {
        kept.extend([&text[rest..at], "…"]);
        rest = at + found.len();
    }
    kept + &text[rest..]
}

/// What a login sends, in lower case and without the `=` at its end: PLAIN sends all of it at once, LOGIN the password
/// alone, when the server asks for it by this name.
fn sent(credentials: &Credentials) -> Vec<String> {
    let steps = [(Mechanism::Plain, None), (Mechanism::Login, Some("Password:".to_owned()))];
    let commands = steps.map(|(mechanism, challenge)| Auth::new(mechanism, credentials.clone(), challenge));
    let commands = commands.into_iter().flatten().map(|command| command.to_string());
    let last = commands.filter_map(|command| command.split_whitespace().last().map(str::to_ascii_lowercase));
    last.map(|sent| sent.trim_end_matches('=').to_owned()).collect()
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/')
}

/// Whether a part of a word may be a part of what was sent.
fn is_part(part: &str, sent: &str) -> bool {
    let part = part.to_ascii_lowercase();
    let is_rest = part.len() >= REST && (sent.starts_with(&part) || sent.ends_with(&part));
    // All of it is ASCII.
    is_rest || part.as_bytes().windows(TELLING).any(|few| sent.as_bytes().windows(TELLING).any(|other| few == other))
}

/// Whether the connection ended before or in the middle of an answer.
fn is_incomplete(error: &Error) -> bool {
    error.is_response() && error.source().is_some_and(|source| source.to_string() == "incomplete response")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_and_the_codes_decide() {
        use FailureKind::{Busy, Deferred, Refused, Unauthorised};
        let [from, to]: [Address; 2] = ["alerts@example.com", "ana@example.com"].map(|text| text.parse().unwrap());
        let credentials = Credentials::new("linedown".into(), "hunter2".into());
        for (stage, reply, kind) in [
            (Stage::Connect, "421 4.3.2 going down", Busy),
            (Stage::Connect, "554 5.7.1 you are listed", Unauthorised),
            (Stage::Login, "535 5.7.8 no", Unauthorised),
            (Stage::Login, "500 what?", Unauthorised),
            (Stage::Login, "454 4.7.0 try later", Busy),
            (Stage::Sender(&from), "530 5.7.0 log in first", Unauthorised),
            (Stage::Sender(&from), "553 5.7.1 not yours", Unauthorised),
            (Stage::Sender(&from), "451 4.7.1 slow down", Busy),
            (Stage::Recipient(&to), "550 5.1.1 no such user", Refused),
            (Stage::Sender(&from), "550 5.7.12 change the password first", Unauthorised),
            (Stage::Recipient(&to), "550 5.7.8 log in first", Unauthorised),
            (Stage::Recipient(&to), "550 5.7.12 not from outside", Refused),
            (Stage::Message(&to), "550 5.7.14 not from outside", Refused),
            (Stage::Recipient(&to), "599", Refused),
            (Stage::Recipient(&to), "450 4.2.0 greylisted", Deferred),
            (Stage::Recipient(&to), "452 4.2.2 mailbox full", Deferred),
            (Stage::Recipient(&to), "452 4.3.1 disk full", Busy),
            (Stage::Recipient(&to), "421 closing", Busy),
            (Stage::Recipient(&to), "499", Deferred),
            (Stage::Message(&to), "554 5.7.1 looks like spam", Refused),
            (Stage::Message(&to), "451 4.3.0 queue file", Busy),
        ] {
            let (code, text) = reply.split_once(' ').unwrap_or((reply, ""));
            let failure = answered(&stage, code.parse().unwrap(), text, Some(&credentials));
            assert_eq!(failure.kind, kind, "{stage}: {reply}");
            assert!(failure.message.contains(reply), "{failure}");
        }
    }

    #[test]
    fn what_to_do_survives_a_long_answer() {
        let to = "ana@example.com".parse().unwrap();
        assert!(answered(&Stage::Recipient(&to), 550, &"no ".repeat(400), None).in_full().ends_with("comes from"));
    }

    #[test]
    fn who_has_no_login_is_told_to_set_one() {
        let from = "alerts@example.com".parse().unwrap();
        let failure = answered(&Stage::Sender(&from), 530, "5.7.0 Must issue AUTH first", None);
        assert_eq!(failure.advice, Some("set `username` and `password`"), "{failure}");
    }

    #[test]
    fn of_a_password_in_several_words_no_long_one_is_shown() {
        let credentials = Credentials::new("linedown".into(), "hunter2canary of swordfish".into());
        let failure = answered(&Stage::Login, 535, "who is Hunter2canary? what is \"swordfish\"?", Some(&credentials));
        assert_eq!(failure.message, "the relay does not accept our login: 535 who is …? what is \"…\"?");
    }

    #[test]
    fn a_repeated_command_does_not_show_the_password_however_it_is_repeated() {
        let credentials = Credentials::new("linedown".into(), "hunter2 & co".into());
        for (said, shown) in [
            // Whole: of PLAIN, of LOGIN, and in the clear.
            ("AUTH PLAIN AGxpbmVkb3duAGh1bnRlcjIgJiBjbw== or aHVudGVyMiAmIGNv failed", "AUTH PLAIN … or … failed"),
            ("no 'Hunter2 & Co' here", "no '…' here"),
            // Cut short, at either end.
            ("unknown: AUTH PLAIN AGxpbmVkb3duAGh1bnRl", "unknown: AUTH PLAIN …"),
            ("what is \"aHVudGVy...\"?", "what is …"),
            ("what is aHV", "what is …"),
            ("what is ...AmIGNv?", "what is …"),
            ("what is GNv", "what is …"),
            // In other case, in pieces, and with something invisible between.
            ("AUTH PLAIN AGXPBMVKB3DUAGH1BNRLCJIGJIBJBW==", "AUTH PLAIN …"),
            ("auth plain agxpbmvkb3duagh1bnrlcjig", "auth plain …"),
            ("AUTH PLAIN AGxpbmVkb3du\nAGh1bnRl\ncjIgJiBjbw%3D", "AUTH PLAIN … … …"),
            ("what is aHVudG\u{200b}VyMiAmIGNv", "what is …"),
            // The words that help stay.
            ("5.7.8 Username and Password not accepted", "5.7.8 Username and Password not accepted"),
            (
                "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. \
                 Visit https://aka.ms/smtp_auth_disabled",
                "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. \
                 Visit https://aka.ms/smtp_auth_disabled",
            ),
        ] {
            let failure = answered(&Stage::Login, 535, said, Some(&credentials));
            assert_eq!(failure.message, format!("the relay does not accept our login: 535 {shown}"), "{said}");
        }
    }
}
