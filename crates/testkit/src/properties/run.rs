//! Runs one endpoint on scripted input, with an application whose reactions do not depend on how
//! the input is split.

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

/// A script for one endpoint.
#[derive(Clone, Debug)]
pub struct InputScript {
    /// Whether the endpoint is a client.
    pub is_client: bool,
    /// Its configuration.
    pub config: Config,
    /// How its application reacts.
    pub reactions: Reactions,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A step of a script. After each step the output is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The endpoint receives these bytes.
    Input(Vec<u8>),
    /// Time passes, milliseconds.
    Wait(u32),
    /// The application opens a stream, or, at a server, promises one.
    Open,
    /// The application resets its oldest stream.
    Reset,
    /// The application shuts the connection down.
    Shutdown,
    /// The input ends.
    Eof,
}

/// How an application reacts. Each reaction depends on the events, never on how the input is split.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reactions {
    /// The bytes of each response, which is sent at once.
    pub response_bytes: Option<u16>,
    /// Whether it releases content when the stream ends; otherwise it never does.
    pub releases: bool,
    /// It resets every stream whose identifier is 1 above a multiple of twice this number.
    pub resets_every: Option<u8>,
    /// Whether it sends informational responses first.
    pub sends_informational: bool,
    /// Whether it ends responses with trailers.
    pub trailers: bool,
}

/// The observed behaviour of one endpoint.
#[derive(Debug, Default)]
pub struct RunOutput {
    /// Its events, one line each, with adjacent DATA joined.
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
    /// The output that timeouts caused in this step.
    timed_output: Vec<u8>,
    /// Adjacent DATA of one stream.
    data: Option<(u32, Vec<u8>)>,
    streams: Vec<StreamKey>,
    unreleased: Vec<(StreamKey, usize)>,
    opened: u32,
}

impl InputScript {
    /// Returns the bytes of all inputs.
    pub fn input_len(&self) -> usize {
        let len = |step: &Step| if let Step::Input(bytes) = step { bytes.len() } else { 0 };
        self.steps.iter().map(len).sum()
    }

    /// Creates the endpoint of the script.
    pub fn endpoint(&self) -> Endpoint {
        let made = if self.is_client { Endpoint::client(self.config) } else { Endpoint::server(self.config) };
        made.expect("a play has a valid configuration")
    }

    /// Runs the script. A [`Monitor`] checks all output.
    pub(super) fn run(
        &self,
        endpoint: Endpoint,
        chunking: &mut Chunking,
    ) -> Result<RunOutput, PropertyFailure> {
        self.run_with_check(endpoint, chunking, |_, _| Ok(()))
    }

    /// Runs the script, and calls a function with the endpoint after each step.
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
        // `receive` with empty input returns the events that calls and time caused.
        self.receive(&[])
    }

    /// Calls `handle_timeout` while a timeout is due. No timeout, and no output of one, may be too
    /// early.
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

    /// Whether the end of the connection was reported.
    fn is_over(&self) -> bool {
        self.output.events.iter().any(|line| line.starts_with("the end: "))
    }

    /// Records for the timeout model that streams are live, before a call or a frame may close the
    /// last of them.
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

    /// Adds a line for an event. The same error is added once.
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

    /// Fetches the output and checks it. The application does not continue a blocked send.
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

/// More output than this in one turn is taken for an endless loop.
const BATCHES_MAX: u32 = 16;
