//! Secrets of which several count at the same time, while one replaces another.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, de};

use super::Secret;
use crate::{Path, Section};

/// The most secrets at the same time.
const MOST: usize = 4;

/// No secret, one, or a list: while a secret is replaced, the far side knows the old one or the new one.
#[derive(Debug, Default)]
pub enum Rotation {
    /// The key is not set.
    #[default]
    None,
    /// One.
    One(Secret),
    /// A list, the newest first.
    Several(Vec<Secret>),
}

impl<'de> Deserialize<'de> for Rotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rotation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret or a list of secrets")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rotation, E> {
                Ok(Rotation::One(Secret::Plain(text.into())))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Rotation, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Rotation::One)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Rotation, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Rotation::Several)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Rotation {
    /// The secrets, each with its place in the section ([`Section::secret_at`]). Notes an error if there are too many.
    pub fn places(&self, key: &str, section: &mut Section<'_>) -> Option<Vec<(Path, &Secret)>> {
        let place = Path(vec![key.into()]);
        match self {
            Self::None => Some(Vec::new()),
            Self::One(secret) => Some(vec![(place, secret)]),
            Self::Several(list) if list.len() > MOST => {
                section.error(key, format!("{} secrets", list.len())).expected = Some(format!("at most {MOST}"));
                None
            }
            Self::Several(list) => {
                Some(list.iter().enumerate().map(|(index, secret)| (place.join(index), secret)).collect())
            }
        }
    }
}
