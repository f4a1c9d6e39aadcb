//! The sentences of a message, from `words.txt` and the file of the message's sort that it includes, for the templates
//! that lay them out.
//!
//! Sentences are the expensive part of a message, and its title and its body share them. They are made once, and
//! templates find them in a variable. A user's template may also import them from the file.

use std::sync::{Arc, OnceLock};

use minijinja::Environment;
use minijinja::value::{Enumerator, Object, Value};

/// The file that sets the sentences, which the other templates lay out.
pub(super) const WORDS: &str = "words.txt";

/// The variable in which templates find the sentences.
pub(super) const WORDING: &str = "wording";

/// The names set in [`WORDS`] that the other templates lay out. A user's own file starts with all of the built-in ones
/// and replaces those that it sets, so a file written for an earlier version lacks nothing that came later.
pub(super) const LAID_OUT: [&str; 13] = [
    "title",
    "language",
    "paragraphs",
    "quote_label",
    "quote",
    "list_label",
    "entry",
    "more",
    "reconnect",
    "acknowledge",
    "steps_label",
    "steps",
    "facts",
];

/// Adds the wording to the variables. It is rendered in `environment` when a template first asks for it.
pub(super) fn beside(variables: Value, environment: &Arc<Environment<'static>>) -> Value {
    Value::from_object(Root { variables, environment: Arc::clone(environment), wording: OnceLock::new() })
}

#[derive(Debug)]
struct Root {
    variables: Value,
    environment: Arc<Environment<'static>>,
    wording: OnceLock<Value>,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == WORDING {
            return Some(self.wording.get_or_init(|| wording(&self.environment, &self.variables)).clone());
        }
        self.variables.get_attr(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.variables.try_iter().into_iter().flatten().collect())
    }
}

/// Renders the wording. If that fails, the value is the error, and the template that asks for it fails.
fn wording(environment: &Environment<'static>, variables: &Value) -> Value {
    let words = environment.get_template(WORDS).and_then(|words| words.render_captured(variables.clone()));
    match words {
        Ok(words) => {
            let said = LAID_OUT.map(|name| words.state().lookup(name).unwrap_or_default());
            Value::from_object(Wording(said))
        }
        Err(error) => Value::from(error),
    }
}

/// The values that the file sets, in the order of [`LAID_OUT`].
#[derive(Debug)]
struct Wording([Value; LAID_OUT.len()]);

impl Object for Wording {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let index = LAID_OUT.iter().position(|name| *name == key)?;
        Some(self.0[index].clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&LAID_OUT)
    }
}
