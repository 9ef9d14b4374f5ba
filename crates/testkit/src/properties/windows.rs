//! Patterns of WINDOW_UPDATE: the length of the DATA frames in each, and that no frame waits
//! indefinitely.

use std::collections::VecDeque;
use std::time::Duration;

use thalweg::{Config, Instant, Request, StreamKey};

use super::PropertyFailure;
use crate::endpoint::Endpoint;
use crate::frames::{Frame, Reader, kind, setting, settings, window_update, wire};
use crate::random::{Choices, Random};

/// An upload to a peer that credits in a pattern, one update processed at a time.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// The peer's SETTINGS_INITIAL_WINDOW_SIZE.
    pub window_bytes: u32,
    /// The increment of the connection window at the start, bytes.
    pub connection_bytes_more: u32,
    /// The peer's SETTINGS_MAX_FRAME_SIZE.
    pub frame_bytes: u32,
    /// Bytes that the application passes to one call.
    pub piece_bytes: u32,
    /// Bytes of the whole upload.
    pub total_bytes: u32,
    /// When the peer sends WINDOW_UPDATE.
    pub credit: Credit,
}

/// When a peer sends WINDOW_UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credit {
    /// An update for each DATA frame, by its length.
    EachFrame,
    /// The same, in this many parts.
    Parts(u32),
    /// After this many bytes, with one update for all of them.
    After(u32),
    /// After the window is exhausted, with updates for all of it, in this many parts.
    Exhausted(u32),
    /// An update for each DATA frame, for all but this many bytes: the peer holds them.
    Holding(u32),
}

/// The frames of an upload.
#[derive(Debug, Default)]
pub struct Uploaded {
    /// The lengths of the DATA frames.
    pub lens: Vec<u32>,
    /// Frames and their bytes, without those that carry the rest of a piece, and those after a wait
    /// for window until both windows have been wide open again.
    pub long: (u64, u64),
    /// How often the upload waited until time passed.
    pub silences: u32,
}

impl Upload {
    /// Returns the upload of a seed.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let window_bytes = 1 + random.size(300_000);
        let credit = match random.below(5) {
            0 => Credit::EachFrame,
            1 => Credit::Parts(1 + random.below(8)),
            2 => Credit::After(1 + random.below(window_bytes.min(65_535))),
            3 => Credit::Holding(window_bytes.min(65_535) / 8 * random.below(8)),
            _ => Credit::Exhausted(1 + random.below(6)),
        };
        Self {
            window_bytes,
            connection_bytes_more: random.size(1 << 20),
            frame_bytes: 16_384 + random.size(60_000),
            piece_bytes: 1000 + random.size(1 << 20),
            total_bytes: (10 * window_bytes).min(1 << 20),
            credit,
        }
    }

    /// Returns the shortest frame that the windows may make.
    pub fn full_frame(&self) -> u32 {
        let [stream, connection] = self.windows();
        self.frame_bytes.min(stream / 2).min(connection / 2).max(1)
    }

    fn windows(&self) -> [u32; 2] {
        [self.window_bytes, 65_535 + self.connection_bytes_more.max(1)]
    }

    /// Runs the upload.
    ///
    /// # Errors
    /// The connection fails, or the upload waits for window that does not come.
    pub fn run(&self) -> Result<Uploaded, PropertyFailure> {
        let mut config = Config::default();
        config.output_bytes_max = 1 << 24;
        let mut client = Endpoint::client(config).map_err(|error| error.to_string())?;
        let start = wire([
            &settings()
                .entry(setting::INITIAL_WINDOW_SIZE, self.window_bytes)
                .entry(setting::MAX_FRAME_SIZE, self.frame_bytes),
            &window_update(0, self.connection_bytes_more.max(1)),
        ]);
        let mut run = Run::new(self);
        client.handle_timeout(run.now).map_err(|error| error.to_string())?;
        run.receive(&mut client, &start)?;
        let request = Request::new("POST", "https", "example.org", "/");
        let stream = client.send_request(&request, &[], false).map_err(|error| error.to_string())?;
        let mut is_writable = true;
        for _ in 0..STEPS_MAX {
            if is_writable {
                run.send(&mut client, stream)?;
            }
            run.transmit(&mut client)?;
            if run.total_left == 0 {
                return Ok(run.uploaded);
            }
            match run.updates.pop_front() {
                Some(update) => {
                    run.observe(&update);
                    run.receive(&mut client, &update.bytes())?;
                }
                None => run.wait(&mut client)?,
            }
            is_writable = client.poll_writable().is_some();
        }
        Err(format!("windows: {self:?} never ends"))
    }
}

/// An upload under way.
struct Run<'a> {
    upload: &'a Upload,
    uploaded: Uploaded,
    reader: Reader,
    now: Instant,
    total_left: u32,
    piece_left: u32,
    /// The rest of the DATA frame that is being received.
    wire_left: u32,
    wire_total_left: u32,
    uncredited: u32,
    window: i64,
    connection_window: i64,
    updates: VecDeque<Frame>,
    /// What the client may send on the stream, and on the connection, bytes.
    available: [i64; 2],
    /// Whether each has not been wide open since the client waited.
    narrow: [bool; 2],
}

impl<'a> Run<'a> {
    fn new(upload: &'a Upload) -> Self {
        let mut reader = Reader::default();
        reader.allow_frame_bytes(upload.frame_bytes as usize);
        Self {
            upload,
            uploaded: Uploaded::default(),
            reader,
            now: Instant::ZERO,
            total_left: upload.total_bytes,
            piece_left: 0,
            wire_left: 0,
            wire_total_left: upload.total_bytes,
            uncredited: 0,
            window: upload.window_bytes.into(),
            connection_window: i64::from(65_535 + upload.connection_bytes_more.max(1)),
            updates: VecDeque::new(),
            available: upload.windows().map(i64::from),
            narrow: [false; 2],
        }
    }

