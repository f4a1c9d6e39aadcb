//! Sends a case, and says what is wrong with the answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::case::Case;
use crate::daemon::{CANARY, Daemon};

/// How long to wait for an answer that need not come. A client that hangs up earlier would miss refusals.
const PATIENCE: Duration = Duration::from_millis(25);
/// The most bytes of all answers to one case.
const LARGEST: u64 = 1024 * 1024;

/// The statuses that the HTTP library answers by itself, without a body.
const BARE: [u16; 3] = [400, 414, 431];

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Sends a case and judges the answers.
pub(super) fn send(daemon: &Daemon, case: &Case) -> Result<(), String> {
    let mut stream = daemon.connect();
    // A daemon that has answered already may have stopped reading.
    let _ = stream.write_all(&case.bytes);
    let mut received = Vec::new();
    if !case.cut {
        await_answer(&mut stream, case, &mut received)?;
    }
    let _ = stream.shutdown(Shutdown::Write);
    match stream.take(LARGEST).read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(format!("the connection is not closed: {error}")),
    }
    judge(case, &String::from_utf8_lossy(&received))
}

/// Reads until a whole answer is there, or until the wait for one that need not come is over.
fn await_answer(stream: &mut TcpStream, case: &Case, received: &mut Vec<u8>) -> Result<(), String> {
    if case.silence {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    }
    let mut buffer = [0; 4096];
    let complete =
        |received: &[u8]| answers(&String::from_utf8_lossy(received), case).is_some_and(|all| !all.is_empty());
    while !complete(received) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(_) if case.silence => break,
            Err(error) => return Err(format!("no answer: {error}")),
        }
    }
    stream.set_read_timeout(Some(linedown_standins::DEADLINE)).expect("a timeout can be set");
    Ok(())
}

fn judge(case: &Case, received: &str) -> Result<(), String> {
    if received.contains(CANARY) {
        return Err(format!("a secret comes back: {received:?}"));
    }
    let Some(answers) = answers(received, case) else { return Err(format!("no whole answer: {received:?}")) };
    if answers.is_empty() && !case.silence {
        return Err("the connection is closed without an answer".to_owned());
    }
    for (number, answer) in answers.iter().enumerate() {
        let Answer { status, head, body } = answer;
        let fits = if number == 0 { case.statuses.contains(status) } else { (400..500).contains(status) };
        if !fits {
            return Err(format!("answer {number} is {status}, wanted {:?}: {received:?}", case.statuses));
        }
        let bodiless = case.is_head() || BARE.contains(status) && body.is_empty();
        let error = serde_json::from_str::<Value>(body).unwrap_or_default()["error"].as_str().map(str::len);
        let says_why = head.contains("application/json") && error > Some(10) || head.contains("text/html");
        if *status >= 400 && !bodiless && !says_why {
            return Err(format!("answer {number} does not say why: {received:?}"));
        }
    }
    Ok(())
}

impl Case {
    fn is_head(&self) -> bool {
        self.bytes.starts_with(b"HEAD ")
    }
}

/// Splits what was received into answers, without `100 Continue`; none if an answer is not whole.
fn answers(mut received: &str, case: &Case) -> Option<Vec<Answer>> {
    let mut answers = Vec::new();
    while !received.is_empty() {
        let (head, rest) = received.split_once("\r\n\r\n")?;
        let status: u16 = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let (body, rest) = if case.is_head() { ("", rest) } else { rest.split_at_checked(length)? };
        received = rest;
        if status != 100 {
            answers.push(Answer { status, head: head.to_owned(), body: body.to_owned() });
        }
    }
    Some(answers)
}
