//! What travels in the workloads: fields, bodies and the limits that every peer announces.

/// Streams that a peer allows at a time.
pub const STREAMS_MAX: u32 = 1024;
/// Receive window of a stream, and of a connection, in bytes.
pub const WINDOW_BYTES: u32 = 4 << 20;

/// A browser's GET. The `:path` is replaced by one of [`paths`], so it differs from request to
/// request.
pub static GET_FIELDS: [(&str, &str); 10] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "www.example.com"),
    (":path", "/api/v1/items/0000000?fields=name,price"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.com/catalogue/index.html"),
    ("cookie", "session=9f86d081884c7d659a2feaa0c55ad015; theme=dark"),
];
/// The index of `:path` in [`GET_FIELDS`].
pub const PATH_AT: usize = 3;

/// A unary gRPC call.
pub static GRPC_FIELDS: [(&str, &str); 9] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/bench.Echo/UnaryEcho"),
    (":authority", "localhost:50051"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.60.0"),
    ("te", "trailers"),
    ("grpc-timeout", "999m"),
    ("grpc-accept-encoding", "gzip,deflate"),
];

/// The answer to a GET, after `:status`.
pub static RESPONSE_FIELDS: [(&str, &str); 5] = [
    ("content-type", "application/json"),
    ("content-length", "128"),
    ("server", "bench/1.0"),
    ("date", "Sun, 22 Nov 2026 14:00:00 GMT"),
    ("cache-control", "no-cache"),
];
/// The response with an endless body, after `:status`: without a content-length.
pub static ENDLESS_RESPONSE_FIELDS: [(&str, &str); 3] =
    [RESPONSE_FIELDS[2], RESPONSE_FIELDS[3], RESPONSE_FIELDS[4]];
/// The answer to a gRPC call, after `:status`.
pub static GRPC_RESPONSE_FIELDS: [(&str, &str); 1] = [("content-type", "application/grpc")];
/// The trailers of a gRPC call.
pub static GRPC_TRAILERS: [(&str, &str); 2] = [("grpc-status", "0"), ("grpc-message", "OK")];

/// Bytes of the body that answers a GET.
pub const GET_BODY_BYTES: usize = 128;
/// Bytes of a gRPC message, either way.
pub const GRPC_BODY_BYTES: usize = 64;
/// Bytes of a full DATA frame.
pub const FRAME_BYTES: usize = 16_384;
/// Where all bodies come from. Not uniform: a copy of uniform bytes would be compiled to a fill.
pub static BODY: [u8; FRAME_BYTES] = {
    let mut bytes = [0; FRAME_BYTES];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = b'a' + (i * 7 + (i >> 8)) as u8 % 26;
        i += 1;
    }
    bytes
};

/// Returns the path of the `n`th GET.
pub fn path(n: usize) -> String {
    format!("/api/v1/items/{n:07}?fields=name,price")
}

/// Paths that a client goes through in turn, made before anything is measured.
pub fn paths() -> Vec<String> {
    (0..PATHS).map(path).collect()
}

const PATHS: usize = 1000;
