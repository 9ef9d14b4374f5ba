//! One nghttp2 session and the application in its callbacks.

use super::ffi::*;
use super::memory;
use crate::endpoint::Seen;
use crate::traffic::*;
use crate::wire::Wire;
use crate::workload::App;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The role of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// A session with its application, whose address nghttp2 keeps as `user_data`.
#[derive(Debug)]
pub struct Session {
    raw: Opaque,
    state: Box<State>,
}

#[derive(Debug)]
struct State {
    app: App,
    role: Role,
    seen: Seen,
    /// Bytes of names and values: the application reads every field.
    field_bytes: usize,
    response: Vec<Nv>,
    trailers: Vec<Nv>,
    /// Where `send_data` writes. Set for the time of a turn.
    out: *mut Wire,
}

impl Session {
    pub fn new(app: App, role: Role, lean: bool, streams_max: u32) -> Self {
        let (response, trailers) = match app {
            App::Grpc => (response_fields(&GRPC_RESPONSE_FIELDS), fields(&GRPC_TRAILERS)),
            App::Send | App::Splice => (response_fields(&ENDLESS_RESPONSE_FIELDS), Vec::new()),
            _ => (response_fields(&RESPONSE_FIELDS), Vec::new()),
        };
        let mut state = Box::new(State {
            app,
            role,
            seen: Seen::default(),
            field_bytes: 0,
            response,
            trailers,
            out: ptr::null_mut(),
        });
        let user = (&raw mut *state).cast::<c_void>();
        let mut raw = ptr::null_mut();
        // SAFETY: every object is made before it is used and deleted once; `user` is boxed, so it
        // stays where it is until the session is deleted.
        unsafe {
            let callbacks = callbacks();
            let option = option(lean, streams_max);
            let new = match role {
                Role::Server => nghttp2_session_server_new3,
                Role::Client => nghttp2_session_client_new3,
            };
            check(new(&mut raw, callbacks, user, option, memory::source()), "session_new");
            nghttp2_session_callbacks_del(callbacks);
            nghttp2_option_del(option);
            let settings = [
                SettingsEntry { id: SETTINGS_STREAMS, value: streams_max },
                SettingsEntry { id: SETTINGS_WINDOW, value: WINDOW_BYTES },
                SettingsEntry { id: SETTINGS_NO_RFC7540_PRIORITIES, value: 1 },
            ];
            let settings = if lean { &settings[..] } else { &settings[..2] };
            check(nghttp2_submit_settings(raw, 0, settings.as_ptr(), settings.len()), "settings");
            check(nghttp2_session_set_local_window_size(raw, 0, 0, WINDOW_BYTES as i32), "window");
        }
        Self { raw, state }
    }

    /// Submits a request with the body that the application's clients send.
    pub fn request(&mut self, fields: &[Nv]) {
        let body = DataProvider { source: ptr::null_mut(), read: read_body };
        let has_body = matches!(self.state.app, App::Grpc | App::Send | App::Splice);
        let body = if has_body { &raw const body } else { ptr::null() };
        // SAFETY: nghttp2 copies the list and the provider; the strings are static.
        let stream = unsafe {
            nghttp2_submit_request(
                self.raw,
                ptr::null(),
                fields.as_ptr(),
                fields.len(),
                body,
                ptr::null_mut(),
            )
        };
        check(stream, "request");
    }

    pub fn turn(&mut self, input: &[u8], out: &mut Wire) {
        self.state.out = out;
        // SAFETY: `input` and `out` live for the call; what `mem_send` returns is valid until the
        // next.
        unsafe {
            if !input.is_empty() {
                let taken = nghttp2_session_mem_recv(self.raw, input.as_ptr(), input.len());
                check(taken as c_int, "mem_recv");
                assert_eq!(taken as usize, input.len(), "nghttp2 takes all or fails");
            }
            loop {
                let mut bytes = ptr::null();
                let len = nghttp2_session_mem_send(self.raw, &mut bytes);
                check(len as c_int, "mem_send");
                if len == 0 {
                    break;
                }
                out.put(std::slice::from_raw_parts(bytes, len as usize));
            }
        }
        self.state.out = ptr::null_mut();
    }

    pub fn seen(&self) -> Seen {
        self.state.seen
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session was made in `new` and is deleted here alone.
        unsafe { nghttp2_session_del(self.raw) }
    }
}

pub fn field((name, value): (&'static str, &'static str)) -> Nv {
    Nv {
        name: name.as_ptr(),
        value: value.as_ptr(),
        name_len: name.len(),
        value_len: value.len(),
        flags: NV_NO_COPY,
    }
}

pub fn fields(list: &[(&'static str, &'static str)]) -> Vec<Nv> {
    list.iter().copied().map(field).collect()
}

fn response_fields(list: &[(&'static str, &'static str)]) -> Vec<Nv> {
    [(":status", "200")].iter().chain(list).copied().map(field).collect()
}

/// Returns the `:path` fields that clients go through in turn. Made once: they must outlive every
/// frame.
pub fn path_fields() -> &'static [Nv] {
    struct Paths(Vec<Nv>);
    // SAFETY: the fields point to leaked strings that are never written to.
    unsafe impl Send for Paths {}
    // SAFETY: as above.
    unsafe impl Sync for Paths {}
    static PATHS: OnceLock<Paths> = OnceLock::new();
    let all = || paths().into_iter().map(|path| field((":path", path.leak()))).collect();
    &PATHS.get_or_init(|| Paths(all())).0
}

