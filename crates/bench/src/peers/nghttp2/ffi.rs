//! The part of nghttp2's C interface that the drivers use (`nghttp2/nghttp2.h`, version 1.52).

use std::ffi::{c_char, c_int, c_void};

/// `nghttp2_nv`: a field, by pointers.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Nv {
    pub name: *const u8,
    pub value: *const u8,
    pub name_len: usize,
    pub value_len: usize,
    pub flags: u8,
}

/// `nghttp2_frame_hd`, with which every frame begins.
#[repr(C)]
pub struct FrameHead {
    pub len: usize,
    pub stream: i32,
    pub kind: u8,
    pub flags: u8,
    pub reserved: u8,
}

/// `nghttp2_settings_entry`.
#[repr(C)]
pub struct SettingsEntry {
    pub id: i32,
    pub value: u32,
}

/// `nghttp2_data_provider`: the source of a body.
#[repr(C)]
pub struct DataProvider {
    pub source: *mut c_void,
    pub read: ReadData,
}

/// `nghttp2_mem`: the allocator.
#[derive(Debug)]
#[repr(C)]
pub struct Mem {
    pub user: *mut c_void,
    pub malloc: extern "C" fn(usize, *mut c_void) -> *mut c_void,
    pub free: extern "C" fn(*mut c_void, *mut c_void),
    pub calloc: extern "C" fn(usize, usize, *mut c_void) -> *mut c_void,
    pub realloc: extern "C" fn(*mut c_void, usize, *mut c_void) -> *mut c_void,
}

/// A pointer to a struct that only the library knows.
pub type Opaque = *mut c_void;

pub type ReadData = extern "C" fn(Opaque, i32, *mut u8, usize, *mut u32, *mut c_void, *mut c_void) -> isize;
pub type OnHeader =
    extern "C" fn(Opaque, *const FrameHead, *const u8, usize, *const u8, usize, u8, *mut c_void) -> c_int;
pub type OnFrame = extern "C" fn(Opaque, *const FrameHead, *mut c_void) -> c_int;
pub type OnData = extern "C" fn(Opaque, u8, i32, *const u8, usize, *mut c_void) -> c_int;
pub type SendData =
    extern "C" fn(Opaque, *const FrameHead, *const u8, usize, *mut c_void, *mut c_void) -> c_int;

#[link(name = "nghttp2")]
unsafe extern "C" {
    pub fn nghttp2_session_callbacks_new(out: *mut Opaque) -> c_int;
    pub fn nghttp2_session_callbacks_del(callbacks: Opaque);
    pub fn nghttp2_session_callbacks_set_on_header_callback(callbacks: Opaque, f: OnHeader);
    pub fn nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks: Opaque, f: OnFrame);
    pub fn nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks: Opaque, f: OnData);
    pub fn nghttp2_session_callbacks_set_send_data_callback(callbacks: Opaque, f: SendData);
    pub fn nghttp2_option_new(out: *mut Opaque) -> c_int;
    pub fn nghttp2_option_del(option: Opaque);
    pub fn nghttp2_option_set_no_closed_streams(option: Opaque, value: c_int);
    pub fn nghttp2_option_set_peer_max_concurrent_streams(option: Opaque, value: u32);
    pub fn nghttp2_option_set_stream_reset_rate_limit(option: Opaque, burst: u64, rate: u64);
    pub fn nghttp2_session_server_new3(
        out: *mut Opaque,
        callbacks: Opaque,
        user: *mut c_void,
        option: Opaque,
        mem: *const Mem,
    ) -> c_int;
    pub fn nghttp2_session_client_new3(
        out: *mut Opaque,
        callbacks: Opaque,
        user: *mut c_void,
        option: Opaque,
        mem: *const Mem,
    ) -> c_int;
    pub fn nghttp2_session_del(session: Opaque);
    pub fn nghttp2_session_mem_recv(session: Opaque, bytes: *const u8, len: usize) -> isize;
    pub fn nghttp2_session_mem_send(session: Opaque, out: *mut *const u8) -> isize;
    pub fn nghttp2_session_set_local_window_size(session: Opaque, flags: u8, stream: i32, size: i32)
    -> c_int;
    pub fn nghttp2_submit_settings(
        session: Opaque,
        flags: u8,
        list: *const SettingsEntry,
        len: usize,
    ) -> c_int;
    pub fn nghttp2_submit_response(
        session: Opaque,
        stream: i32,
        fields: *const Nv,
        len: usize,
        body: *const DataProvider,
    ) -> c_int;
    pub fn nghttp2_submit_request(
        session: Opaque,
        priority: *const c_void,
        fields: *const Nv,
        len: usize,
        body: *const DataProvider,
        user: *mut c_void,
    ) -> i32;
    pub fn nghttp2_submit_trailer(session: Opaque, stream: i32, fields: *const Nv, len: usize) -> c_int;
    pub fn nghttp2_submit_rst_stream(session: Opaque, flags: u8, stream: i32, code: u32) -> c_int;
    pub fn nghttp2_strerror(error: c_int) -> *const c_char;
}

/// The library need not copy the name or the value: they outlive the frame.
pub const NV_NO_COPY: u8 = 2 | 4;
pub const DATA_EOF: u32 = 1;
pub const DATA_NO_END_STREAM: u32 = 2;
pub const DATA_NO_COPY: u32 = 4;
pub const FRAME_HEADERS: u8 = 1;
pub const FLAG_END_STREAM: u8 = 1;
pub const SETTINGS_STREAMS: i32 = 3;
pub const SETTINGS_WINDOW: i32 = 4;
pub const SETTINGS_NO_RFC7540_PRIORITIES: i32 = 9;
pub const ERROR_CANCEL: u32 = 8;
