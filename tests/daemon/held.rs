//! A far side that answers only when the test says so, for tests that need a delivery in flight.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::daemon::{CANARY, eventually};

/// A server that the `slack` sink can post to.
pub(crate) struct Held {
    listener: TcpListener,
}

/// A post that waits for its answer.
pub(crate) struct InFlight(TcpStream);

impl Held {
    /// Listens on a free port.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        listener.set_nonblocking(true).expect("a socket can be asked without waiting");
        Self { listener }
    }

    /// The address for the config.
    pub(crate) fn url(&self) -> String {
        let address = self.listener.local_addr().expect("a bound socket has an address");
        format!("http://{address}/services/{CANARY}-slack")
    }

    /// Waits for the next post.
    pub(crate) fn take(&self) -> InFlight {
        let stream = eventually("a post", || self.listener.accept().ok()).0;
        stream.set_nonblocking(false).expect("a socket can be waited for");
        let mut begin = [0; 4];
        (&stream).read_exact(&mut begin).expect("a request begins");
        assert_eq!(&begin, b"POST");
        InFlight(stream)
    }

    /// Whether no post is waiting.
    pub(crate) fn is_quiet(&self) -> bool {
        self.listener.accept().is_err()
    }
}

impl InFlight {
    /// Answers as Slack does when it takes a message.
    pub(crate) fn accept(mut self) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        self.0.write_all(answer).expect("the daemon waits for the answer");
        // Closing with something unread would cut the answer off.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
        let _ = self.0.read_to_end(&mut Vec::new());
    }
}
