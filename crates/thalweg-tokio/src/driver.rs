//! The event loop of one connection: sole owner of its transport, its `Connection`, and its
//! buffers.
//!
//! A turn reads once, passes the events on, polls every exchange that can make progress, and writes
//! once. Turns repeat until nothing makes progress; then the task sleeps.
//!
//! Invariants: the driver reports the end to the application before it ends the transport; a driver
//! with constant work yields to other tasks after a bounded number of turns.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thalweg::{Event, Role};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection_io::{Action, ConnectionIo, EventHandler};
use crate::control::{ConnectionControl, Handle, OnNotice, notify};
use crate::counters::{Counters, Share};
use crate::error::ConnectionEnd;
use crate::record::Connection;
use crate::splicing::SplicingConnection;
use crate::trace;
use crate::waker_set::WakerSet;

/// The handling of streams by a role.
pub trait Host {
    /// The role.
    type Role: Role;

    /// Handles an event. Calls to the connection that it causes wait for `poll_streams` or
    /// `start_requests`.
    fn handle_event(&mut self, event: Event<'_, '_>) -> Action;

    /// Starts the requests received so far, in the middle of the input.
    fn start_requests(&mut self, connection: &mut SplicingConnection<Self::Role>, wakers: &mut WakerSet);

    /// Polls every exchange that can make progress. Returns whether any did.
    fn poll_streams(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<Self::Role>,
        wakers: &mut WakerSet,
    ) -> bool;

    /// Replaces all wakers after the connection moved to another task: earlier wakers do nothing
    /// any more, so every exchange must be polled with a new one.
    fn rebind_wakers(&mut self, wakers: &mut WakerSet);

    /// Ends every exchange at the end of the connection.
    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>);

    /// Returns the slow polls of handlers since the last call.
    fn take_slow_polls(&mut self) -> SlowPolls {
        SlowPolls::default()
    }

    /// Frees memory that is not needed without streams. Returns whether there are none.
    fn shrink(&mut self) -> bool;
}

/// Polls of handlers that delayed the other streams of their connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlowPolls {
    /// Their number.
    pub count: u64,
    /// The duration of the longest.
    pub longest: Duration,
}

/// A connection with its transport and its host, as a future.
pub(crate) struct Driver<IO, A: Host> {
    io: ConnectionIo<IO, A::Role>,
    host: A,
    wakers: WakerSet,
    /// The handle, with the commands for the connection.
    handle: Handle<A::Role>,
    has_registered: bool,
    on_notice: Option<OnNotice<A::Role>>,
    /// The connection's part of the counters.
    share: Option<Share>,
    /// Whether a handler had a slow poll before.
    has_warned: bool,
    /// Streams opened before the task last slept.
    streams_opened: u64,
    /// How the connection ended, once the application knows.
    end: Option<Arc<ConnectionEnd>>,
}

/// Passes events to the host while bytes are read.
struct EventSink<'a, A: Host> {
    host: &'a mut A,
    wakers: &'a mut WakerSet,
    handle: &'a Handle<A::Role>,
    on_notice: &'a Option<OnNotice<A::Role>>,
}

impl<A: Host> EventHandler<A::Role> for EventSink<'_, A> {
    fn handle_event(&mut self, event: Event<'_, '_>) -> Action {
        if let Some(callback) = self.on_notice
            && let Some(notice) = event.to_owned_event()
        {
            notify(callback, self.handle, notice);
        }
        self.host.handle_event(event)
    }

    fn start_requests(&mut self, connection: &mut SplicingConnection<A::Role>) {
        self.host.start_requests(connection, self.wakers);
    }
}

// No field is structurally pinned: handlers and bodies are boxed.
impl<IO, A: Host> Unpin for Driver<IO, A> {}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Host> Driver<IO, A> {
    /// Creates a driver.
    pub(crate) fn new(
        io: IO,
        connection: Connection<A::Role>,
        host: A,
        control: Arc<ConnectionControl<A::Role>>,
    ) -> Self {
        Self {
            io: ConnectionIo::new(io, connection),
            host,
            wakers: WakerSet::default(),
            handle: Handle::new(control),
            has_registered: false,
            on_notice: None,
            share: None,
            has_warned: false,
            streams_opened: 0,
            end: None,
        }
    }

