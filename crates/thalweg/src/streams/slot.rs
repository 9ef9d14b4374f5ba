//! What is kept of one live stream.

use core::time::Duration;

use super::send_queue::{Class, QueueKey};
use super::state::{HalfState, State};
use crate::flow::{FRAME_BYTES, ReceiveWindow, SendWindow};
use crate::headers::validate::Method;
use crate::priority::Priority;
use crate::silly_window::Wait;
use crate::time::Instant;

/// One live stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// 0: the slot is free.
    pub(super) id: u32,
    /// Its state (RFC 9113 §5.1).
    pub state: State,
    /// What the request's method means for the messages. A final response of 204 or 304 makes it
    /// [`Method::Head`], since it means the same: the response ends with its header section.
    pub method: Method,
    /// Whether an event or a call has shown the stream to the caller: only then is its end
    /// reported.
    pub reported: bool,
    /// What we send.
    pub send: SendHalf,
    /// What the peer sends.
    pub receive: ReceiveHalf,
    /// The next free slot, while this one is free.
    pub(super) next_free: u32,
    /// The next slot of the list of waits that start at the next time: `NO_SLOT` off the list, the
    /// slot itself at its end.
    pub(super) next_wait: u32,
}

/// The half of a stream that we send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendHalf {
    /// What we may send.
    pub window: SendWindow,
    /// When the peer last credited the window while it was too small for the next frame.
    pub window_opened_at: Instant,
    /// What content-length leaves to send.
    pub left: RemainingLength,
    /// The priority that the peer or our own caller has signalled (RFC 9218). Streams without one
    /// take turns.
    pub signalled: Option<Priority>,
    /// Whether CONNECT made the stream a tunnel: then only DATA may follow (RFC 9113 §8.5).
    pub tunnel: bool,
    /// Whether `send_data` could not take everything, and since when too little could be sent.
    pub blocked: Blocked,
    /// Bytes that were sent since then.
    pub progress_bytes: u32,
    /// What `send_data` could not take, bytes.
    pub blocked_bytes: u32,
    /// How long a frame that the window makes short has waited.
    pub short_wait: Wait,
    /// The stream's place in the send queue.
    pub(super) queue_place: QueuePlace,
    /// The key of that place.
    pub(super) queue_key: QueueKey,
}

/// The place of a stream in the send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueuePlace {
    /// It has none: the stream is not blocked, or lacks window.
    None,
    /// The stream is queued under its key.
    Queued,
    /// `poll_writable` has returned the stream: its key is good for one frame.
    Granted,
}

/// What the connection's send window contributes to the wait of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionCredit {
    /// What the connection's window allows, bytes.
    pub available: u32,
    /// When the peer last credited that window while it was too small for a full frame.
    pub opened_at: Instant,
    /// The shortest frame that it may make of a longer one, bytes: see `silly_window`.
    pub full_frame: u32,
}

/// The half of a stream that the peer sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveHalf {
    /// What the peer may send.
    pub window: ReceiveWindow,
    /// What content-length leaves to receive.
    pub left: RemainingLength,
    /// Since when the rest of the peer's content is awaited.
    pub content_timer: ContentTimer,
    /// When the peer could first send on the stream, in ticks of the core: an early reset costs
    /// more.
    pub opened_at_ticks: u32,
}

/// Whether `send_data` could not take everything, and since when: one word, since each stream has
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocked(u64);

/// Since when a stream is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockedSince {
    /// A call left something, and no time has been passed since. The wait continues at the next
    /// time; before the window was open in between, it had lasted so long.
    NextTime { waited: Duration },
    /// A call left something, and since this time little of it could be sent.
    Time(Instant),
}

impl Blocked {
    /// `send_data` took everything.
    pub(crate) const NO: Self = Self(u64::MAX);
    /// Marks a wait that starts at the next time; the bits below it count nanoseconds.
    const NEXT_TIME: u64 = 1 << 63;

    /// Creates the state of a blocked stream. Times and waits are at most 292 years long.
    pub(super) fn from(since: BlockedSince) -> Self {
        match since {
            BlockedSince::NextTime { waited } => {
                let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
                Self(Self::NEXT_TIME | nanos.min(Self::NEXT_TIME - 2))
            }
            BlockedSince::Time(time) => Self(time.as_nanos().min(Self::NEXT_TIME - 1)),
        }
    }

