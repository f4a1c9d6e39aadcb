//! What is said behind the link of an incident that is over. The line may have the next one by then.

use linedown_sinks::Incident;

use super::hook::Hook;
use super::page::Saying;
use crate::store::StoreError;

/// That it is over, and whether it has happened again. `line` is what people call the line.
pub(super) async fn saying<'l>(hook: &Hook, incident: &Incident, line: &'l str) -> Result<Saying<'l>, StoreError> {
    let instance = incident.instance.id.clone();
    let again = hook.store.open_lines(&incident.source, incident.reason, Some(vec![instance])).await?;
    Ok(if again.is_empty() { Saying::Over { line } } else { Saying::OverAndAgain { line } })
}
