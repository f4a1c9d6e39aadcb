//! Globs and regexes over whole texts, bounded in size.

use regex::{Regex, RegexBuilder};

/// Longest glob, regex or plain text, in bytes.
const LONGEST: usize = 4 * 1024;

/// Largest compiled pattern, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Compiles a regex, anchored at both ends as Alertmanager's are. The text must be a regex by itself first, so that
/// `a)|(b` cannot break out of the anchors.
pub(super) fn regex(text: &str, ignore_case: bool) -> Result<Regex, String> {
    bounded(text)?;
    compile(text, ignore_case)?;
    compile(&format!("^(?s:{text})$"), ignore_case)
}

/// Fails if a text is too long.
pub(super) fn bounded(text: &str) -> Result<(), String> {
    if text.len() > LONGEST { Err(format!("longer than {LONGEST} bytes")) } else { Ok(()) }
}

fn compile(regex: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(regex).case_insensitive(ignore_case).size_limit(LARGEST).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(_) => "it is too big when compiled".to_owned(),
            // A drawing over several lines; the last one says why.
            other => {
                let text = other.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        }
    })
}

/// Compiles a glob over a whole text. `?` is any one character, not a byte: `S?o` matches `São`. `*` is anything, also
/// `/`, since these are no file names. (The globs of libraries are made for paths and do neither.)
pub(super) fn glob(text: &str, ignore_case: bool) -> Result<Regex, String> {
    bounded(text)?;
    compile(&format!("^(?s:{})$", translate(text)?), ignore_case)
}

fn translate(text: &str) -> Result<String, String> {
    let mut regex = String::new();
    let mut open_braces = 0_usize;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => regex.push_str(&class(&mut rest)?),
            '{' => {
                open_braces += 1;
                regex.push_str("(?:");
            }
            ',' if open_braces > 0 => regex.push('|'),
            '}' if open_braces > 0 => {
                open_braces -= 1;
                regex.push(')');
            }
            '\\' => regex.push_str(&literal(rest.next().ok_or("a backslash at its end")?)),
            c => regex.push_str(&literal(c)),
        }
    }
    if open_braces > 0 { Err("`{` without `}`".into()) } else { Ok(regex) }
}

/// Translates the rest of a `[…]`, including the `]`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<String, String> {
    let mut class = String::from("[");
    let mut first = true;
    if rest.as_str().starts_with(['!', '^']) {
        rest.next();
        class.push('^');
    }
    for c in rest.by_ref() {
        match c {
            ']' if !first => {
                class.push(']');
                return Ok(class);
            }
            '-' => class.push('-'),
            c => class.push_str(&literal(c)),
        }
        first = false;
    }
    Err("`[` without `]`".into())
}

fn literal(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
}
