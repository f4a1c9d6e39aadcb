//! What a program's exit code means: that of sysexits(3), as for Postfix's pipe(8). Unlike there, a code without a
//! meaning leads to another attempt: a program that crashes must not lose an alert.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::program::{Ended, How, TIME};
use crate::hidden::Hidden;
use crate::{Failure, FailureKind, Receipt, excerpt};

/// Returns the outcome of a program that ended. The receipt is the first line of its standard output; the failure
/// quotes the last line of its standard error.
pub(super) fn outcome(ended: &Ended, hidden: &Hidden) -> Result<Receipt, Failure> {
    let (kind, what, advice) = match &ended.how {
        How::With(status) if status.success() => {
            let said = ended.output.lines().map(str::trim).find(|line| !line.is_empty());
            return Ok(Receipt(excerpt(&hidden.out_of(said.unwrap_or("exit code 0")))));
        }
        How::With(status) => meaning(*status),
        How::TooLate => {
            let what = format!("the program did not end within {} s and was killed", TIME.as_secs());
            (FailureKind::TimedOut, what, None)
        }
        How::NotStarted(error) => {
            let what = format!("the program cannot be run: {error}");
            (FailureKind::Unreachable, what, Some("is `command` right, and may the service run it (docs/service.md)?"))
        }
    };
    let said = ended.errors.lines().map(str::trim).rfind(|line| !line.is_empty());
    let message = said.map_or_else(|| what.clone(), |said| format!("{what}: {}", hidden.out_of(said)));
    Err(Failure::new(kind, message).advice(advice))
}

fn meaning(status: ExitStatus) -> (FailureKind, String, Option<&'static str>) {
    use FailureKind::{Busy, Deferred, Refused, Unauthorised, Unreachable};
    let Some(code) = status.code() else {
        let what = format!("the program was killed by signal {}", status.signal().unwrap_or_default());
        return (Busy, what, None);
    };
    let (kind, advice) = match code {
        // EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_NOHOST
        64..=68 => (Refused, None),
        // EX_UNAVAILABLE
        69 => (Unreachable, None),
        // EX_TEMPFAIL
        75 => (Deferred, None),
        // EX_NOPERM, EX_CONFIG
        77 | 78 => {
            (Unauthorised, Some("correct the program's login or its configuration (a credential needs a restart)"))
        }
        _ => (Busy, None),
    };
    (kind, format!("the program ended with exit code {code}"), advice)
}
