//! nghttp2 through its public C interface, `nghttp2_session_mem_recv` and `_mem_send`.
//!
//! `LEAN` is the library's best configuration and the one that is reported: closed streams are not
//! kept and RFC 7540's priorities are off. In the splice scenes its bodies go out through
//! `send_data_callback`, without a copy. The library gives one frame a call; that its user would
//! still have to gather them for one write is not charged.

mod ffi;
pub mod memory;
mod session;

use crate::endpoint::{Endpoint, Seen};
use crate::traffic::*;
use crate::wire::Wire;
use crate::workload::App;
use ffi::Nv;
use session::{Role, Session};

/// A server.
#[derive(Debug)]
pub struct Server<const LEAN: bool>(Session);

impl<const LEAN: bool> Endpoint for Server<LEAN> {
    const READS: bool = false;

    fn start(app: App, streams_max: u32) -> Self {
        Self(Session::new(app, Role::Server, LEAN, streams_max))
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        self.0.turn(input, out);
    }

    fn seen(&self) -> Seen {
        self.0.seen()
    }
}

/// A client.
#[derive(Debug)]
pub struct Client<const LEAN: bool> {
    session: Session,
    fields: Vec<Nv>,
    paths: &'static [Nv],
    next_path: usize,
}

impl<const LEAN: bool> Endpoint for Client<LEAN> {
    const READS: bool = false;

    fn start(app: App, streams_max: u32) -> Self {
        let mut fields = session::fields(if app == App::Grpc { &GRPC_FIELDS } else { &GET_FIELDS });
        if matches!(app, App::Send | App::Splice) {
            fields[0] = session::field((":method", "POST"));
        }
        let paths = if app == App::Grpc { &[][..] } else { session::path_fields() };
        let session = Session::new(app, Role::Client, LEAN, streams_max);
        Self { session, fields, paths, next_path: 0 }
    }

    fn ask(&mut self, requests: usize) {
        for _ in 0..requests {
            if !self.paths.is_empty() {
                self.fields[PATH_AT] = self.paths[self.next_path % self.paths.len()];
                self.next_path += 1;
            }
            self.session.request(&self.fields);
        }
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        self.session.turn(input, out);
    }

    fn seen(&self) -> Seen {
        self.session.seen()
    }
}
