//! The application of the examples that use the core directly: `GET` and `HEAD` of
//! `/bytes/N?seed=S`, a greeting at `/`, and 404.
//!
//! The core queues no content, so the application keeps the unsent rest, and resumes it when the
//! core reports the stream as writable.

use thalweg::{
    Connection, ErrorCode, Event, Field, Headers, HeadersKind, Instant, Server, Status, StreamKey,
};

use crate::pattern::Pattern;

/// The responses of one connection with unsent content.
#[derive(Debug, Default)]
pub struct Application {
    /// Indexed by `StreamKey::index`, which is dense.
    unsent: Vec<Option<(StreamKey, Content)>>,
}

/// The response to a request.
#[derive(Clone, Debug)]
pub struct PendingResponse {
    status: Status,
    content_type: &'static [u8],
    content: Content,
    /// RFC 9110 §9.3.2: a response to HEAD has no content.
    is_head: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Text(&'static [u8]),
    Bytes(Pattern),
}

impl PendingResponse {
    /// Creates the response to a request. The headers borrow the connection, the response does not.
    pub fn to(headers: &Headers<'_>) -> Self {
        let path = headers.path().and_then(|path| std::str::from_utf8(path).ok()).unwrap_or_default();
        let is_head = headers.method() == Some(b"HEAD");
        let answer = match (headers.method(), Pattern::from_target(path)) {
            (Some(b"GET" | b"HEAD"), Some(Ok(pattern))) => {
                Self::new(200, b"application/octet-stream", Content::Bytes(pattern))
            }
            (Some(b"GET" | b"HEAD"), Some(Err(mistake))) => Self::text(400, mistake),
            (Some(b"GET" | b"HEAD"), None) if path == "/" => Self::text(200, "the line of fastest flow\n"),
            (Some(b"GET" | b"HEAD"), None) => Self::text(404, "not found\n"),
            _ => Self::text(405, "only GET and HEAD are served here\n"),
        };
        Self { is_head, ..answer }
    }

    fn text(status: u16, text: &'static str) -> Self {
        Self::new(status, b"text/plain; charset=utf-8", Content::Text(text.as_bytes()))
    }

