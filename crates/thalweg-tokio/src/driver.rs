//! The loop of one connection: the only owner of its transport, its `Connection`, and its buffers.
//!
//! A turn reads once, passes the events on, lets every exchange that can go on do so, and writes once. Turns follow each
//! other until nothing moves; then the task sleeps.
//!
//! Keeps true: the application is told of the end before the transport is ended; a driver that never runs dry lets other
//! tasks run after a bounded number of turns.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use thalweg::{Event, Role};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::control::{Control, Handle, OnNotice, tell};
use crate::counters::{Counters, Share};
use crate::doorbell::Doorbell;
use crate::error::End;
use crate::link::Link;
use crate::log;
use crate::record::Connection;
use crate::wire::{Followup, Listener, Wire};

/// What a role does with its streams.
pub trait Application {
    /// The role.
    type Role: Role;

    /// Takes what the peer did. What it asks of the connection waits for `work`, or for `start`.
    fn hear(&mut self, event: Event<'_, '_>) -> Followup;

    /// Begins what was heard, in the middle of what was read.
    fn start(&mut self, connection: &mut Link<Self::Role>, doorbell: &mut Doorbell);

    /// Lets everybody go on who can. Returns whether anybody moved.
    fn work(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Link<Self::Role>,
        doorbell: &mut Doorbell,
    ) -> bool;

    /// The task is another one: bells that were given out are dead, everybody must be polled with a new one.
    fn move_bells(&mut self, doorbell: &mut Doorbell);

    /// The connection is over: every exchange ends.
    fn end(&mut self, end: &Arc<End>);

    /// Gives back memory that is not needed without streams. Returns whether there are none.
    fn rest(&mut self) -> bool;
}

/// A connection with its transport and its application, as a future.
pub struct Driver<IO, A: Application> {
    wire: Wire<IO, A::Role>,
    application: A,
    doorbell: Doorbell,
    /// What others wish of the connection.
    handle: Handle<A::Role>,
    has_registered: bool,
    on_notice: Option<OnNotice<A::Role>>,
    /// Where it counts what it does.
    share: Option<Share>,
    /// Whether a poll took long before.
    has_warned: bool,
    /// Streams that were opened before the task last went to sleep.
    streams_opened: u64,
    /// How it ended, once the application was told.
    end: Option<Arc<End>>,
}

/// The application while bytes are read.
struct Ears<'a, A: Application> {
    application: &'a mut A,
    doorbell: &'a mut Doorbell,
    handle: &'a Handle<A::Role>,
    on_notice: &'a Option<OnNotice<A::Role>>,
}

impl<A: Application> Listener<A::Role> for Ears<'_, A> {
    fn hear(&mut self, event: Event<'_, '_>) -> Followup {
        if let Some(listener) = self.on_notice
            && let Some(notice) = event.to_owned_event()
        {
            tell(listener, self.handle, notice);
        }
        self.application.hear(event)
    }

    fn work(&mut self, connection: &mut Link<A::Role>) {
        self.application.start(connection, self.doorbell);
    }
}

// Nothing in it is pinned in place: handlers and bodies are in boxes.
impl<IO, A: Application> Unpin for Driver<IO, A> {}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Driver<IO, A> {
    /// Puts the three together.
    pub fn new(
        io: IO,
        connection: Connection<A::Role>,
        application: A,
        control: Arc<Control<A::Role>>,
    ) -> Self {
        Self {
            wire: Wire::new(io, connection),
            application,
            doorbell: Doorbell::default(),
            handle: Handle::new(control),
            has_registered: false,
            on_notice: None,
            share: None,
            has_warned: false,
            streams_opened: 0,
            end: None,
        }
    }

    /// The way to it from elsewhere.
    pub const fn handle(&self) -> &Handle<A::Role> {
        &self.handle
    }

    /// Tells what the peer says about the connection.
    pub fn set_on_notice(&mut self, on_notice: OnNotice<A::Role>) {
        self.on_notice = Some(on_notice);
    }

    /// The application.
    pub fn application(&mut self) -> &mut A {
        &mut self.application
    }

    /// Counts what it does from now on.
    pub fn set_counters(&mut self, counters: Arc<Counters>) {
        self.share = Some(Share::new(counters));
    }

    /// Where it counts.
    pub fn counters(&self) -> Option<&Counters> {
        self.share.as_ref().map(Share::counters)
    }

    /// The transport's part.
    pub fn wire(&mut self) -> &mut Wire<IO, A::Role> {
        &mut self.wire
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<Arc<End>> {
        if self.doorbell.wake_up(cx) {
            self.application.move_bells(&mut self.doorbell);
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
            let Self { application, doorbell, handle, on_notice, wire, .. } = &mut *self;
            let heard = wire.poll_input(cx, &mut Ears { application, doorbell, handle, on_notice });
            let mut worked = false;
            if !self.wire.is_over() {
                self.handle.control().grant(self.wire.connection());
                worked = self.application.work(cx, self.wire.connection(), &mut self.doorbell);
            }
            let wrote = self.wire.poll_output(cx);
            let timed = self.wire.poll_time(cx);
            if self.wire.is_finished() {
                let end = Arc::new(self.wire.end());
                self.handle.control().end();
                self.application.end(&end);
                self.end = Some(end);
                continue;
            }
            if !(heard || worked || wrote || timed) && self.doorbell.may_sleep() {
                let is_idle = self.application.rest();
                if is_idle {
                    self.wire.rest();
                    self.doorbell.rest();
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

    /// A poll that takes long holds up every other stream, and whatever else the worker thread has to do. Warns of the
    /// first of a server, or of a connection that counts nothing.
    fn note_length(&mut self, length: Duration) {
        if length < SLOW_POLL {
            return;
        }
        let is_first = match &self.share {
            Some(share) => share.counters().count_slow_poll(length),
            None => !self.has_warned,
        };
        if is_first && !self.has_warned {
            log::slow_poll(length);
        }
        self.has_warned = true;
    }

    /// Lets the listener know since when there are no streams.
    fn report_idle(&mut self, is_idle: bool) {
        let opened = self.wire.connection().report().counters.streams_opened;
        self.handle.control().set_idle(is_idle, opened != self.streams_opened);
        self.streams_opened = opened;
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Arc<End>> {
        self.wire.poll_end(cx).map(|()| self.end.clone().expect("set before the transport is ended"))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Future for Driver<IO, A> {
    type Output = Arc<End>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let started = Instant::now();
        let polled = this.poll_turns(cx);
        if !A::Role::IS_CLIENT {
            this.note_length(started.elapsed());
        }
        this.wire.turn(cx);
        if let Some(share) = &mut this.share {
            share.add(&this.wire.connection().report());
        }
        polled
    }
}

impl<IO, A: Application> Drop for Driver<IO, A> {
    fn drop(&mut self) {
        self.handle.control().end();
    }
}

/// A poll of a connection's task from which on it is said to block: longer than a busy machine takes a thread away for.
const SLOW_POLL: Duration = Duration::from_millis(20);
/// Turns before other tasks may run.
const TURNS_MAX: usize = 16;
