//! Far sides for linedown's tests: a real SMTP server, a real ACME server, a Slack and a Z-API that enforce their
//! documented rules, and certificates for all. If one cannot be set up, it panics with a sentence that says what to
//! install.
//!
//! ```no_run
//! use linedown_standins::{Certificates, Encryption, Smtp};
//!
//! let relay = Smtp::with(Encryption::StartTls(&Certificates::new()));
//! println!("server = \"{}\"", relay.url());
//! // … send something …
//! println!("{:?}", relay.wait_for(1)[0].header("Subject"));
//! ```
#![expect(clippy::missing_panics_doc, reason = "a far side that cannot be set up fails the test that wants it")]

mod certificates;
mod http;
mod inbox;
mod pebble;
mod port;
mod slack;
mod smtp;
mod threads;
mod z_api;

use std::time::Duration;

pub use certificates::Certificates;
pub use pebble::Pebble;
pub use port::Port;
pub use slack::{Post, Scripted, Slack};
pub use smtp::{Command, Does, Encryption, Received, Smtp};
pub use threads::{StopOnDrop, lock};
pub use z_api::{Call, Instance, Odd, ZApi};

/// How long tests wait for something that should happen at once, before they fail.
pub const DEADLINE: Duration = Duration::from_mins(1);