    /// The application sends piece by piece, until a call takes less than a whole piece.
    fn send(&mut self, client: &mut Endpoint, stream: StreamKey) -> Result<(), PropertyFailure> {
        while self.total_left > 0 {
            if self.piece_left == 0 {
                self.piece_left = self.upload.piece_bytes.min(self.total_left);
            }
            let piece = &CONTENT[..self.piece_left as usize];
            let end = self.piece_left == self.total_left;
            let taken = client.send_data(stream, piece, end, None).map_err(|error| error.to_string())?;
            self.piece_left -= taken as u32;
            self.total_left -= taken as u32;
            if self.piece_left > 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn transmit(&mut self, client: &mut Endpoint) -> Result<(), PropertyFailure> {
        let mut out = Vec::new();
        while client.poll_transmit(&mut out, &mut Vec::new()) {}
        self.reader.push(out.strip_prefix(crate::frames::PREFACE.as_slice()).unwrap_or(&out));
        while let Some(frame) = self.reader.next_frame().map_err(|error| error.to_string())? {
            if frame.kind == kind::DATA {
                self.count(frame.body.len() as u32);
            }
        }
        Ok(())
    }

    fn count(&mut self, len: u32) {
        if self.wire_left == 0 {
            self.wire_left = self.upload.piece_bytes.min(self.wire_total_left);
        }
        self.wire_left -= len;
        self.wire_total_left -= len;
        self.window -= i64::from(len);
        self.connection_window -= i64::from(len);
        self.uploaded.lens.push(len);
        let is_full = len >= self.upload.full_frame().min(self.upload.piece_bytes);
        self.available = self.available.map(|available| available - i64::from(len));
        if (self.wire_left > 0 || is_full) && self.narrow == [false; 2] {
            self.uploaded.long.0 += 1;
            self.uploaded.long.1 += u64::from(len);
        }
        self.uncredited += len;
        let parts = match self.upload.credit {
            Credit::EachFrame => 1,
            Credit::Parts(parts) => parts,
            Credit::After(bytes) if self.uncredited >= bytes => 1,
            Credit::Exhausted(parts) if self.window <= 0 || self.connection_window <= 0 => parts,
            Credit::Holding(held) if self.uncredited > held => 1,
            Credit::After(_) | Credit::Exhausted(_) | Credit::Holding(_) => return,
        };
        let held = if let Credit::Holding(held) = self.upload.credit { held } else { 0 };
        let mut left = std::mem::replace(&mut self.uncredited, held) - held;
        let part = left.div_ceil(parts);
        while left > 0 {
            let increment = part.min(left);
            left -= increment;
            self.updates.extend([window_update(1, increment), window_update(0, increment)]);
            self.window += i64::from(increment);
            self.connection_window += i64::from(increment);
        }
    }

    /// Takes an update that the client is about to receive.
    fn observe(&mut self, update: &Frame) {
        let index = usize::from(update.stream == 0);
        self.available[index] += i64::from(update.increment().unwrap_or(0));
        let wide = self.upload.frame_bytes.min(self.upload.windows()[index] / 2).max(1);
        if self.available[index] >= i64::from(wide) {
            self.narrow[index] = false;
        }
    }

    fn receive(&mut self, client: &mut Endpoint, mut bytes: &[u8]) -> Result<(), PropertyFailure> {
        while client.receive(&mut bytes, self.now).map_err(|error| format!("windows: {error}"))?.is_some() {}
        Ok(())
    }

    /// Nothing is received: the client may wait for a timeout, and for nothing else.
    fn wait(&mut self, client: &mut Endpoint) -> Result<(), PropertyFailure> {
        let at = client.poll_timeout().filter(|at| *at <= self.now + SILENCE_MAX);
        let Some(at) = at else {
            return Err(format!("windows: {:?} waits for window that does not come", self.upload));
        };
        self.uploaded.silences += 1;
        self.narrow = [true; 2];
        self.now = self.now.max(at);
        client.handle_timeout(self.now).map_err(|error| format!("windows: {error}"))
    }
}

/// Checks that frames that only the window makes short are rare in every pattern, that no pattern
/// reaches a limit, and that every upload completes.
///
/// # Errors
/// The pattern, and the violation.
pub fn long_frames(upload: &Upload) -> Result<(), PropertyFailure> {
    let uploaded = upload.run()?;
    let (frames, bytes) = uploaded.long;
    let full = u64::from(upload.full_frame().min(upload.piece_bytes));
    // The first window of all may end with a short frame.
    if 2 * bytes < full * frames.saturating_sub(1) {
        return Err(format!("windows: {upload:?} has {frames} frames for {bytes} bytes"));
    }
    if upload.credit == Credit::EachFrame && uploaded.silences > 0 {
        return Err(format!("windows: {upload:?} waited, and all credit was there"));
    }
    if matches!(upload.credit, Credit::Holding(_)) && uploaded.silences > HOLDING_SILENCES_MAX {
        return Err(format!("windows: {upload:?} waited {} times", uploaded.silences));
    }
    Ok(())
}

static CONTENT: [u8; 1 << 21] = [b'x'; 1 << 21];
const STEPS_MAX: u32 = 100_000;
/// A peer that lets an eighth of its window circulate sees that at most 80 times: three waits for
/// each window, of three steps each.
const HOLDING_SILENCES_MAX: u32 = 18;
/// The longest time that the test lets pass at once.
const SILENCE_MAX: Duration = Duration::from_millis(100);
