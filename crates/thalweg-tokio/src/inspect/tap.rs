//! A connection's side of a monitor: forwards what the driver reports, and responds to snapshot
//! requests.
//!
//! Invariants: without a monitor nothing is recorded; capturing starts only between two frames, and
//! only while there is a subscription.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use thalweg::Role;
use thalweg_io::{Connection, ConnectionEnd};

use super::traffic_log::TrafficLog;
use super::{ConnectionMonitor, ConnectionSnapshot, Registration};

/// The driver's reports to a monitor. The default reports nothing.
#[derive(Default)]
pub struct Tap(Option<Box<Monitored>>);

struct Monitored {
    monitor: ConnectionMonitor,
    registration: Arc<Registration>,
    traffic: Option<TrafficLog>,
    /// The task that a snapshot request wakes.
    task: Option<Waker>,
}

impl Tap {
    /// Registers a connection that is about to begin.
    pub fn new(monitor: &ConnectionMonitor, peer: Option<SocketAddr>, is_client: bool) -> Self {
        let registration = monitor.begin(peer, is_client);
        let traffic = monitor.is_recording().then(|| TrafficLog::from_start(is_client));
        Self(Some(Box::new(Monitored { monitor: monitor.clone(), registration, traffic, task: None })))
    }

    /// Captures received bytes.
    #[inline]
    pub fn received(&mut self, bytes: &[u8]) {
        if let Some(monitored) = &mut self.0 {
            monitored.traffic(false, bytes);
        }
    }

    /// Captures bytes that are about to be sent.
    #[inline]
    pub fn sent<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) {
        if let Some(monitored) = &mut self.0 {
            pieces.for_each(|bytes| monitored.traffic(true, bytes));
        }
    }

    /// Responds to snapshot requests, before the task sleeps.
    #[inline]
    pub fn publish<R: Role>(
        &mut self,
        cx: &Context<'_>,
        connection: &Connection<R>,
        unwritten_bytes: impl FnOnce() -> usize,
    ) {
        if let Some(monitored) = &mut self.0 {
            monitored.publish(cx, connection, unwritten_bytes);
        }
    }

    /// Reports the end of the connection.
    pub fn end(&mut self, end: &ConnectionEnd) {
        if let Some(monitored) = self.0.take() {
            monitored.monitor.end(&monitored.registration, end.to_string(), end.is_warning());
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(monitored) = self.0.take() {
            monitored.monitor.end(&monitored.registration, "dropped".to_owned(), false);
        }
    }
}

impl Monitored {
    fn traffic(&mut self, is_sent: bool, bytes: &[u8]) {
        if let Some(traffic) = &mut self.traffic {
            let shows_paths = self.monitor.0.shows_paths.load(Ordering::Relaxed);
            traffic.record(is_sent, bytes, self.registration.info.opened_at.elapsed(), shows_paths);
        }
    }

    fn publish<R: Role>(
        &mut self,
        cx: &Context<'_>,
        connection: &Connection<R>,
        unwritten_bytes: impl FnOnce() -> usize,
    ) {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            self.registration.lock().task = Some(cx.waker().clone());
        }
        match (self.monitor.is_recording(), &self.traffic) {
            (true, None) if connection.is_between_frames() => {
                let live = connection.streams().map(|view| view.stream.id());
                self.traffic = Some(TrafficLog::resume(R::IS_CLIENT, live));
            }
            (false, Some(_)) => self.traffic = None,
            _ => {}
        }
        if self.registration.is_requested.load(Ordering::SeqCst) {
            self.respond(connection, unwritten_bytes());
        }
    }

    #[cold]
    fn respond<R: Role>(&self, connection: &Connection<R>, unwritten_bytes: usize) {
        let senders = {
            let mut requests = self.registration.lock();
            self.registration.is_requested.store(false, Ordering::SeqCst);
            std::mem::take(&mut requests.senders)
        };
        let (stream_records, frames) = self.traffic.as_ref().map(TrafficLog::records).unwrap_or_default();
        let view = ConnectionSnapshot {
            info: self.registration.info,
            age: self.registration.info.opened_at.elapsed(),
            report: connection.report(),
            remote_settings: *connection.remote_settings(),
            local_settings: *connection.local_settings(),
            window: connection.window(),
            rate_limits: connection.rate_limits(),
            streams: connection.streams().collect(),
            heap_bytes: connection.heap_bytes(),
            unwritten_bytes,
            wants_read: connection.wants_read(),
            stream_records,
            frames,
            shows_fields: self.traffic.as_ref().is_some_and(TrafficLog::shows_fields),
        };
        for sender in senders {
            // The requester may have timed out.
            let _ = sender.send(view.clone());
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("is_monitored", &self.0.is_some()).finish_non_exhaustive()
    }
}
