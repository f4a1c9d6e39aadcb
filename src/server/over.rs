//! The text behind the link of an incident that is over.

use linedown_sinks::Incident;

use super::page::Saying;
use crate::reception::Reception;
use crate::store::StoreError;

/// Says that it is over, and whether the line has a newer incident for the same reason. `line` is the line's name for
/// people.
pub(super) async fn saying<'l>(
    reception: &Reception,
    incident: &Incident,
    line: &'l str,
) -> Result<Saying<'l>, StoreError> {
    let instance = incident.instance.id.clone();
    let again = reception.store.open_lines(&incident.source, incident.reason, Some(vec![instance])).await?;
    Ok(if again.is_empty() { Saying::Over { line } } else { Saying::OverAndAgain { line } })
}
