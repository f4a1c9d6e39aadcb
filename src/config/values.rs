//! Values of a TOML file, as the merging and the inventory take them. A value that they cannot take is left out, and noted.

use std::ops::Range;

use config::{Map, Value as Merged, ValueKind};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::instances::Instances;

/// Mistakes in a file's text, each with its place.
pub(super) type Wrong = Vec<(Range<usize>, String)>;

/// Adds an inventory's lines to those of the file.
pub(super) fn read_inventory(inventory: &Spanned<DeValue<'_>>, instances: &mut Instances, wrong: &mut Wrong) {
    if let DeValue::Table(lines) = inventory.get_ref() {
        for (id, line) in lines {
            if let Some(line) = json(line, wrong) {
                instances.push(id.get_ref(), &line);
            }
        }
    } else if let Some(other) = json(inventory, wrong) {
        instances.replace(other);
    }
}

/// A table for the merging, without the values that are wrong.
pub(super) fn merged_table(table: DeTable<'_>, wrong: &mut Wrong) -> Map<String, Merged> {
    let values = table.into_iter();
    values.filter_map(|(key, value)| Some((key.into_inner().into_owned(), merged(value, wrong)?))).collect()
}

/// None if the value is wrong. A list with one wrong value is wrong altogether, because leaving the value out would
/// move the places of the others.
fn merged(value: Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Option<Merged> {
    let span = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Boolean(truth) => ValueKind::Boolean(truth),
        DeValue::Datetime(datetime) => ValueKind::String(datetime.to_string()),
        DeValue::Integer(number) => ValueKind::I64(integer(&number, span, wrong)?),
        DeValue::Float(number) => ValueKind::Float(float(&number, span, wrong)?),
        DeValue::Array(values) => {
            let values: Vec<_> = values.into_iter().map(|value| merged(value, wrong)).collect();
            ValueKind::Array(values.into_iter().collect::<Option<_>>()?)
        }
        DeValue::Table(table) => ValueKind::Table(merged_table(table, wrong)),
    };
    Some(Merged::new(None, kind))
}

/// Like [`merged`], but to JSON.
fn json(value: &Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Integer(number) => integer(number, value.span(), wrong)?.into(),
        DeValue::Float(number) => float(number, value.span(), wrong)?.into(),
        DeValue::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| json(value, wrong)).collect();
            values.into_iter().collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(table) => {
            let values = table.iter();
            values.filter_map(|(key, value)| Some((key.get_ref().to_string(), json(value, wrong)?))).collect()
        }
    })
}

fn integer(number: &DeInteger<'_>, span: Range<usize>, wrong: &mut Wrong) -> Option<i64> {
    let integer = i64::from_str_radix(number.as_str(), number.radix()).ok();
    if integer.is_none() {
        wrong.push((span, format!("this number is too big, expected {} to {}", i64::MIN, i64::MAX)));
    }
    integer
}

fn float(number: &DeFloat<'_>, span: Range<usize>, wrong: &mut Wrong) -> Option<f64> {
    let float = number.as_str().parse().ok().filter(|number: &f64| number.is_finite());
    if float.is_none() {
        wrong.push((span, "this is not a finite number, expected a number such as 1.5".into()));
    }
    float
}
