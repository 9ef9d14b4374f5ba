//! One end, what comes in, and an application whose reactions do not depend on how the input is
//! cut.

use std::time::Duration;

use thalweg::{
    CloseCause, Config, ConnectionError, ErrorCode, Event, Field, HeadersKind, Instant, Request, Status,
    StreamKey,
};

use super::{PropertyFailure, TimeoutModel};
use crate::chunking::Chunking;
use crate::endpoint::Endpoint;
use crate::frames::Frame;
use crate::monitor::Monitor;

/// A script for one end.
#[derive(Clone, Debug)]
pub struct InputScript {
    /// Whether the end is a client.
    pub is_client: bool,
    /// Its configuration.
    pub config: Config,
    /// How its application reacts.
    pub reactions: Reactions,
    /// What happens to it.
    pub steps: Vec<Step>,
}

/// Something that happens to the end. After each step its output is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes come.
    Input(Vec<u8>),
    /// Time passes, milliseconds.
    Wait(u32),
    /// The application opens a stream, or, at a server, promises one.
    Open,
    /// The application resets its oldest stream.
    Reset,
    /// The application begins a graceful end.
    Shutdown,
    /// The input ends.
    Eof,
}

/// How an application reacts. Each choice depends on what is told, never on how the input is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reactions {
    /// It answers requests at once with so many bytes.
    pub response_bytes: Option<u16>,
    /// It releases content when the stream ends; else never.
    pub releases: bool,
    /// It resets every stream whose identifier is so many times 2, plus 1.
    pub resets_every: Option<u8>,
    /// It sends informational responses first.
    pub sends_informational: bool,
    /// It ends responses with trailers.
    pub trailers: bool,
}

/// What one end did.
#[derive(Debug, Default)]
pub struct RunOutput {
    /// Its events, one line each, pieces of DATA joined.
    pub events: Vec<String>,
    /// Its output, by step.
    pub output: Vec<Vec<u8>>,
}

/// The state of a run.
struct Run<'p> {
    script: &'p InputScript,
    endpoint: Endpoint,
    monitor: Monitor,
    timeouts: TimeoutModel,
    now: Instant,
    output: RunOutput,
    /// What a timeout has sent in this step.
    timed_output: Vec<u8>,
    /// DATA of one stream that was told without an interruption.
    data: Option<(u32, Vec<u8>)>,
    streams: Vec<StreamKey>,
    unreleased: Vec<(StreamKey, usize)>,
    opened: u32,
}

impl InputScript {
    /// Bytes that come in.
    pub fn input_len(&self) -> usize {
        let len = |step: &Step| if let Step::Input(bytes) = step { bytes.len() } else { 0 };
        self.steps.iter().map(len).sum()
    }

    /// A new end for this play.
    pub fn endpoint(&self) -> Endpoint {
        let made = if self.is_client { Endpoint::client(self.config) } else { Endpoint::server(self.config) };
        made.expect("a play has a valid configuration")
    }

    /// Plays, and has all output judged by a [`Monitor`].
    pub(super) fn run(
        &self,
        endpoint: Endpoint,
        chunking: &mut Chunking,
    ) -> Result<RunOutput, PropertyFailure> {
        self.run_with_check(endpoint, chunking, |_, _| Ok(()))
    }

    /// Plays, and looks at the end after each step.
    pub(super) fn run_with_check(
        &self,
        endpoint: Endpoint,
        chunking: &mut Chunking,
        check_step: impl Fn(&mut Endpoint, Instant) -> Result<(), PropertyFailure>,
    ) -> Result<RunOutput, PropertyFailure> {
        let mut run = Run {
            script: self,
            endpoint,
            monitor: Monitor::new(self.is_client, &self.config),
            timeouts: TimeoutModel::new(self.is_client, self.config, Instant::ZERO),
            now: Instant::ZERO,
            output: RunOutput::default(),
            timed_output: Vec::new(),
            data: None,
            streams: Vec::new(),
            unreleased: Vec::new(),
            opened: 0,
        };
        run.transmit()?;
        for step in &self.steps {
            run.step(step, chunking)?;
            run.transmit()?;
            check_step(&mut run.endpoint, run.now)?;
        }
        run.end_data();
        Ok(run.output)
    }
}

