//! Short templates in the config.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::check::{explain, unknown_names};
use super::clean::one_line;
use super::{imports, samples, templates, variables};
use crate::{Incident, Reason};

/// The template's name in its environment; no user sees it.
const NAME: &str = "inline";

/// A short template in the config, such as a recipient: `{{ instance.labels.owner }}`.
#[derive(Clone, Debug)]
pub struct Inline(Arc<Environment<'static>>);

impl Inline {
    /// Compiles a template and tries it on sample incidents; the error says what is wrong, in one line.
    pub fn compile(source: &str) -> Result<Self, String> {
        let mut environment = templates::bare(AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        imports::add(&mut environment, NAME.to_owned(), source.to_owned()).map_err(|error| explain(&error))?;
        let inline = Self(Arc::new(environment));
        let known = variables::of_incident(&samples::incident(Reason::Other, true, None));
        if let Some(unknown) = unknown_names(&inline.0, NAME, &known).first() {
            let hint = unknown.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(format!("{}{hint}", unknown.what));
        }
        for reason in Reason::ALL {
            for full in [true, false] {
                inline.try_render(&samples::incident(reason, full, None)).map_err(|error| explain(&error))?;
            }
        }
        Ok(inline)
    }

    /// Fills it in. A value that the incident lacks becomes empty; if the template fails, the whole result is empty.
    pub fn render(&self, incident: &Incident) -> String {
        self.try_render(incident).unwrap_or_else(|error| {
            tracing::warn!(incident = incident.id, %error, "a template in the config failed, so its value is empty");
            String::new()
        })
    }

    /// The labels of a line that the template names, in any branch.
    pub fn labels(&self) -> Vec<String> {
        let Ok(template) = self.0.get_template(NAME) else { return Vec::new() };
        let names = template.undeclared_variables(true);
        let label = |name: &String| Some(name.strip_prefix("instance.labels.")?.split('.').next()?.to_owned());
        names.iter().filter_map(label).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn try_render(&self, incident: &Incident) -> Result<String, minijinja::Error> {
        let rendered = self.0.get_template(NAME)?.render(variables::of_incident(incident))?;
        Ok(one_line(&rendered, variables::ADDRESS))
    }
}
