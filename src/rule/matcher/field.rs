//! The fields of an incident that a rule may look at.

use std::fmt;

use linedown_sinks::excerpt;

use super::Subject;

/// The fields besides `labels.*`.
pub(super) const FIELDS: [Field; 6] =
    [Field::Source, Field::Instance, Field::Name, Field::Phone, Field::Reason, Field::Error];

/// A field of an incident that a rule may look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The configured source that reported it.
    Source,
    /// The gateway's identifier of the line.
    Instance,
    /// The inventory's name of the line.
    Name,
    /// The line's number.
    Phone,
    /// Why it is down.
    Reason,
    /// The gateway's own words.
    Error,
    /// A label of the line.
    Label(String),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Instance => "instance",
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Reason => "reason",
            Self::Error => "error",
            Self::Label(key) => return write!(f, "labels.{key}"),
        })
    }
}

impl Field {
    /// Reads a field as it is written in the config, for instance `labels.customer`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("labels.") {
            Some("") => None,
            Some(key) => Some(Self::Label(key.to_owned())),
            None => FIELDS.into_iter().find(|field| field.to_string() == text),
        }
    }

    /// The field's value in an incident; empty where it is missing.
    pub fn of<'s>(&self, subject: &Subject<'s>) -> &'s str {
        match self {
            Self::Source => subject.source,
            Self::Instance => &subject.instance.id,
            Self::Name => subject.instance.name.as_deref().unwrap_or_default(),
            Self::Phone => subject.instance.phone.as_deref().unwrap_or_default(),
            Self::Reason => subject.reason.as_str(),
            Self::Error => subject.error.unwrap_or_default(),
            Self::Label(key) => subject.instance.labels.get(key).map(String::as_str).unwrap_or_default(),
        }
    }

    /// Whether tests of this field ignore case.
    pub(super) fn ignores_case(&self) -> bool {
        *self == Self::Error
    }

    pub(super) fn shown(&self, subject: &Subject<'_>) -> String {
        match self {
            Self::Phone => subject.instance.masked_phone().unwrap_or_default(),
            _ => excerpt(self.of(subject)),
        }
    }
}
