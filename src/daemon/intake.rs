//! The threads that answer the port. They make no requests of linedown's own: however busy the answers to those keep
//! the other threads, no webhook waits.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How many threads there are for that.
const THREADS: usize = 2;

/// A runtime for webhooks. Its tasks end when this is dropped.
pub(super) struct Intake {
    handle: Handle,
    /// Taken when it is dropped.
    runtime: Option<Runtime>,
}

impl Intake {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("intake").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// What its tasks and sockets are begun with.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // Within another runtime, nobody may wait for the end of this one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
