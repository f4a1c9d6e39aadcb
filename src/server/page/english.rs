//! The texts of the pages, in English.

use super::{Saying, Words};

pub(super) fn words(saying: &Saying<'_>) -> Words {
    match saying {
        Saying::NoLinkToReconnect => Words::new(
            "No such link",
            "This link is not valid, or no longer valid. Use the link in the newest message, or the gateway's panel.",
        ),
        Saying::NoLinkToAcknowledge => Words::new(
            "No such link",
            "This link is not valid, or no longer valid. This command does the same: linedown ack",
        ),
        Saying::WrongMethod => Words::new("Not this way", "Open the link in a browser, and press the button there."),
        Saying::NotNow => Words::new("Not just now", "It could not be done. Try again in a moment."),
        Saying::Prepare { line } => Words {
            heading: "Connect the line again",
            text: format!("{line} needs a new login."),
            steps: vec![
                format!("Take the phone of {line} and open WhatsApp on it."),
                "Tap “Linked devices”, then “Link a device”.".to_owned(),
                "Have this page open on another screen, press the button, and point the phone at the code.".to_owned(),
            ],
            button: "Show the code",
        },
        Saying::Code { line, number, of } => Words {
            heading: "Read this code",
            text: format!("With the phone of {line}. Code {number} of {of}; the next comes by itself."),
            steps: vec![
                "Open WhatsApp, “Linked devices”, “Link a device”.".to_owned(),
                "Point the phone at the code.".to_owned(),
            ],
            button: "",
        },
        Saying::RanOut { line, of } => Words::new(
            "Not connected yet",
            format!(
                "{of} codes were shown, and {line} is not connected. If you have just read one, wait a moment and show \
                 another to see whether it worked."
            ),
        )
        .button("Show another code"),
        Saying::RanOutUnsure { line, of } => Words::new(
            "Connected or not?",
            format!(
                "{of} codes were shown, and the gateway does not say whether {line} is connected now. Wait a moment and \
                 show another code: if it worked, you see it here."
            ),
        )
        .button("Show another code"),
        Saying::Connected { line } => {
            Words::new("Connected", format!("{line} is connected to WhatsApp. There is nothing more to do."))
        }
        Saying::NoCode { line } => Words::new(
            "No code",
            format!("The gateway gives no code for {line} at the moment. Try again, or look in the gateway's panel."),
        )
        .button("Try again"),
        Saying::NoToken { line } => Words::new(
            "No code",
            format!("linedown can no longer ask the gateway about {line}: its token is not in linedown's config."),
        ),
        Saying::AreYouOnIt { line, incident } => Words::new(
            "Are you on it?",
            format!(
                "This is about {line}, incident {incident}. If you are on it, reminders and escalation stop, and the \
                 others are told."
            ),
        )
        .button("I am on it"),
        Saying::Yours { line } => {
            Words::new("It is yours", format!("{line}: reminders and escalation stop, and the others are told."))
        }
        Saying::Taken { by } => Words::new("Taken already", format!("{by} is on it.")),
        Saying::Over { line } => {
            Words::new("It is over", format!("{line}: the incident of this link is over. There is nothing to do."))
        }
        Saying::OverAndAgain { line } => Words::new(
            "There is a newer incident",
            format!(
                "{line}: the incident of this link is over, but a newer one goes on. Use the link in the newest message."
            ),
        ),
        Saying::Forgotten => Words::new("Forgotten", "There is no such incident any more."),
    }
}
