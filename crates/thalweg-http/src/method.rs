//! Request methods, as far as they have rules of their own (RFC 9110 §9.3, RFC 5789).

/// A request method. Methods are case-sensitive (RFC 9110 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// GET
    Get,
    /// HEAD: the response has no content.
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH (RFC 5789)
    Patch,
    /// DELETE
    Delete,
    /// CONNECT, plain or extended (RFC 8441): a 2xx response makes the stream a tunnel.
    Connect,
    /// OPTIONS
    Options,
    /// TRACE: the request has no content.
    Trace,
    /// Any other method. Nothing is known about it.
    Other,
}

impl Method {
    /// Returns the method of the value of `:method`.
    pub const fn of(value: &[u8]) -> Self {
        match value {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Returns whether the method is read-only (RFC 9110 §9.2.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Returns whether several identical requests have the effect of one (RFC 9110 §9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }

    /// Returns whether the method defines a meaning for the content of a request (RFC 9110 §8.6):
    /// such a request carries `content-length: 0` if it has none.
    #[must_use]
    pub const fn anticipates_content(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

#[cfg(test)]
mod tests {
    use super::Method::{self, *};

    #[test]
    fn each_method_has_the_properties_of_its_definition() {
        // The value, the method, and whether it is safe, idempotent, and anticipates content.
        let table: [(&str, Method, bool, bool, bool); 11] = [
            ("GET", Get, true, true, false),
            ("HEAD", Head, true, true, false),
            ("POST", Post, false, false, true),
            ("PUT", Put, false, true, true),
            ("PATCH", Patch, false, false, true),
            ("DELETE", Delete, false, true, false),
            ("CONNECT", Connect, false, false, false),
            ("OPTIONS", Options, true, true, false),
            ("TRACE", Trace, true, true, false),
            ("PROPFIND", Other, false, false, false),
            ("get", Other, false, false, false),
        ];
        for (value, method, safe, idempotent, content) in table {
            assert_eq!(Method::of(value.as_bytes()), method, "{value}");
            let properties = (method.is_safe(), method.is_idempotent(), method.anticipates_content());
            assert_eq!(properties, (safe, idempotent, content), "{value}");
        }
    }
}
