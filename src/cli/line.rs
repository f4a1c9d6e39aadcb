//! `--line`: only what is about one line.

use linedown_sinks::closest;

use super::{Place, output};

#[derive(Debug, clap::Args)]
pub(super) struct Line {
    /// Only those of this line, by its instance or by the name that it had then
    #[arg(long, visible_alias = "instance", value_name = "LINE")]
    line: Option<String>,
}

impl Line {
    /// The line to request.
    pub(super) fn asked_for(&self) -> Option<String> {
        self.line.clone()
    }

    /// Warns if the inventory has no such line: then it is no news that nothing was found.
    pub(super) fn warn_if_unknown(&self, place: &Place) {
        let Some(line) = self.line.as_deref() else { return };
        let Some(config) = place.config_if_right(&format!("linedown cannot tell whether there is a line {line:?}"))
        else {
            return;
        };
        let inventory = &config.routing.inventory;
        if inventory.iter().any(|entry| entry.id == line || entry.name == Some(line)) {
            return;
        }
        let known = inventory.iter().flat_map(|entry| entry.name.into_iter().chain([entry.id]));
        let what = format!("no line of the inventory has the instance or the name {line:?}");
        output::complain(&format!("warning: {}\n", output::printable(&what)));
        if let Some(near) = closest(line, known) {
            output::complain(&format!("  hint: {}\n", output::printable(&format!("did you mean {near:?}?"))));
        }
    }
}
