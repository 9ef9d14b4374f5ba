//! Commands for a connection from other threads or tasks, and the handle that sends them.
//!
//! Invariant: the driver of the connection executes each command once and in order; a connection
//! that has ended accepts none. The queue belongs to the I/O layer, which knows how to wake its
//! driver.

use std::fmt;
use std::sync::Arc;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{Role, SendError, Server};

use crate::setup::Connection;

/// A command for a connection. The driver logs and drops one that the core refuses.
pub type Command<R> = Box<dyn FnOnce(&mut Connection<R>) -> Result<(), SendError> + Send>;

/// The queue of commands for one connection. It wakes the driver, which executes them.
pub trait CommandSink<R: Role>: Send + Sync {
    /// Queues a command. Returns whether the connection still accepts commands.
    fn submit(&self, command: Command<R>) -> bool;

    /// Requests a graceful shutdown. Returns whether the connection still accepts commands.
    fn shutdown(&self) -> bool;
}

/// A handle to one connection, for whatever is sent besides requests and responses. Clones belong
/// to the same connection, and compare equal.
///
/// Each method that sends returns whether the connection still accepts commands. A command that the
/// core refuses, under the conditions of its method of the same name, is logged and dropped.
pub struct Handle<R: Role>(Arc<dyn CommandSink<R>>);

impl<R: Role> Handle<R> {
    /// Creates a handle that sends its commands to `sink`.
    pub fn new(sink: Arc<dyn CommandSink<R>>) -> Self {
        Self(sink)
    }

    /// Starts a graceful shutdown: sends GOAWAY, and completes the open streams within
    /// `Config::timeouts.shutdown`.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on the connection.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) -> bool {
        let payload = payload.into();
        self.0.submit(Box::new(move |connection| connection.send_extension(kind, flags, None, &payload)))
    }

    /// Sends extension settings (RFC 9113 §5.5).
    pub fn send_extension_settings(&self, entries: impl Into<Vec<(SettingId, u32)>>) -> bool {
        let entries = entries.into();
        self.0.submit(Box::new(move |connection| connection.send_extension_settings(&entries)))
    }
}

impl Handle<Server> {
    /// Sends ORIGIN: the origins for which the server is authoritative, for example
    /// `https://example.org` (RFC 8336).
    pub fn send_origins<T: Into<Vec<u8>>>(&self, origins: impl IntoIterator<Item = T>) -> bool {
        let origins: Vec<Vec<u8>> = origins.into_iter().map(Into::into).collect();
        self.0.submit(Box::new(move |connection| {
            let origins: Vec<&[u8]> = origins.iter().map(Vec::as_slice).collect();
            connection.send_origins(&origins)
        }))
    }

    /// Sends ALTSVC: an alternative service for an origin, for example `h3=":443"` (RFC 7838 §4).
    pub fn send_alt_svc(&self, origin: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> bool {
        let (origin, value) = (origin.into(), value.into());
        self.0.submit(Box::new(move |connection| connection.send_alt_svc(None, &origin, &value)))
    }
}

impl<R: Role> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role> PartialEq for Handle<R> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl<R: Role> Eq for Handle<R> {}

impl<R: Role> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::setup::Setup;

    /// Keeps commands until they are executed.
    #[derive(Default)]
    struct Queue(Mutex<Option<Vec<Command<Server>>>>);

    impl CommandSink<Server> for Queue {
        fn submit(&self, command: Command<Server>) -> bool {
            self.0.lock().unwrap().as_mut().map(|commands| commands.push(command)).is_some()
        }

        fn shutdown(&self) -> bool {
            self.submit(Box::new(|connection| {
                connection.shutdown();
                Ok(())
            }))
        }
    }

    /// Returns the types of the frames that follow the server's SETTINGS and WINDOW_UPDATE.
    fn execute(queue: &Queue) -> Vec<FrameType> {
        let mut connection = Setup::default().start::<Server>().unwrap();
        for command in queue.0.lock().unwrap().take().unwrap() {
            command(&mut connection).unwrap();
        }
        let mut output = Vec::new();
        while connection.poll_transmit(&mut output) {}
        let (mut at, mut types) = (0, Vec::new());
        while at < output.len() {
            types.push(FrameType(output[at + 3]));
            at += 9 + u32::from_be_bytes([0, output[at], output[at + 1], output[at + 2]]) as usize;
        }
        types.retain(|kind| ![FrameType::SETTINGS, FrameType::WINDOW_UPDATE].contains(kind));
        types
    }

    #[test]
    fn the_methods_send_their_frames_in_order() {
        let queue = Arc::new(Queue(Mutex::new(Some(Vec::new()))));
        let handle = Handle::new(Arc::clone(&queue) as Arc<dyn CommandSink<Server>>);
        assert!(handle.send_origins(["https://example.org"]));
        assert!(handle.clone().send_alt_svc("https://example.org", "h3=\":443\""));
        assert!(handle.send_extension(FrameType(0xf3), Flags(1), "payload"));
        handle.shutdown();
        let expected =
            [FrameType::ORIGIN, FrameType::ALTSVC, FrameType(0xf3), FrameType::GOAWAY, FrameType::PING];
        assert_eq!(execute(&queue), expected);
        assert!(!handle.send_origins(["https://example.org"]), "the connection has ended");
    }

    #[test]
    fn handles_of_one_connection_are_equal_and_of_two_are_not() {
        let queue = || Handle::new(Arc::<Queue>::default() as Arc<dyn CommandSink<Server>>);
        let handle = queue();
        assert_eq!(handle, handle.clone());
        assert_ne!(handle, queue());
    }
}
