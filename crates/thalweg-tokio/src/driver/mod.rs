//! The event loop of one connection: sole owner of its transport, its `Connection`, and its
//! buffers.
//!
//! A turn reads once, passes the events on, polls every exchange that can make progress, and writes
//! once. Turns repeat until nothing makes progress; then the task sleeps.
//!
//! Invariants: no timeout fires over input that has arrived; the driver reports the end to the
//! application before it ends the transport; a driver with constant work yields to other tasks
//! after a bounded number of turns.

pub(crate) mod command_queue;
pub(crate) mod connection_io;
pub(crate) mod control;
pub(crate) mod detached_inboxes;
mod directions;
pub(crate) mod exchange_timers;
mod readiness;
pub(crate) mod tap;
pub(crate) mod waker_set;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thalweg::{Event, Instant, Role, StreamKey};
use thalweg_http::exchange::Frame;
use thalweg_http::transport::Exchanges;
use thalweg_io::{
    CloseLimits, Connection, ConnectionCounters, ConnectionEnd, Counters, Handle, SplicingConnection,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::trace;
use connection_io::{Action, ConnectionIo, EventHandler};
use control::{ConnectionControl, Notifier, OnNotice};
use exchange_timers::DeadlineTimer;
use tap::Tap;
use waker_set::WakerSet;

/// Sends the frame that the actions of an exchange name.
pub(crate) fn send_frame<R: Role>(connection: &mut SplicingConnection<R>, stream: StreamKey, frame: Frame) {
    match frame {
        Frame::None => {}
        // The core always accepts END_STREAM without data; a closed stream needs none.
        Frame::EndStream => drop(connection.send_data(stream, &[], true)),
        Frame::Reset(code) => connection.send_reset(stream, code),
    }
}

/// The handling of streams by a role.
pub trait Host {
    /// The role.
    type Role: Role;

    /// Sets the time of the turn that begins.
    fn set_time(&mut self, now: Instant);

    /// Returns when `poll_streams` must be called at the latest.
    fn next_deadline(&self) -> Option<Instant>;

    /// Handles a change of the transport. `Lost`: the reason follows in `connection_ended`.
    fn handle_transport(&mut self, exchanges: Exchanges, connection: &mut SplicingConnection<Self::Role>);

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
    /// Whether the service does not react to one of them by itself, as
    /// [`SpawnWhenSlow`](crate::SpawnWhenSlow) does.
    pub needs_remedy: bool,
}

/// What a driver needs besides the transport, the connection and the host.
pub(crate) struct DriverOptions<R: Role> {
    /// The commands for the connection.
    pub(crate) control: Arc<ConnectionControl<R>>,
    /// The peer's address, for the report.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) close_limits: CloseLimits,
    pub(crate) counters: Option<Arc<Counters>>,
    pub(crate) on_notice: Option<OnNotice<R>>,
    /// The reports to a monitor.
    pub(crate) tap: Tap,
}

/// A connection with its transport and its host, as a future.
pub(crate) struct Driver<IO, A: Host> {
    io: ConnectionIo<IO, A::Role>,
    host: A,
    wakers: WakerSet,
    /// The commands for the connection.
    control: Arc<ConnectionControl<A::Role>>,
    has_registered: bool,
    /// What the exchanges know of the transport.
    exchanges: Exchanges,
    /// The timer of the exchanges and of a transport that ends.
    timer: DeadlineTimer,
    notifier: Option<Notifier<A::Role>>,
    counters: Option<ConnectionCounters>,
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
    notifier: &'a Option<Notifier<A::Role>>,
}

impl<A: Host> EventHandler<A::Role> for EventSink<'_, A> {
    fn handle_event(&mut self, event: Event<'_, '_>) -> Action {
        if let Some(notifier) = self.notifier
            && let Some(notice) = event.to_owned_event()
        {
            notifier.notify(notice);
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
        options: DriverOptions<A::Role>,
    ) -> Self {
        let DriverOptions { control, remote, close_limits, counters, on_notice, tap } = options;
        let notifier = on_notice.map(|callback| Notifier::new(callback, handle_of(&control)));
        Self {
            io: ConnectionIo::new(io, connection, close_limits, remote, tap),
            host,
            wakers: WakerSet::default(),
            control,
            has_registered: false,
            exchanges: Exchanges::Continue,
            timer: DeadlineTimer::default(),
            notifier,
            counters: counters.map(ConnectionCounters::new),
            has_warned: false,
            streams_opened: 0,
            end: None,
        }
    }

    /// Returns a handle of the connection.
    pub(crate) fn handle(&self) -> Handle<A::Role> {
        handle_of(&self.control)
    }

    /// Returns the host.
    pub(crate) fn host(&mut self) -> &mut A {
        &mut self.host
    }

    /// Returns the connection's part of the counters, if it is counted.
    pub(crate) fn counters(&self) -> Option<&ConnectionCounters> {
        self.counters.as_ref()
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
            self.control.register(cx.waker());
        }
        for _ in 0..TURNS_MAX {
            if self.end.is_some() {
                return self.poll_end(cx);
            }
            self.host.set_time(self.io.now());
            let Self { host, wakers, notifier, io, .. } = &mut *self;
            let received = io.poll_input(cx, &mut EventSink { host, wakers, notifier });
            let mut progressed = false;
            if !self.io.has_failed() {
                let exchanges = self.io.exchanges();
                if exchanges != self.exchanges {
                    self.exchanges = exchanges;
                    self.host.handle_transport(exchanges, self.io.connection());
                }
                self.control.apply(self.io.connection());
                progressed = self.host.poll_streams(cx, self.io.connection(), &mut self.wakers);
            }
            let wrote = self.io.poll_output(cx);
            let Self { host, wakers, notifier, io, .. } = &mut *self;
            let timed = io.poll_time(cx, &mut EventSink { host, wakers, notifier });
            if self.io.is_finished() {
                let end = Arc::new(self.io.end());
                self.control.close();
                self.host.connection_ended(&end);
                self.io.limit_close(self.control.idle());
                self.end = Some(end);
                continue;
            }
            let is_due = {
                let Self { io, timer, host, .. } = &mut *self;
                let deadline = [host.next_deadline(), io.deadline()].into_iter().flatten().min();
                timer.poll(cx, deadline, |at| io.to_tokio(at))
            };
            let has_changed = self.io.exchanges() != self.exchanges;
            if !(received || progressed || wrote || timed || is_due || has_changed) && self.wakers.try_sleep()
            {
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
        let is_first = match &self.counters {
            Some(counters) => counters.add_slow_polls(slow.count, slow.longest),
            None => !self.has_warned,
        };
        if is_first && !self.has_warned && slow.needs_remedy {
            trace::slow_poll(slow.longest);
        }
        self.has_warned = true;
    }

    /// Reports to the listener since when the connection has no streams.
    fn report_idle(&mut self, is_idle: bool) {
        let opened = self.io.connection().report().counters.streams_opened;
        self.control.idle().update(is_idle, opened != self.streams_opened);
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
        if let Some(counters) = &mut this.counters {
            counters.add(&this.io.connection().report());
        }
        polled
    }
}

impl<IO, A: Host> Drop for Driver<IO, A> {
    fn drop(&mut self) {
        self.control.close();
    }
}

/// Returns a handle that sends its commands to `control`.
pub(crate) fn handle_of<R: Role>(control: &Arc<ConnectionControl<R>>) -> Handle<R> {
    Handle::new(Arc::clone(control) as _)
}

/// Turns before the task yields.
const TURNS_MAX: usize = 16;