    /// Returns the handle of the connection.
    pub(crate) const fn handle(&self) -> &Handle<A::Role> {
        &self.handle
    }

    /// Sets the callback for connection-level events of the peer.
    pub(crate) fn set_on_notice(&mut self, on_notice: OnNotice<A::Role>) {
        self.on_notice = Some(on_notice);
    }

    /// Returns the host.
    pub(crate) fn host(&mut self) -> &mut A {
        &mut self.host
    }

    /// Counts in `counters` from now on.
    pub(crate) fn set_counters(&mut self, counters: Arc<Counters>) {
        self.share = Some(Share::new(counters));
    }

    /// Returns the shared counters, if any.
    pub(crate) fn counters(&self) -> Option<&Counters> {
        self.share.as_ref().map(Share::counters)
    }

    /// Returns the transport side.
    pub(crate) fn io(&mut self) -> &mut ConnectionIo<IO, A::Role> {
        &mut self.io
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<Arc<ConnectionEnd>> {
        if self.wakers.register_task(cx) {
            self.host.rebind_wakers(&mut self.wakers);
            self.has_registered = false;
        }
        if !self.has_registered {
            self.has_registered = true;
            self.handle.control().register(cx.waker());
        }
        for _ in 0..TURNS_MAX {
            if self.end.is_some() {
                return self.poll_end(cx);
            }
            let Self { host, wakers, handle, on_notice, io, .. } = &mut *self;
            let received = io.poll_input(cx, &mut EventSink { host, wakers, handle, on_notice });
            let mut progressed = false;
            if !self.io.has_failed() {
                self.handle.control().apply(self.io.connection());
                progressed = self.host.poll_streams(cx, self.io.connection(), &mut self.wakers);
            }
            let wrote = self.io.poll_output(cx);
            let timed = self.io.poll_time(cx);
            if self.io.is_finished() {
                let end = Arc::new(self.io.end());
                self.handle.control().close();
                self.host.connection_ended(&end);
                self.end = Some(end);
                continue;
            }
            if !(received || progressed || wrote || timed) && self.wakers.try_sleep() {
                let is_idle = self.host.shrink();
                if is_idle {
                    self.io.shrink();
                    self.wakers.shrink();
                }
                if !A::Role::IS_CLIENT {
                    self.report_idle(is_idle);
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Counts the slow polls of handlers, which delay every other stream and other tasks of the
    /// worker thread. Warns of the first of a server, or of a connection without counters.
    fn count_slow_polls(&mut self) {
        let slow = self.host.take_slow_polls();
        if slow.count == 0 {
            return;
        }
        let is_first = match &self.share {
            Some(share) => share.counters().count_slow_polls(slow),
            None => !self.has_warned,
        };
        if is_first && !self.has_warned {
            trace::slow_poll(slow.longest);
        }
        self.has_warned = true;
    }

    /// Reports to the listener since when the connection has no streams.
    fn report_idle(&mut self, is_idle: bool) {
        let opened = self.io.connection().report().counters.streams_opened;
        self.handle.control().set_idle(is_idle, opened != self.streams_opened);
        self.streams_opened = opened;
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Arc<ConnectionEnd>> {
        self.io.poll_end(cx).map(|()| self.end.clone().expect("set before the transport is ended"))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Host> Future for Driver<IO, A> {
    type Output = Arc<ConnectionEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.poll_turns(cx);
        this.count_slow_polls();
        this.io.publish(cx);
        if let Some(share) = &mut this.share {
            share.add(&this.io.connection().report());
        }
        polled
    }
}

impl<IO, A: Host> Drop for Driver<IO, A> {
    fn drop(&mut self) {
        self.handle.control().close();
    }
}

/// Turns before the task yields.
const TURNS_MAX: usize = 16;
