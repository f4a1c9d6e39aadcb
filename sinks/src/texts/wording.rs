//! The sentences of a message, as `words.txt` has them, for the templates that lay them out.
//!
//! They are the dear part of a message, and its title and its body share them: templates find them in a variable, put
//! together once. A user's own may import them from the file as well.

use std::sync::{Arc, OnceLock};

use minijinja::Environment;
use minijinja::value::{Enumerator, Object, Value};

/// The file with the sentences that the others lay out.
pub(super) const WORDS: &str = "words.txt";

/// The variable in which they find it.
pub(super) const WORDING: &str = "wording";

/// What the others lay out of [`WORDS`]. An own file has all of it and replaces what it sets: one that was written for a
/// former version lacks nothing that has come since.
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

/// Variables, and beside them the wording, as `environment` writes it. It is there once a template asks for it.
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

/// A failure is one of whoever asks.
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

/// What the file sets, in the order of [`LAID_OUT`].
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
