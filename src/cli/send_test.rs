//! `linedown send-test`: one real, marked message through one sink.

use linedown_sinks::closest;

use super::client::Daemon;
use super::{Code, CommandError, Place, output};
use crate::clock;
use crate::server::api::TrialAnswer;
use crate::trial;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sink, by its name in the config
    sink: String,
    /// Print the answers as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let config = place.config()?;
    let Some(target) = config.routing.sinks.get(&arguments.sink) else {
        let error = CommandError::new(Code::Usage, format!("there is no sink {:?} in the config", arguments.sink));
        let names = config.routing.sinks.keys().map(String::as_str);
        return Err(match closest(&arguments.sink, names.clone()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
        });
    };
    // Only the daemon has the credentials that systemd gave it.
    let results = if config.lacks_credentials {
        let path = format!("send-test/{}", arguments.sink);
        Daemon::find(place)?.post::<TrialAnswer>(&path, &()).await?.results
    } else {
        trial::send(target.settings.as_ref(), clock::now()).await
    };
    if arguments.json {
        output::print_json(&results)?;
    } else {
        for result in &results {
            let to = if result.recipient.is_empty() { String::new() } else { format!(" to {}", result.recipient) };
            let verdict = if result.delivered { "delivered" } else { "NOT delivered" };
            let said = output::printable(&result.said);
            output::print(&format!("{}{to}: {verdict}: {said}\n", arguments.sink))?;
        }
    }
    Ok(if results.iter().all(|result| result.delivered) { Code::Done } else { Code::Unavailable })
}
