//! The port at which a far side is reached.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Listens on a free port of 127.0.0.1; stops when this is dropped.
pub struct Port {
    number: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    ended: AtomicBool,
}

impl Port {
    /// Hands each connection to `take`, one after another.
    pub fn listen(take: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let number = listener.local_addr().expect("a bound socket has an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(true);
                take(stream);
            }
        });
        Self { number, state }
    }

    /// Serves each connection in a thread of its own.
    pub fn serve(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        Self::listen(move |stream| {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(("127.0.0.1", self.number));
    }
}
