//! Keeps from the template engine any `import` that would end the program: a name must follow `as`, but minijinja 3.1
//! takes any expression there, and its compiler then panics.

use minijinja::{Environment, Error, ErrorKind};

/// Adds a template to the engine. Fails if its syntax is wrong.
pub(super) fn add(environment: &mut Environment<'static>, name: String, source: String) -> Result<(), Error> {
    let Some(mistaken) = mistaken(&source) else { return environment.add_template_owned(name, source) };
    // Makes the engine report the line: it does check the names in `from … import`, so this one fails there.
    environment.add_template_owned(name, source[..mistaken].to_owned() + "{% from 0 import 0 %}")?;
    Err(Error::from(ErrorKind::SyntaxError))
}

/// The byte at which the first `import` begins that is not `{% import FILE as NAME %}`.
fn mistaken(source: &str) -> Option<usize> {
    let mut begins = source.match_indices("{%").map(|(at, _)| at);
    begins.find(|at| import(&source[at + 2..]).is_some_and(|words| !names_it(&words)))
}

/// The words of an `import` up to the end of its block, signs and strings included; none if the block is something
/// else.
fn import(block: &str) -> Option<Vec<&str>> {
    let block = block.strip_prefix(['-', '+']).unwrap_or(block).trim_start();
    let (first, mut rest) = word(block);
    if first != "import" {
        return None;
    }
    let mut words = Vec::new();
    loop {
        rest = rest.trim_start();
        // If another block begins here, this one was never closed.
        if rest.is_empty() || ["%}", "-%}", "+%}", "{%"].iter().any(|end| rest.starts_with(end)) {
            return Some(words);
        }
        let (next, after) = word(rest);
        words.push(next);
        rest = after;
    }
}

/// Splits a text after its first word, string or single character.
fn word(text: &str) -> (&str, &str) {
    let Some(first) = text.chars().next() else { return ("", "") };
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let end = match first {
        '"' | '\'' => {
            let mut escaped = false;
            let closes = |(_, c): &(usize, char)| {
                let is_meant = !std::mem::take(&mut escaped);
                escaped = is_meant && *c == '\\';
                is_meant && *c == first
            };
            text.char_indices().skip(1).find(closes).map_or(text.len(), |(at, quote)| at + quote.len_utf8())
        }
        c if is_part(c) => text.find(|c| !is_part(c)).unwrap_or(text.len()),
        c => c.len_utf8(),
    };
    text.split_at(end)
}

/// Words that are values to the engine, or reserved.
const NO_NAMES: [&str; 9] = ["as", "true", "True", "false", "False", "none", "None", "loop", "self"];

fn names_it(words: &[&str]) -> bool {
    let named = words.iter().position(|word| *word == "as").map(|at| &words[at + 1..]);
    let is_name = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '_') && !NO_NAMES.contains(&word);
    matches!(named, Some([name] | [name, "with" | "without", "context"]) if is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_without_a_name_is_an_error_where_it_stands() {
        for import in [
            "{% import 'f' as a+b %}",
            "{%- import \"\\\"%}\" as 1 -%}",
            "{%import'f'as'g'%}",
            "{% import f as g() %}",
            "{% import f as 1 is as g %}",
            "{% import f as true %}",
            "{% import f as None %}",
            "{% import f as g with %}",
        ] {
            let mut environment = Environment::new();
            let source = format!("{{# #}}\n{import}\n{{% endif %}}");
            let error = add(&mut environment, "x".to_owned(), source).unwrap_err();
            assert_eq!((error.kind(), error.line()), (ErrorKind::SyntaxError, Some(2)), "{import}: {error}");
        }
    }

    #[test]
    fn an_import_with_a_name_is_taken() {
        for import in [
            "{% import 'as a+b' as c %}",
            "{%+ import f.g as g_1 with context +%}",
            "{%-import\"f\"as g-%}{% set import = 1 %}{{ import + 1 }}",
            "{% from 'f' import a as b %}",
        ] {
            let mut environment = Environment::new();
            add(&mut environment, "x".to_owned(), import.to_owned()).unwrap();
        }
    }
}
