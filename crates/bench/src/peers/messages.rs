//! The scenes' messages in the types of the `http` crate.
//!
//! Header lists are built for each message, as handlers do. What a program prepares once, `Uri`s
//! and static bodies, is prepared.

use crate::traffic::*;
use crate::workload::App;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE,
    HeaderName, HeaderValue, REFERER, SERVER, TE, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response, Uri};
use std::sync::OnceLock;

/// Returns the response of an application, with its body.
pub fn response<B>(app: App, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.headers_mut() = header_map(match app {
        App::Grpc => &GRPC_RESPONSE_FIELDS,
        App::Send | App::Splice => &ENDLESS_RESPONSE_FIELDS,
        _ => &RESPONSE_FIELDS,
    });
    response
}

/// Returns the trailers of a gRPC call.
pub fn trailers() -> HeaderMap {
    header_map(&GRPC_TRAILERS)
}

/// Returns the body of a GET's answer, or a gRPC message.
pub fn body(app: App) -> Bytes {
    Bytes::from_static(if app == App::Grpc { &BODY[..GRPC_BODY_BYTES] } else { &BODY[..GET_BODY_BYTES] })
}

/// The requests of a client, one after the other.
pub struct Requests {
    app: App,
    uris: &'static [Uri],
    next: usize,
}

impl Requests {
    pub fn new(app: App) -> Self {
        // Made once for all connections.
        static CALL: OnceLock<Vec<Uri>> = OnceLock::new();
        static GETS: OnceLock<Vec<Uri>> = OnceLock::new();
        let uri = |text: String| Uri::try_from(text).expect("the scenes' paths are valid");
        let call = || vec![uri("http://localhost:50051/bench.Echo/UnaryEcho".to_owned())];
        let gets = || paths().iter().map(|path| uri(format!("https://www.example.com{path}"))).collect();
        let uris = if app == App::Grpc { CALL.get_or_init(call) } else { GETS.get_or_init(gets) };
        Self { app, uris, next: 0 }
    }

    pub fn next<B>(&mut self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        let (method, fields) = match self.app {
            App::Grpc => (Method::POST, &GRPC_FIELDS[4..]),
            App::Send | App::Splice => (Method::POST, &GET_FIELDS[4..]),
            _ => (Method::GET, &GET_FIELDS[4..]),
        };
        *request.method_mut() = method;
        *request.uri_mut() = self.uris[self.next % self.uris.len()].clone();
        self.next += 1;
        *request.headers_mut() = header_map(fields);
        request
    }
}

fn header_map(fields: &'static [(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for &(name, value) in fields {
        map.insert(header_name(name), HeaderValue::from_static(value));
    }
    map
}

fn header_name(name: &'static str) -> HeaderName {
    match name {
        "content-type" => CONTENT_TYPE,
        "content-length" => CONTENT_LENGTH,
        "server" => SERVER,
        "date" => DATE,
        "cache-control" => CACHE_CONTROL,
        "user-agent" => USER_AGENT,
        "accept" => ACCEPT,
        "accept-language" => ACCEPT_LANGUAGE,
        "accept-encoding" => ACCEPT_ENCODING,
        "referer" => REFERER,
        "cookie" => COOKIE,
        "te" => TE,
        other => HeaderName::from_static(other),
    }
}
