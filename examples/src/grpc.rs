//! The gRPC calls of the testbeds, without a runtime and without protobuf: messages are bytes.
//!
//! `/echo.Echo/Unary` responds to one message with the same. `/echo.Echo/Stream` reads a count K, 4
//! bytes big-endian, and a payload P from one message, and responds with K messages: message j is
//! j, 4 bytes big-endian, then P.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The content type of requests and responses.
pub const CONTENT_TYPE: &str = "application/grpc";
/// Limit of a request's content: a message of 4 MiB, the default of gRPC servers, with its prefix.
pub const REQUEST_BYTES_MAX: usize = HEAD_LEN + (4 << 20);
/// The prefix of a message: whether it is compressed, and its length.
const HEAD_LEN: usize = 5;

/// A call that the testbeds support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One message in, the same out.
    Unary,
    /// One message in, many out.
    Stream,
}

/// Why a call has no response messages: the values of `grpc-status` and `grpc-message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcError {
    /// The gRPC status code.
    pub code: &'static str,
    /// The description.
    pub message: &'static str,
}

/// The client cancelled before its message was complete.
pub const CANCELLED: GrpcError = grpc_error("1", "the call was cancelled");
/// The request is longer than [`REQUEST_BYTES_MAX`].
pub const TOO_LONG: GrpcError = grpc_error("8", "the message is longer than 4194304 bytes");
const UNKNOWN: GrpcError = grpc_error("12", "unknown method");
const COMPRESSED: GrpcError = grpc_error("12", "compressed messages are not read here");
const NOT_ONE: GrpcError = grpc_error("13", "the request is not one whole message");
const NO_COUNT: GrpcError = grpc_error("3", "a Stream request begins with a count of 4 bytes");

const fn grpc_error(code: &'static str, message: &'static str) -> GrpcError {
    GrpcError { code, message }
}

impl Call {
    /// Parses a request's target. `None`: it is no gRPC call.
    pub fn from_path(path: &str) -> Option<Result<Self, GrpcError>> {
        Some(match path.strip_prefix("/echo.Echo/")? {
            "Unary" => Ok(Self::Unary),
            "Stream" => Ok(Self::Stream),
            _ => Err(UNKNOWN),
        })
    }

    /// Returns the response messages to the complete content of a request.
    ///
    /// # Errors
    /// The content is not one message, or is invalid for this call.
    pub fn answer(self, request: Bytes) -> Result<Replies, GrpcError> {
        let Some((head, message)) = request.split_first_chunk::<HEAD_LEN>() else { return Err(NOT_ONE) };
        let [compressed, len @ ..] = *head;
        if u32::from_be_bytes(len) as usize != message.len() {
            return Err(NOT_ONE);
        }
        if compressed != 0 {
            return Err(COMPRESSED);
        }
        match self {
            Self::Unary => Ok(Replies(Kind::Same(Some(request)))),
            Self::Stream => {
                let count = *message.first_chunk().ok_or(NO_COUNT)?;
                let payload = request.slice(HEAD_LEN + count.len()..);
                Ok(Replies(Kind::Numbered { next: 0, count: u32::from_be_bytes(count), payload }))
            }
        }
    }
}

/// The messages of a response, each with its prefix.
#[derive(Clone, Debug)]
pub struct Replies(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Same(Option<Bytes>),
    Numbered { next: u32, count: u32, payload: Bytes },
}

impl Iterator for Replies {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Kind::Same(message) => message.take(),
            Kind::Numbered { next, count, payload } => {
                if next == count {
                    return None;
                }
                let len = size_of::<u32>() + payload.len();
                let mut message = BytesMut::with_capacity(HEAD_LEN + len);
                message.put_u8(0);
                // The length of a request fits, and this message is as long.
                message.put_u32(len as u32);
                message.put_u32(*next);
                message.extend_from_slice(payload);
                *next += 1;
                Some(message.freeze())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(call: Call, request: &'static [u8]) -> Result<Vec<Bytes>, GrpcError> {
        call.answer(Bytes::from_static(request)).map(Iterator::collect)
    }

    #[test]
    fn a_unary_call_returns_its_own_message() {
        assert_eq!(answer(Call::Unary, b"\0\0\0\0\x03abc"), Ok(vec![Bytes::from_static(b"\0\0\0\0\x03abc")]));
        assert_eq!(answer(Call::Unary, b"\0\0\0\0\0"), Ok(vec![Bytes::from_static(b"\0\0\0\0\0")]));
    }

    #[test]
    fn a_stream_counts_its_messages() {
        let messages = answer(Call::Stream, b"\0\0\0\0\x06\0\0\0\x02ab").unwrap();
        assert_eq!(messages, [&b"\0\0\0\0\x06\0\0\0\0ab"[..], b"\0\0\0\0\x06\0\0\0\x01ab"]);
        assert_eq!(answer(Call::Stream, b"\0\0\0\0\x04\0\0\0\0"), Ok(Vec::new()));
    }

    #[test]
    fn an_invalid_message_is_refused() {
        for (request, expected) in [
            (&b""[..], NOT_ONE),
            (b"\0\0\0\0", NOT_ONE),
            (b"\0\0\0\0\x02a", NOT_ONE),
            (b"\0\0\0\0\x01ab", NOT_ONE),
            (b"\x01\0\0\0\x01a", COMPRESSED),
        ] {
            assert_eq!(answer(Call::Unary, request), Err(expected), "{request:?}");
        }
        assert_eq!(answer(Call::Stream, b"\0\0\0\0\x03\0\0\0"), Err(NO_COUNT));
    }

    #[test]
    fn calls_are_known_by_their_path() {
        assert_eq!(Call::from_path("/echo.Echo/Unary"), Some(Ok(Call::Unary)));
        assert_eq!(Call::from_path("/echo.Echo/Stream"), Some(Ok(Call::Stream)));
        assert_eq!(Call::from_path("/echo.Echo/Other"), Some(Err(UNKNOWN)));
        assert_eq!(Call::from_path("/page.html"), None);
    }
}