    /// Returns since when the stream is blocked, if it is.
    #[inline]
    pub(super) fn since(self) -> Option<BlockedSince> {
        let nanos = self.0 & !Self::NEXT_TIME;
        match self {
            Self::NO => None,
            _ if self.0 == nanos => Some(BlockedSince::Time(Instant::from_nanos(nanos))),
            _ => Some(BlockedSince::NextTime { waited: Duration::from_nanos(nanos) }),
        }
    }
}

impl ReceiveHalf {
    /// Whether the peer can be expected to send into a window: it may wait for one that holds a
    /// frame, half of the window, or all of the rest, so as not to send small frames.
    fn peer_may_send(&self, window: &ReceiveWindow) -> bool {
        let wanted = FRAME_BYTES.min(window.size() / 2);
        let wanted = self.left.bytes().map_or(wanted, |left| wanted.min(left.cast_signed()));
        window.available() >= wanted.max(1)
    }
}

/// Since when the rest of a request's content is awaited: one word, since each stream has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentTimer(Instant);

impl ContentTimer {
    /// The content may take any time.
    pub(crate) const OFF: Self = Self(Instant::NEVER);
    /// Time counts from the next expiry of the timeout: the peer got window, content or a response
    /// meanwhile.
    pub(crate) const PENDING: Self = Self(Instant::from_nanos(u64::MAX - 1));

    /// Counts the time from `start`, or from later content on the connection.
    #[inline]
    pub(crate) fn since(start: Instant) -> Self {
        // Five centuries after the origin, time can no longer be distinguished from `PENDING`.
        Self(start.min(Self::PENDING.0))
    }

    /// Returns from when the time counts; `None` if it is off or pending.
    pub(crate) fn start(self) -> Option<Instant> {
        (self.0 < Self::PENDING.0).then_some(self.0)
    }

    /// Restarts the time, if it counts.
    #[inline]
    pub(crate) fn restart(&mut self) {
        if *self != Self::OFF {
            *self = Self::PENDING;
        }
    }
}

/// Bytes of content that an announced content-length still leaves; any number, if none was
/// announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemainingLength(u64);

impl RemainingLength {
    /// No content-length.
    pub(crate) const ANY: Self = Self(u64::MAX);

    /// Creates it from an announced content-length.
    pub(crate) const fn new(bytes: Option<u64>) -> Self {
        match bytes {
            Some(bytes) => Self(bytes),
            None => Self::ANY,
        }
    }

    /// Whether `bytes` more are allowed, and, if they are the `last`, whether they fit exactly.
    #[inline]
    pub(crate) const fn allows(self, bytes: u64, last: bool) -> bool {
        self.0 == u64::MAX || if last { bytes == self.0 } else { bytes <= self.0 }
    }

    /// Counts bytes that [`allows`](Self::allows) has allowed.
    #[inline]
    pub(crate) fn take(&mut self, bytes: u64) {
        if self.0 != u64::MAX {
            self.0 -= bytes;
        }
    }