    fn new(status: u16, content_type: &'static [u8], content: Content) -> Self {
        let status = Status::new(status).expect("the statuses here are in range");
        Self { status, content_type, content, is_head: false }
    }
}

impl Application {
    /// Handles input, and responds to its requests. An error of the connection is in its output and
    /// in its report.
    pub fn handle_event(&mut self, connection: &mut Connection<Server>, mut input: &[u8], now: Instant) {
        while let Ok(Some(event)) = connection.receive(&mut input, now) {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, headers, .. } => {
                    let answer = PendingResponse::to(&headers);
                    self.answer(connection, stream, answer);
                }
                Event::Data { stream, data, .. } => connection.release(stream, data.len()),
                _ => {}
            }
        }
    }

    /// Sends a response, as far as the windows are open. Resets the stream if the peer does not
    /// accept the response.
    pub fn answer(
        &mut self,
        connection: &mut Connection<Server>,
        stream: StreamKey,
        answer: PendingResponse,
    ) {
        let len = answer.content.len().to_string();
        let fields =
            [Field::new(b"content-type", answer.content_type), Field::new(b"content-length", len.as_bytes())];
        if connection.send_response(stream, answer.status, fields, answer.is_head).is_err() {
            return connection.send_reset(stream, ErrorCode::INTERNAL_ERROR);
        }
        if answer.is_head {
            return;
        }
        let index = stream.index();
        if index >= self.unsent.len() {
            self.unsent.resize(index + 1, None);
        }
        self.unsent[index] = Some((stream, answer.content));
        self.send(connection, stream);
    }

    /// Resumes the writable streams.
    pub fn resume(&mut self, connection: &mut Connection<Server>) {
        while let Some(stream) = connection.poll_writable() {
            self.send(connection, stream);
        }
    }

    fn send(&mut self, connection: &mut Connection<Server>, stream: StreamKey) {
        let Some(place) = self.unsent.get_mut(stream.index()) else { return };
        let Some((_, content)) = place.as_mut().filter(|(owner, _)| *owner == stream) else { return };
        let mut buffer = [0; 16 << 10];
        loop {
            let (len, last) = content.peek(&mut buffer);
            match connection.send_data(stream, &buffer[..len], last) {
                Ok(taken) if taken < len => return content.skip(taken),
                Ok(taken) if !last => content.skip(taken),
                // All content is sent, or the stream is closed.
                Ok(_) | Err(_) => return *place = None,
            }
        }
    }
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes(pattern) => pattern.remaining(),
        }
    }

    /// Copies the next bytes; returns their number, and whether they are the last.
    fn peek(&self, buffer: &mut [u8]) -> (usize, bool) {
        let len = match self {
            Self::Text(text) => {
                buffer[..text.len()].copy_from_slice(text);
                text.len()
            }
            Self::Bytes(pattern) => pattern.clone().fill(buffer),
        };
        (len, len as u64 == self.len())
    }

    fn skip(&mut self, len: usize) {
        match self {
            Self::Text(text) => *text = &text[len..],
            Self::Bytes(pattern) => pattern.skip(len as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg::{Client, Config, Request};

    fn fetch(path: &str, window: u32) -> (u16, Vec<u8>) {
        ask("GET", path, window)
    }

    /// Sends a request to an application whose client opens a small window at a time.
    fn ask(method: &str, path: &str, window: u32) -> (u16, Vec<u8>) {
        let mut config = Config::default();
        config.stream_window_bytes = window;
        let mut client = Connection::<Client>::new(config).unwrap();
        let mut server = Connection::<Server>::new(Config::default()).unwrap();
        let mut application = Application::default();
        client.send_request(&Request::new(method, "http", "example.org", path), [], true).unwrap();
        let (mut status, mut content, mut wire) = (0, Vec::new(), Vec::new());
        loop {
            while client.poll_transmit(&mut wire) {}
            application.handle_event(&mut server, &std::mem::take(&mut wire), Instant::ZERO);
            application.resume(&mut server);
            while server.poll_transmit(&mut wire) {}
            let mut input = &*std::mem::take(&mut wire);
            assert!(!input.is_empty(), "nothing moves any more");
            while let Some(event) = client.receive(&mut input, Instant::ZERO).unwrap() {
                match event {
                    Event::Headers { headers, end, .. } => {
                        status = headers.status().unwrap();
                        if end {
                            return (status, content);
                        }
                    }
                    Event::Data { stream, data, end } => {
                        content.extend_from_slice(data);
                        client.release(stream, data.len());
                        if end {
                            return (status, content);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn content_is_complete_whatever_the_window() {
        for (window, len) in [(7, 1000), (1000, 100_000), (1 << 20, 100_000)] {
            let mut expected = vec![0; len];
            Pattern::new(len as u64, 7).fill(&mut expected);
            assert_eq!(fetch(&format!("/bytes/{len}?seed=7"), window), (200, expected), "window {window}");
            assert_eq!(fetch("/", window), (200, b"the line of fastest flow\n".to_vec()));
        }
        assert_eq!(fetch("/nothing", 7).0, 404);
        assert_eq!(fetch("/bytes/many", 7).0, 400);
        assert_eq!(fetch("/bytes/0", 7), (200, Vec::new()));
    }

    #[test]
    fn a_response_to_head_has_no_content() {
        for (path, status) in [("/", 200), ("/bytes/1000", 200), ("/nothing", 404)] {
            assert_eq!(ask("HEAD", path, 7), (status, Vec::new()));
        }
        assert_eq!(ask("DELETE", "/", 7).0, 405);
    }
}
