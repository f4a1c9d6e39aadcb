//! Programs by others: installed, or unpacked by `packaging/setup bench` in `target/tools`.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// The command of a program by its name.
pub(crate) fn tool(name: &str) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let tools = std::path::absolute(target.join("tools")).expect("there is a working directory");
    let places = ["usr/bin", "usr/sbin"].map(|folder| tools.join(folder).join(name));
    let Some(place) = places.into_iter().find(|place| place.exists()) else { return Command::new(name) };
    let libraries = ["usr/lib/postfix", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"];
    let libraries = std::env::join_paths(libraries.map(|folder| tools.join(folder))).expect("no folder has a colon");
    let mut command = Command::new(place);
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// A server by others; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it and waits until it listens. `command` returns its command for a port.
    pub(crate) fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let port = free_port();
        let mut command = command(port);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let name = command.get_program().to_string_lossy().into_owned();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start ({error}): packaging/setup bench"));
        let mut server = Self { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("it is ours");
            assert!(ended.is_none() && begun.elapsed() < START, "{name} does not listen: {ended:?}");
            sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port on which nobody listens at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