    /// Returns the bytes, if a content-length was announced.
    pub(crate) const fn bytes(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

impl Slot {
    /// Returns since when the peer could have sent more of its content, at the expiry of the
    /// content timeout. `None`: the stream awaits none, or its content may take any time.
    /// `received`: when content arrived last on the connection.
    pub(crate) fn content_awaited_since(
        &mut self,
        connection: &ReceiveWindow,
        received: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let timer = self.receive.content_timer;
        if timer == ContentTimer::OFF || self.state.remote() != HalfState::Data {
            return None;
        }
        let may_send =
            self.receive.peer_may_send(connection) && self.receive.peer_may_send(&self.receive.window);
        let since = match timer.start() {
            Some(since) if may_send => since.max(received),
            _ => now,
        };
        self.receive.content_timer =
            if may_send { ContentTimer::since(since) } else { ContentTimer::PENDING };
        Some(since)
    }

    /// Creates a slot for a stream that is about to be opened.
    pub(crate) fn new(state: State, method: Method, send_window: u32, receive_window: u32) -> Self {
        Self {
            id: 0,
            state,
            method,
            reported: false,
            send: SendHalf {
                window: SendWindow::new(send_window),
                window_opened_at: Instant::ZERO,
                left: RemainingLength::ANY,
                signalled: None,
                tunnel: false,
                blocked: Blocked::NO,
                progress_bytes: 0,
                blocked_bytes: 0,
                short_wait: Wait::No,
                queue_place: QueuePlace::None,
                queue_key: QueueKey::NONE,
            },
            receive: ReceiveHalf {
                window: ReceiveWindow::new(receive_window),
                left: RemainingLength::ANY,
                content_timer: ContentTimer::OFF,
                opened_at_ticks: 0,
            },
            next_free: NO_SLOT,
            next_wait: NO_SLOT,
        }
    }
}

impl SendHalf {
    /// Returns the class in which the stream waits while it is blocked.
    #[inline]
    pub(super) fn class(&self) -> Class {
        Class::of(self.signalled, self.tunnel)
    }

    /// Returns the priority, which is the default without a signal.
    #[inline]
    pub(crate) fn priority(&self) -> Priority {
        self.signalled.unwrap_or_default()
    }

    /// Returns the window that the next frame of a blocked stream needs, bytes: see `silly_window`.
    #[inline]
    pub(crate) fn needed_window(&self, full_frame: u32) -> u32 {
        match self.short_wait {
            Wait::Over => 1,
            Wait::No | Wait::Found => self.shortest_frame(full_frame).min(self.blocked_bytes).max(1),
        }
    }

    /// Returns the shortest frame that the windows may make of a longer one, bytes: see
    /// `silly_window`.
    #[inline]
    pub(crate) fn shortest_frame(&self, full_frame: u32) -> u32 {
        full_frame.min((self.window.reachable() / 2).max(1))
    }

    /// Adds a WINDOW_UPDATE, and returns by how much it exceeds what was sent. `None`: the window
    /// would exceed 2^31-1, and has not changed. `frame_bytes_max`: the longest frame that the peer
    /// takes.
    #[inline]
    pub(crate) fn credit(
        &mut self,
        increment: u32,
        full_frame: u32,
        frame_bytes_max: u32,
        now: Instant,
    ) -> Option<u32> {
        if !self.has_window(full_frame) {
            self.window_opened_at = now;
        }
        self.window.add(increment, frame_bytes_max)
    }

    /// Counts an expiry of the timer while the next frame is short. Returns whether it waits on.
    pub(super) fn wait_longer(&mut self, now: Instant) -> bool {
        self.short_wait.advance();
        if self.short_wait != Wait::Over {
            return true;
        }
        self.window.wait_was_vain();
        // Until now the stream has waited for the peer, however early its window opened.
        self.window_opened_at = now;
        false
    }

    /// Whether one frame can carry all that the blocked stream has, if the connection's window
    /// allows `bytes`.
    #[inline]
    pub(super) fn is_complete_in(&self, bytes: u32) -> bool {
        self.blocked_bytes <= bytes.min(self.window.available())
    }

    /// Changes the window with the peer's SETTINGS_INITIAL_WINDOW_SIZE. `None`: it would exceed
    /// 2^31-1.
    pub(crate) fn shift_window(
        &mut self,
        change: i64,
        connection: ConnectionCredit,
        now: Instant,
    ) -> Option<()> {
        let had_window = self.has_window(connection.full_frame);
        let lacked_window = self.lacks_window(connection);
        self.window.shift(change)?;
        if !had_window {
            self.window_opened_at = now;
        } else if !lacked_window
            && self.lacks_window(connection)
            && let Some(BlockedSince::Time(since)) = self.blocked.since()
        {
            let waited = self.waited_before(connection, since);
            self.blocked = Blocked::from(BlockedSince::Time(now.saturating_sub(waited)));
        }
        Some(())
    }

    /// Returns how much of the time since `since` the stream had waited when its window opened.
    fn waited_before(&self, connection: ConnectionCredit, since: Instant) -> Duration {
        self.window_opened_at.max(connection.opened_at).saturating_duration_since(since)
    }

    /// Whether the windows are too small for the next frame of a blocked stream.
    #[inline]
    pub(crate) fn lacks_window(&self, connection: ConnectionCredit) -> bool {
        self.window.available().min(connection.available) < self.needed_window(connection.full_frame)
    }

    /// Decides whether a call that blocks the stream restarts its wait for window, and returns how
    /// much of that wait has passed. `None`: an earlier wait continues.
    ///
    /// While the window was open between two waits, the stream did not wait for the peer. Less than
    /// `stall_bytes_min` bytes of progress do not end a wait.
    #[inline]
    pub(crate) fn restart_wait(
        &mut self,
        sent: bool,
        connection: ConnectionCredit,
        stall_bytes_min: u32,
    ) -> Option<Duration> {
        match self.blocked.since() {
            Some(BlockedSince::Time(since)) if self.progress_bytes < stall_bytes_min => {
                if !sent || !self.lacks_window(connection) {
                    return None;
                }
                Some(self.waited_before(connection, since))
            }
            Some(BlockedSince::NextTime { .. }) => None,
            None | Some(BlockedSince::Time(_)) => {
                self.progress_bytes = 0;
                Some(Duration::ZERO)
            }
        }
    }

    /// Returns since when the stream waits for window, at the expiry of the stall timeout. A stream
    /// that has window waits from `now` on.
    pub(crate) fn waits_since(&mut self, connection: ConnectionCredit, now: Instant) -> Option<Instant> {
        let Some(BlockedSince::Time(since)) = self.blocked.since() else { return None };
        if self.lacks_window(connection) {
            return Some(since);
        }
        self.blocked = Blocked::from(BlockedSince::Time(now));
        self.progress_bytes = 0;
        Some(now)
    }

    /// Whether the stream waits because its own window would make its next frame too short.
    #[inline]
    pub(super) fn waits_short(&self, full_frame: u32) -> bool {
        self.blocked != Blocked::NO && self.window.available() > 0 && !self.has_window(full_frame)
    }

    /// Whether the stream is in the send queue.
    #[inline]
    pub(super) fn is_queued(&self) -> bool {
        self.queue_place == QueuePlace::Queued
    }

    /// Returns the key in the send queue, `NONE` while the stream is not queued.
    #[inline]
    pub(super) fn queued_key(&self) -> QueueKey {
        if self.is_queued() { self.queue_key } else { QueueKey::NONE }
    }

    /// Whether the stream's own window is large enough for its next frame.
    #[inline]
    pub(super) fn has_window(&self, full_frame: u32) -> bool {
        self.window.available() >= self.needed_window(full_frame)
    }
}

/// The end of the lists of slots.
pub(super) const NO_SLOT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_stream_needs_half_of_a_small_window_or_what_it_has_left() {
        let mut send = Slot::new(State::opened(true, false), Method::Other, 1000, 0).send;
        send.blocked = Blocked::from(BlockedSince::Time(Instant::ZERO));
        send.blocked_bytes = 2000;
        assert_eq!(send.needed_window(16_384), 500);
        assert_eq!(send.needed_window(300), 300, "the connection's window is smaller");
        send.window.take(600);
        assert_eq!((send.waits_short(16_384), send.has_window(16_384)), (true, false));
        send.blocked_bytes = 400;
        assert_eq!((send.needed_window(16_384), send.has_window(16_384)), (400, true));
        send.blocked_bytes = 2000;
        send.short_wait = Wait::Over;
        assert_eq!((send.needed_window(16_384), send.waits_short(16_384)), (1, false));
    }

    #[test]
    fn the_time_with_an_open_window_does_not_count_as_a_wait() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let connection = ConnectionCredit { available: 1 << 20, opened_at: at(0), full_frame: 16_384 };
        let mut send = Slot::new(State::opened(true, false), Method::Other, 1000, 0).send;
        send.blocked_bytes = 2000;
        assert_eq!(send.restart_wait(true, connection, 100), Some(Duration::ZERO), "the first wait");
        send.blocked = Blocked::from(BlockedSince::NextTime { waited: Duration::ZERO });
        assert_eq!(send.restart_wait(true, connection, 100), None, "it starts at the next time");
        send.blocked = Blocked::from(BlockedSince::Time(at(10)));
        send.window.take(900);
        send.window_opened_at = at(25);
        send.progress_bytes = 99;
        assert_eq!(send.restart_wait(false, connection, 100), None, "nothing was sent");
        assert_eq!(send.restart_wait(true, connection, 100), Some(Duration::from_secs(15)));
        assert_eq!(send.waits_since(connection, at(40)), Some(at(10)));
        send.progress_bytes = 100;
        assert_eq!(send.restart_wait(true, connection, 100), Some(Duration::ZERO), "enough progress");
        assert_eq!(send.window.add(900, 16_384), Some(0));
        assert_eq!(send.waits_since(connection, at(40)), Some(at(40)), "the window is open");
        assert_eq!(send.blocked.since(), Some(BlockedSince::Time(at(40))));
    }

