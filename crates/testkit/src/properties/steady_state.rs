//! Steady work: the same exchange again and again between two endpoints, in buffers that are kept.

use thalweg::{Event, Field, Instant, Request, Splice, Status};

use super::PropertyFailure;
use crate::endpoint::Endpoint;

/// Checks that steady work allocates nothing: after some requests and responses with content,
/// further ones need no more memory.
///
/// `allocations` returns how many allocations this thread has made, which takes a global allocator
/// that counts. The endpoints are new ones.
///
/// # Errors
/// The number of allocations, or the exchange that failed.
pub fn no_allocations(ends: [Endpoint; 2], allocations: impl Fn() -> u64) -> Result<(), PropertyFailure> {
    let mut pair = Pair { ends, wires: [Vec::new(), Vec::new()], splices: Vec::new(), answered: 0 };
    for _ in 0..WARM {
        pair.exchange()?;
    }
    let before = allocations();
    for _ in 0..STEADY {
        pair.exchange()?;
    }
    match allocations() - before {
        0 => Ok(()),
        made => Err(format!("no allocations: {made} in {STEADY} exchanges")),
    }
}

/// A client, a server, and what is on the wire from each.
struct Pair {
    ends: [Endpoint; 2],
    wires: [Vec<u8>; 2],
    splices: Vec<Splice>,
    /// Exchanges that the client has completed.
    answered: u32,
}

impl Pair {
    fn exchange(&mut self) -> Result<(), PropertyFailure> {
        let before = self.answered;
        let request = Request::new("POST", "https", "example.org", "/notes?page=2");
        let fields = [Field::new(b"user-agent", b"thalweg"), Field::new(b"accept", b"*/*")];
        let stream =
            self.ends[0].send_request(&request, &fields, false).map_err(|error| error.to_string())?;
        let sent = self.ends[0].send_data(stream, CONTENT, true, None);
        if sent != Ok(CONTENT.len()) {
            return Err(format!("content was sent in part: {sent:?}"));
        }
        for _ in 0..ROUNDS_MAX {
            self.transmit(0);
            self.serve()?;
            self.transmit(1);
            self.listen()?;
            if self.answered > before {
                return Ok(());
            }
        }
        Err("an exchange never ends".to_owned())
    }

    fn transmit(&mut self, from: usize) {
        while self.ends[from].poll_transmit(&mut self.wires[from], &mut self.splices) {}
    }

    /// The server reads, and responds to each request at its end.
    fn serve(&mut self) -> Result<(), PropertyFailure> {
        let server = &mut self.ends[1];
        let mut input = self.wires[0].as_slice();
        while let Some(event) =
            server.receive(&mut input, Instant::ZERO).map_err(|error| error.to_string())?
        {
            let Event::Data { stream, data, end } = event else { continue };
            let len = data.len();
            server.release(stream, len);
            if end {
                let fields = [Field::new(b"content-type", b"text/plain"), Field::new(b"server", b"thalweg")];
                let sent = server.send_response(stream, Status::OK, &fields, false);
                sent.and_then(|()| server.send_data(stream, CONTENT, true, None))
                    .map_err(|error| error.to_string())?;
            }
        }
        self.wires[0].clear();
        Ok(())
    }

    /// The client reads.
    fn listen(&mut self) -> Result<(), PropertyFailure> {
        let client = &mut self.ends[0];
        let mut input = self.wires[1].as_slice();
        while let Some(event) =
            client.receive(&mut input, Instant::ZERO).map_err(|error| error.to_string())?
        {
            let Event::Data { stream, data, end } = event else { continue };
            let len = data.len();
            client.release(stream, len);
            self.answered += u32::from(end);
        }
        self.wires[1].clear();
        Ok(())
    }
}

const CONTENT: &[u8] = &[b'x'; 1000];
/// Exchanges until every buffer has its final size, including the table of closed streams.
const WARM: u32 = 2000;
const STEADY: u32 = 1000;
/// Turns after which an exchange must have completed.
const ROUNDS_MAX: u32 = 8;