impl Run<'_> {
    fn step(&mut self, step: &Step, chunking: &mut Chunking) -> Result<(), PropertyFailure> {
        self.track_streams();
        match step {
            Step::Input(bytes) => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let piece = chunking.take(&mut rest);
                    self.receive(piece)?;
                }
            }
            Step::Wait(ms) => {
                self.now = self.now + Duration::from_millis((*ms).into());
                self.handle_timeout()?;
            }
            Step::Open => self.open(),
            Step::Reset => {
                if !self.streams.is_empty() {
                    let stream = self.streams.remove(0);
                    self.endpoint.send_reset(stream, ErrorCode::CANCEL);
                }
            }
            Step::Shutdown => {
                self.endpoint.shutdown();
                self.timeouts.shuts_down(self.now);
            }
            Step::Eof => {
                self.timeouts.ends_input(self.now);
                let ended = self.endpoint.handle_eof();
                self.record(format!("the end of input: {ended:?}"));
            }
        }
        // What calls and time have caused is told without input.
        self.receive(&[])
    }

    /// Lets timeouts fire. None of them, nor what it sends, may come too early.
    fn handle_timeout(&mut self) -> Result<(), PropertyFailure> {
        let now = self.now;
        let is_live = |stream: &StreamKey, endpoint: &Endpoint| endpoint.send_capacity(*stream).is_some();
        let living: Vec<StreamKey> =
            self.streams.iter().copied().filter(|stream| is_live(stream, &self.endpoint)).collect();
        if let Err(error) = self.endpoint.handle_timeout(now) {
            self.judge_end(error)?;
            self.record(format!("the end: {error}"));
            return Ok(());
        }
        for stream in living.into_iter().filter(|stream| !is_live(stream, &self.endpoint)) {
            self.timeouts.stream_ended(stream.id().as_u32(), now);
        }
        let mut sent = Vec::new();
        self.timed_output = self.fetch(|frame| sent.push(frame.clone()))?;
        sent.iter().try_for_each(|frame| self.timeouts.says_in_time(frame, now).map(drop))
    }

    fn judge_end(&self, error: ConnectionError) -> Result<(), PropertyFailure> {
        match error.cause() {
            CloseCause::Timeout(timeout) if !self.is_over() => self.timeouts.ends(timeout, self.now),
            _ => Ok(()),
        }
    }

    /// Whether the end of the connection was told.
    fn is_over(&self) -> bool {
        self.output.events.iter().any(|line| line.starts_with("the end: "))
    }

    /// Tells the timeouts that streams live, before a call or a frame may end the last of them.
    fn track_streams(&mut self) {
        if self.endpoint.live_streams() > 0 {
            self.timeouts.is_busy(self.now);
        }
    }

    fn receive(&mut self, piece: &[u8]) -> Result<(), PropertyFailure> {
        if !piece.is_empty() {
            self.timeouts.receives(self.now);
        }
        let mut rest = piece;
        loop {
            let before = rest;
            self.track_streams();
            let received = self.endpoint.receive(&mut rest, self.now);
            let (timeouts, now) = (&mut self.timeouts, self.now);
            self.monitor.sees_each(&before[..before.len() - rest.len()], |frame| timeouts.sees(frame, now));
            let event = match received {
                Ok(Some(event)) => event,
                Ok(None) if rest.is_empty() => return Ok(()),
                Ok(None) => return Err(format!("`None`, and {} bytes are left", rest.len())),
                Err(error) => {
                    self.record(format!("the end: {error}"));
                    return Ok(());
                }
            };
            self.timeouts.sees_event(&event, now)?;
            if let Event::Data { stream, data, end } = event {
                self.receive_data(stream, data, end);
                continue;
            }
            let line = format!("{event:?}");
            let reaction = match event {
                Event::Headers { stream, kind, end, .. } => Some((stream, kind, end)),
                Event::Reset { stream, .. } => {
                    self.streams.retain(|live| *live != stream);
                    None
                }
                _ => None,
            };
            self.record(line);
            if let Some((stream, kind, end)) = reaction {
                self.receive_headers(stream, kind, end);
            }
        }
    }

    /// A line for an event; the same error is told once.
    fn record(&mut self, line: String) {
        self.end_data();
        if !(line.starts_with("the end: ") && self.output.events.contains(&line)) {
            self.output.events.push(line);
        }
    }

    fn end_data(&mut self) {
        if let Some((stream, data)) = self.data.take() {
            self.output.events.push(format!("Data on stream {stream}: {}", data.escape_ascii()));
        }
    }

    fn receive_data(&mut self, stream: StreamKey, data: &[u8], end: bool) {
        let id = stream.id().as_u32();
        if self.data.as_ref().is_none_or(|(other, _)| *other != id) {
            self.end_data();
        }
        self.data.get_or_insert((id, Vec::new())).1.extend_from_slice(data);
        match self.unreleased.iter_mut().find(|(other, _)| *other == stream) {
            Some((_, held)) => *held += data.len(),
            None => self.unreleased.push((stream, data.len())),
        }
        if end {
            self.record(format!("the end of stream {id}"));
            self.remote_ended(stream);
        }
    }

    fn receive_headers(&mut self, stream: StreamKey, kind: HeadersKind, end: bool) {
        if matches!(kind, HeadersKind::Request | HeadersKind::Push { .. }) {
            self.streams.push(stream);
        }
        if self.resets(stream) {
            self.endpoint.send_reset(stream, ErrorCode::CANCEL);
            self.streams.retain(|live| *live != stream);
            return;
        }
        if kind == HeadersKind::Request {
            self.respond(stream);
        }
        if end {
            self.remote_ended(stream);
        }
    }

    fn resets(&self, stream: StreamKey) -> bool {
        self.script
            .reactions
            .resets_every
            .is_some_and(|every| every > 0 && (stream.id().as_u32() / 2).is_multiple_of(every.into()))
    }

    fn remote_ended(&mut self, stream: StreamKey) {
        if self.script.reactions.releases {
            self.unreleased.retain(|(other, held)| {
                if *other == stream {
                    self.endpoint.release(stream, *held);
                }
                *other != stream
            });
        }
    }

    fn respond(&mut self, stream: StreamKey) {
        let Reactions { response_bytes, sends_informational, trailers, .. } = self.script.reactions;
        let Some(len) = response_bytes else { return };
        if sends_informational {
            let _ = self.endpoint.send_informational(stream, Status::EARLY_HINTS, &[]);
        }
        let fields = [Field::new(b"server", b"thalweg")];
        let sent = self.endpoint.send_response(stream, Status::OK, &fields, len == 0 && !trailers);
        if sent.is_err() {
            return;
        }
        let body = vec![b'x'; len.into()];
        let taken = self.endpoint.send_data(stream, &body, !trailers, None);
        if let Ok(taken) = taken
            && taken < body.len()
        {
            self.timeouts.blocked(stream.id().as_u32(), taken as u32, false, self.now);
        }
        if trailers && taken == Ok(body.len()) {
            let _ = self.endpoint.send_trailers(stream, &fields);
        }
    }

    fn open(&mut self) {
        self.opened += 1;
        let path = format!("/{}", self.opened);
        let request = Request::get("https", "example.org", &path);
        let opened = if self.script.is_client {
            self.endpoint.send_request(&request, &[], self.opened % 2 == 1)
        } else {
            match self.streams.first() {
                Some(parent) => self.endpoint.send_push(*parent, &request, &[]),
                None => return,
            }
        };
        self.streams.extend(opened.ok());
    }

    /// Fetches the output of a step.
    fn transmit(&mut self) -> Result<(), PropertyFailure> {
        let mut step = std::mem::take(&mut self.timed_output);
        step.extend(self.fetch(|_| {})?);
        self.output.output.push(step);
        Ok(())
    }

    /// Fetches the output, and has it judged. What was cut short is not taken up again: the
    /// application forgets it.
    fn fetch(&mut self, mut look: impl FnMut(&Frame)) -> Result<Vec<u8>, PropertyFailure> {
        while self.endpoint.poll_writable().is_some() {}
        let (mut out, mut splices) = (Vec::new(), Vec::new());
        let mut fetched = Vec::new();
        let mut batches = 0;
        while self.endpoint.poll_transmit(&mut out, &mut splices) {
            self.timeouts.transmits(self.now);
            self.monitor.check_outbound(&out, &mut look)?;
            fetched.append(&mut out);
            batches += 1;
            if batches > BATCHES_MAX {
                return Err("silence: the output never ends".to_owned());
            }
        }
        Ok(fetched)
    }
}

/// More output than this in one turn has no cause.
const BATCHES_MAX: u32 = 16;