/// # Safety
/// The result is to be deleted once, by `nghttp2_session_callbacks_del`.
unsafe fn callbacks() -> Opaque {
    let mut callbacks = ptr::null_mut();
    // SAFETY: made in the first line, used after.
    unsafe {
        check(nghttp2_session_callbacks_new(&mut callbacks), "callbacks_new");
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    }
    callbacks
}

/// # Safety
/// The result is to be deleted once, by `nghttp2_option_del`.
unsafe fn option(lean: bool, streams_max: u32) -> Opaque {
    let mut option = ptr::null_mut();
    // SAFETY: made in the first line, used after.
    unsafe {
        check(nghttp2_option_new(&mut option), "option_new");
        nghttp2_option_set_no_closed_streams(option, c_int::from(lean));
        nghttp2_option_set_peer_max_concurrent_streams(option, streams_max);
        // The scripted peer of W4 cancels without pause.
        nghttp2_option_set_stream_reset_rate_limit(option, u64::MAX, u64::MAX);
    }
    option
}

fn check(code: c_int, what: &str) {
    if code < 0 {
        // SAFETY: the library has a static text for every code.
        let text = unsafe { CStr::from_ptr(nghttp2_strerror(code)) };
        panic!("nghttp2 {what}: {}", text.to_string_lossy());
    }
}

/// Returns the application of a callback.
///
/// # Safety
/// `user` is the `user_data` of a session, which is not borrowed elsewhere while nghttp2 calls.
unsafe fn state<'a>(user: *mut c_void) -> &'a mut State {
    // SAFETY: promised by the caller.
    unsafe { &mut *user.cast::<State>() }
}

extern "C" fn on_header(
    _: Opaque,
    _: *const FrameHead,
    _: *const u8,
    name_len: usize,
    _: *const u8,
    value_len: usize,
    _: u8,
    user: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes our `user_data`.
    let state = unsafe { state(user) };
    state.field_bytes += name_len + value_len;
    0
}

extern "C" fn on_data(_: Opaque, _: u8, _: i32, _: *const u8, len: usize, user: *mut c_void) -> c_int {
    // SAFETY: nghttp2 passes our `user_data`.
    let state = unsafe { state(user) };
    state.seen.body_bytes += len as u64;
    0
}

extern "C" fn on_frame(session: Opaque, head: *const FrameHead, user: *mut c_void) -> c_int {
    // SAFETY: nghttp2 passes our `user_data` and a frame, which begins with its header.
    let (state, head) = unsafe { (state(user), &*head) };
    if head.kind > FRAME_HEADERS {
        return 0;
    }
    let ends = head.flags & FLAG_END_STREAM != 0;
    state.seen.complete += u64::from(ends);
    if head.kind == FRAME_HEADERS {
        // Trailers come to an end, and no headers of these scenes but a request without a body do.
        let is_message = state.role == Role::Server || !ends;
        state.seen.messages += u64::from(is_message);
        if state.app == App::Cancel && state.role == Role::Client {
            // SAFETY: the session is the one that called.
            return unsafe { nghttp2_submit_rst_stream(session, 0, head.stream, ERROR_CANCEL) };
        }
    }
    let answers = matches!(state.app, App::Unary | App::Grpc | App::Send | App::Splice);
    if !ends || !answers || state.role == Role::Client {
        return 0;
    }
    let body = DataProvider { source: ptr::null_mut(), read: read_body };
    // SAFETY: nghttp2 copies the list and the provider; the strings are static.
    unsafe {
        nghttp2_submit_response(session, head.stream, state.response.as_ptr(), state.response.len(), &body)
    }
}

extern "C" fn read_body(
    session: Opaque,
    stream: i32,
    buf: *mut u8,
    room: usize,
    flags: *mut u32,
    _: *mut c_void,
    user: *mut c_void,
) -> isize {
    // SAFETY: nghttp2 passes our `user_data`.
    let state = unsafe { state(user) };
    let (len, flag) = match (state.app, state.role) {
        (App::Splice, _) => (room.min(FRAME_BYTES), DATA_NO_COPY),
        (App::Send, _) => (room.min(FRAME_BYTES), 0),
        (App::Grpc, Role::Server) => (GRPC_BODY_BYTES, DATA_EOF | DATA_NO_END_STREAM),
        (App::Grpc, Role::Client) => (GRPC_BODY_BYTES, DATA_EOF),
        _ => (GET_BODY_BYTES, DATA_EOF),
    };
    // SAFETY: `buf` has room for `room` bytes, which is at least a message; `flags` is nghttp2's;
    // the trailers' strings are static.
    unsafe {
        *flags |= flag;
        if flag & DATA_NO_COPY == 0 {
            ptr::copy_nonoverlapping(BODY.as_ptr(), buf, len);
        }
        if flag & DATA_NO_END_STREAM != 0 {
            let trailers = &state.trailers;
            check(nghttp2_submit_trailer(session, stream, trailers.as_ptr(), trailers.len()), "trailer");
        }
    }
    len as isize
}

extern "C" fn send_data(
    _: Opaque,
    _: *const FrameHead,
    head: *const u8,
    len: usize,
    _: *mut c_void,
    user: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes our `user_data` and the nine bytes of a frame header; `out` is set
    // during a turn, and the turn does not use it while nghttp2 runs.
    unsafe {
        let out = &mut *state(user).out;
        out.put(std::slice::from_raw_parts(head, 9));
        out.put(&BODY[..len]);
    }
    0
}