    #[test]
    fn credit_for_a_window_below_the_next_frame_records_the_time() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut send = Slot::new(State::opened(true, false), Method::Other, 1000, 0).send;
        let connection = ConnectionCredit { available: 1 << 20, opened_at: at(0), full_frame: 16_384 };
        send.blocked_bytes = 2000;
        send.window.take(500);
        assert_eq!(send.credit(1, 16_384, 16_384, at(1)), Some(0));
        assert_eq!(send.window_opened_at, Instant::ZERO, "500 bytes are a whole frame here");
        send.window.take(2);
        assert_eq!(send.credit(1, 16_384, 16_384, at(2)), Some(0));
        assert_eq!(send.window_opened_at, at(2));
        assert_eq!(send.shift_window(1000, connection, at(3)), Some(()));
        assert_eq!(send.window_opened_at, at(2), "500 bytes again");
        assert_eq!(send.shift_window(-2000, connection, at(4)), Some(()));
        assert_eq!(send.shift_window(1, connection, at(5)), Some(()));
        assert_eq!(send.window_opened_at, at(5));
        assert_eq!(send.shift_window(1 << 32, connection, at(6)), None);
    }

    #[test]
    fn a_content_length_is_exact_at_the_last_byte() {
        let mut left = RemainingLength::new(Some(10));
        assert!(left.allows(10, false) && !left.allows(11, false) && !left.allows(9, true));
        left.take(4);
        assert_eq!((left.bytes(), left.allows(6, true)), (Some(6), true));
        let mut any = RemainingLength::ANY;
        any.take(5);
        assert_eq!((any.bytes(), any.allows(u64::MAX, true)), (None, true));
    }

    #[test]
    fn a_wait_is_packed_without_being_taken_for_another() {
        let waits = [
            BlockedSince::Time(Instant::ZERO),
            BlockedSince::Time(Instant::from_nanos((1 << 63) - 1)),
            BlockedSince::NextTime { waited: Duration::ZERO },
            BlockedSince::NextTime { waited: Duration::from_nanos((1 << 63) - 2) },
        ];
        for wait in waits {
            assert_eq!(Blocked::from(wait).since(), Some(wait));
        }
        let longest = BlockedSince::NextTime { waited: Duration::MAX };
        assert_eq!(Blocked::from(longest).since(), Some(waits[3]), "blocked nevertheless");
        assert_eq!(Blocked::from(BlockedSince::Time(Instant::NEVER)).since(), Some(waits[1]));
        assert_eq!(Blocked::NO.since(), None);
        assert_eq!(size_of::<Slot>(), 112, "the memory of each open stream");
    }

    #[test]
    fn a_timer_that_is_off_stays_off() {
        let mut timer = ContentTimer::OFF;
        timer.restart();
        assert_eq!((timer, timer.start()), (ContentTimer::OFF, None));
        timer = ContentTimer::since(Instant::ZERO);
        assert_eq!(timer.start(), Some(Instant::ZERO));
        timer.restart();
        assert_eq!((timer, timer.start()), (ContentTimer::PENDING, None));
        assert_eq!(ContentTimer::since(Instant::NEVER), ContentTimer::PENDING, "not off");
    }
}
