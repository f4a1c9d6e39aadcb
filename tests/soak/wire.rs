//! The network between the daemon and a far side: passes everything on, or fails as the test says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use linedown_standins::{Port, lock};

/// What the network does to a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Does {
    /// Passes it on.
    #[default]
    Pass,
    /// Resets it.
    Refuse,
    /// Accepts it and never answers.
    Hang,
    /// Sends bytes that are valid in no protocol: to a TLS client, a failed handshake.
    Garble,
    /// Cuts it after this many bytes to the far side.
    CutAfter(usize),
    /// Passes everything to the far side on late.
    Slow(Duration),
}

/// A port that leads to another one.
pub(crate) struct Wire {
    port: Port,
    state: Arc<State>,
}

struct State {
    to: u16,
    does: Mutex<Does>,
    /// Connections that hang.
    held: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A network that leads to a port on this machine.
    pub(crate) fn to(port: u16) -> Self {
        let state = Arc::new(State { to: port, does: Mutex::default(), held: Mutex::default() });
        let shared = Arc::clone(&state);
        Self { port: Port::listen(move |stream| shared.take(stream)), state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Sets what happens from the next connection on, and closes connections that hang.
    pub(crate) fn set(&self, does: Does) {
        *lock(&self.state.does) = does;
        lock(&self.state.held).clear();
    }
}

impl State {
    fn take(&self, mut from: TcpStream) {
        match *lock(&self.does) {
            Does::Pass => self.pass(from, usize::MAX, Duration::ZERO),
            Does::CutAfter(bytes) => self.pass(from, bytes, Duration::ZERO),
            Does::Slow(by) => self.pass(from, usize::MAX, by),
            Does::Refuse => {}
            Does::Hang => lock(&self.held).push(from),
            Does::Garble => {
                // The client may be gone.
                let _ = from.write_all(b"\x00\xff\x13\x37 not a word\r\n");
            }
        }
    }

    fn pass(&self, from: TcpStream, bytes: usize, late: Duration) {
        let Ok(to) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.to))) else { return };
        let (Ok(back_from), Ok(back_to)) = (to.try_clone(), from.try_clone()) else { return };
        for stream in [&from, &to] {
            let _ = stream.set_nodelay(true);
        }
        thread::spawn(move || copy(from, to, bytes, late));
        thread::spawn(move || copy(back_from, back_to, usize::MAX, Duration::ZERO));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut left: usize, late: Duration) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        thread::sleep(late);
        let passed = length.min(left);
        left -= passed;
        if to.write_all(&buffer[..passed]).is_err() || left == 0 {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let how = if left == 0 { Shutdown::Both } else { Shutdown::Write };
    let _ = to.shutdown(how);
}
