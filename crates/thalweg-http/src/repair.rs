//! Repairs of field lists, where an RFC says how to repair them.
//!
//! The core refuses malformed lists in both directions. An application or a gateway may hold lists
//! from HTTP/1.1, whose repair is defined, so an I/O layer repairs what it sends:
//!
//! | Field | Repair | Rule |
//! |---|---|---|
//! | `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`, `upgrade` | dropped | RFC 9113 §8.2.2 |
//! | fields that `connection` names | dropped | RFC 9110 §7.6.1 |
//! | `te` with `trailers` among others | reduced to `trailers` | RFC 9113 §8.2.2 |
//! | `te` without `trailers` | dropped | RFC 9113 §8.2.2 |
//! | a value with white space at its ends | trimmed | RFC 9110 §5.5 |
//! | `content-length` repeated with one value | sent once | RFC 9110 §8.6 |
//! | fields that cannot be processed after the content | dropped from trailers | RFC 9110 §6.5.1 |
//!
//! And what it received:
//!
//! | Field | Repair | Rule |
//! |---|---|---|
//! | several `cookie` fields | joined by `; ` | RFC 9113 §8.2.3 |
//! | `content-length` repeated with one value | delivered once | RFC 9110 §8.6 |
//!
//! `date` and `etag` stay in trailers: RFC 9110 §8.8.3 allows `etag` there, and neither affects how
//! the message is processed. Nothing is allocated unless a list has a `connection` field or several
//! cookies. The scan costs a comparison of each name and a look at the ends of each value; a list
//! that the core accepts needs none, but for trailers, so an I/O layer may send first and repair
//! after [`is_repairable`].
//!
//! # Example
//!
//! ```
//! use thalweg::Field;
//! use thalweg_http::repair::{Repair, Section};
//!
//! let fields = [
//!     Field::new("connection", "x-hop, close"),
//!     Field::new("x-hop", "1"),
//!     Field::new("te", "gzip, trailers"),
//!     Field::new("accept", " */* "),
//! ];
//! let repair = Repair::outbound(Section::Headers, fields).expect("four fields need a repair");
//! let sent: Vec<_> = repair.fields(fields).collect();
//! assert_eq!(sent, [Field::new("te", "trailers"), Field::new("accept", "*/*")]);
//! let log = repair.report().to_string();
//! assert_eq!(log, "1 connection-specific, 1 named by connection, 1 te, 1 with white space");
//! ```

use alloc::vec::Vec;
use core::fmt;

use thalweg::{Field, Indexing, KnownName, Violation};

use crate::content::parse_length;

/// The section of a message that a field list belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The header section of a request or a response.
    Headers,
    /// The trailer section.
    Trailers,
}

/// The repair of one outbound field list.
#[derive(Clone, Debug)]
pub struct Repair {
    section: Section,
    /// The names in `connection`, in lower case and sorted.
    named: Vec<Vec<u8>>,
    report: Report,
}

/// The number of fields that were repaired, for a log line. `Display` lists the kinds that occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Fields of HTTP/1.1 connections that were dropped.
    pub connection_specific: u32,
    /// Fields that were dropped because `connection` names them.
    pub named_by_connection: u32,
    /// `te` fields that were dropped or reduced.
    pub te: u32,
    /// Values that were trimmed.
    pub white_space: u32,
    /// Fields that were dropped from trailers.
    pub not_for_trailers: u32,
    /// Repeated `content-length` fields that were dropped or reduced to one value.
    pub lengths: u32,
}

/// What becomes of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldRepair {
    Keep,
    ConnectionSpecific,
    NamedByConnection,
    Te,
    NotForTrailers,
    Length,
}

impl Repair {
    /// Returns the repair of a list that is to be sent, or `None` if it needs none.
    pub fn outbound<'a, I>(section: Section, fields: I) -> Option<Self>
    where
        I: IntoIterator<Item = Field<'a>>,
        I::IntoIter: Clone,
    {
        let fields = fields.into_iter();
        let named = names_in_connection(fields.clone());
        let mut repair = Self { section, named, report: Report::default() };
        let mut length = None;
        for field in fields {
            repair.count(&field, &mut length);
        }
        (repair.report != Report::default()).then_some(repair)
    }

    /// Applies the repair to the list for which it was made.
    pub fn fields<'a>(&self, fields: impl IntoIterator<Item = Field<'a>>) -> impl Iterator<Item = Field<'a>> {
        let mut length = None;
        fields.into_iter().filter_map(move |field| self.field(field, &mut length))
    }

    /// Returns what was repaired.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    fn count(&mut self, field: &Field<'_>, length: &mut Option<u64>) {
        let field_repair = self.field_repair(field, length);
        let count = match field_repair {
            FieldRepair::Keep if trimmed(field.value).len() < field.value.len() => {
                &mut self.report.white_space
            }
            FieldRepair::Keep => return,
            FieldRepair::ConnectionSpecific => &mut self.report.connection_specific,
            FieldRepair::NamedByConnection => &mut self.report.named_by_connection,
            FieldRepair::Te => &mut self.report.te,
            FieldRepair::NotForTrailers => &mut self.report.not_for_trailers,
            FieldRepair::Length => &mut self.report.lengths,
        };
        *count += 1;
    }

    fn field<'a>(&self, mut field: Field<'a>, length: &mut Option<u64>) -> Option<Field<'a>> {
        let is_repeated = length.is_some();
        match self.field_repair(&field, length) {
            FieldRepair::Keep => field.value = trimmed(field.value),
            FieldRepair::Te => field.value = trailers_member(field.value)?,
            FieldRepair::Length if !is_repeated => field.value = first_member(field.value),
            FieldRepair::ConnectionSpecific
            | FieldRepair::NamedByConnection
            | FieldRepair::NotForTrailers
            | FieldRepair::Length => return None,
        }
        Some(field)
    }

    fn field_repair(&self, field: &Field<'_>, length: &mut Option<u64>) -> FieldRepair {
        let name = field.known_name();
        if is_connection_specific(name) {
            return FieldRepair::ConnectionSpecific;
        }
        // `te` is named by `connection` in HTTP/1.1, and in HTTP/2 follows its own rule.
        if name != KnownName::TE && self.is_named(field.name()) {
            return FieldRepair::NamedByConnection;
        }
        if self.section == Section::Trailers && !may_be_trailer(field) {
            return FieldRepair::NotForTrailers;
        }
        match name {
            KnownName::TE if trimmed(field.value).eq_ignore_ascii_case(b"trailers") => FieldRepair::Keep,
            KnownName::TE => FieldRepair::Te,
            KnownName::CONTENT_LENGTH => {
                // Values that differ are not repaired: the core refuses the list.
                let Some(value) = parse_length(field.value) else { return FieldRepair::Keep };
                let is_list = field.value.contains(&b',');
                match length.replace(value) {
                    None if is_list => FieldRepair::Length,
                    Some(first) if first == value => FieldRepair::Length,
                    _ => FieldRepair::Keep,
                }
            }
            _ => FieldRepair::Keep,
        }
    }

    fn is_named(&self, name: &[u8]) -> bool {
        !self.named.is_empty() && self.named.binary_search_by(|named| named.as_slice().cmp(name)).is_ok()
    }
}

impl Report {
    const fn kinds(&self) -> [(u32, &'static str); 6] {
        [
            (self.connection_specific, "connection-specific"),
            (self.named_by_connection, "named by connection"),
            (self.te, "te"),
            (self.white_space, "with white space"),
            (self.not_for_trailers, "not for trailers"),
            (self.lengths, "content-length repeated"),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (count, kind) in self.kinds().iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {kind}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Returns whether a repair may turn a list that the core refused for this violation into one that
/// it accepts. If the repair is `None`, the refusal stands.
#[must_use]
pub const fn is_repairable(violation: Violation) -> bool {
    matches!(
        violation,
        Violation::FieldConnectionSpecific
            | Violation::FieldTeInvalid
            | Violation::FieldValueInvalid
            | Violation::ContentLengthInvalid
    )
}

/// Returns whether a field belongs to one HTTP/1.1 connection (RFC 9113 §8.2.2).
#[must_use]
pub fn is_connection_specific(name: KnownName) -> bool {
    matches!(
        name,
        KnownName::CONNECTION
            | KnownName::KEEP_ALIVE
            | KnownName::PROXY_CONNECTION
            | KnownName::TRANSFER_ENCODING
            | KnownName::UPGRADE
            | KnownName::HTTP2_SETTINGS
    )
}

/// Returns whether a field may be sent in trailers (RFC 9110 §6.5.1): not if it is needed before
/// the content, for framing, routing, authentication, request modifiers, response controls, or the
/// format of the content.
#[must_use]
pub fn may_be_trailer(field: &Field<'_>) -> bool {
    let is_needed_before = matches!(
        field.known_name(),
        // Framing and routing.
        KnownName::CONTENT_LENGTH
            | KnownName::HOST
            | KnownName::TE
            | KnownName::TRAILER
            // Authentication.
            | KnownName::AUTHORIZATION
            | KnownName::COOKIE
            | KnownName::PROXY_AUTHENTICATE
            | KnownName::PROXY_AUTHORIZATION
            | KnownName::SET_COOKIE
            | KnownName::WWW_AUTHENTICATE
            // Request modifiers.
            | KnownName::CACHE_CONTROL
            | KnownName::EXPECT
            | KnownName::IF_MATCH
            | KnownName::IF_MODIFIED_SINCE
            | KnownName::IF_NONE_MATCH
            | KnownName::IF_RANGE
            | KnownName::IF_UNMODIFIED_SINCE
            | KnownName::MAX_FORWARDS
            | KnownName::PRAGMA
            | KnownName::PRIORITY
            | KnownName::RANGE
            // Response controls.
            | KnownName::AGE
            | KnownName::EXPIRES
            | KnownName::LOCATION
            | KnownName::RETRY_AFTER
            | KnownName::VARY
            // The format of the content.
            | KnownName::CONTENT_ENCODING
            | KnownName::CONTENT_RANGE
            | KnownName::CONTENT_TYPE
    );
    !is_needed_before && !is_connection_specific(field.known_name())
}

/// The single `cookie` field of a request that arrived with several.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinedCookies {
    /// All values, joined by `; `.
    pub value: Vec<u8>,
    /// Whether one of them must never be indexed (RFC 7541 §7.1.3).
    pub is_sensitive: bool,
    /// How many fields there were.
    pub count: usize,
}

impl fmt::Debug for JoinedCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedCookies").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Returns the value that replaces several `cookie` fields of a received request, at the place of
/// the first (RFC 9113 §8.2.3). `None` if there is at most one: nothing is to be repaired.
///
/// ```
/// use thalweg::Field;
/// use thalweg_http::repair::join_cookies;
///
/// let fields = [Field::new("cookie", "a=1"), Field::new("x", "y"), Field::new("cookie", "b=2")];
/// assert_eq!(join_cookies(fields).expect("there are two").value, b"a=1; b=2");
/// assert_eq!(join_cookies(fields[1..].iter().copied()), None);
/// ```
pub fn join_cookies<'a, I>(fields: I) -> Option<JoinedCookies>
where
    I: IntoIterator<Item = Field<'a>>,
    I::IntoIter: Clone,
{
    let cookies = fields.into_iter().filter(|field| field.known_name() == KnownName::COOKIE);
    let count = cookies.clone().count();
    if count < 2 {
        return None;
    }
    let len: usize = cookies.clone().map(|cookie| cookie.value.len() + 2).sum();
    let mut joined = JoinedCookies { value: Vec::with_capacity(len), is_sensitive: false, count };
    for (index, cookie) in cookies.enumerate() {
        if index > 0 {
            joined.value.extend_from_slice(b"; ");
        }
        joined.value.extend_from_slice(cookie.value);
        joined.is_sensitive |= cookie.indexing == Indexing::Never;
    }
    Some(joined)
}

/// Returns a received header list with its cookies joined and with `content-length` once, without
/// an allocation. `cookies` is the result of [`join_cookies`] for the same list.
pub fn inbound<'a>(
    fields: impl IntoIterator<Item = Field<'a>>,
    cookies: Option<&'a JoinedCookies>,
) -> impl Iterator<Item = Field<'a>> {
    let (mut has_cookie, mut has_length) = (false, false);
    fields.into_iter().filter_map(move |mut field| match (field.known_name(), cookies) {
        (KnownName::COOKIE, Some(cookies)) => {
            if core::mem::replace(&mut has_cookie, true) {
                return None;
            }
            field.value = &cookies.value;
            Some(if cookies.is_sensitive { field.with_indexing(Indexing::Never) } else { field })
        }
        // The core has refused lists whose values differ.
        (KnownName::CONTENT_LENGTH, _) if core::mem::replace(&mut has_length, true) => None,
        _ => Some(field),
    })
}

/// Returns the names in `connection`, in lower case and sorted.
fn names_in_connection<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<Vec<u8>> {
    let values = fields.filter(|field| field.known_name() == KnownName::CONNECTION);
    let members = values.flat_map(|field| field.value.split(|byte| *byte == b','));
    let mut named: Vec<Vec<u8>> = members.map(|name| trimmed(name).to_ascii_lowercase()).collect();
    named.sort_unstable();
    named
}

/// Removes spaces and tabs at both ends (RFC 9110 §5.6.3).
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Returns the member `trailers` of a list of transfer codings.
fn trailers_member(value: &[u8]) -> Option<&[u8]> {
    let members = value.split(|byte| *byte == b',').map(trimmed);
    members.into_iter().find(|member| member.eq_ignore_ascii_case(b"trailers"))
}

fn first_member(value: &[u8]) -> &[u8] {
    trimmed(value.split(|byte| *byte == b',').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    /// The list after its repair, as text, and the report; `None` if it needs no repair.
    fn repaired(section: Section, fields: &[(&str, &str)]) -> Option<(String, String)> {
        let list = || fields.iter().map(|(name, value)| Field::new(*name, *value));
        let repair = Repair::outbound(section, list())?;
        let mut text = String::new();
        for field in repair.fields(list()) {
            assert_eq!(thalweg::check_field(&field), Ok(()), "{field:?}");
            text += core::str::from_utf8(field.name()).unwrap();
            text += "=";
            text += core::str::from_utf8(field.value).unwrap();
            text += "|";
        }
        Some((text, repair.report().to_string()))
    }

    #[test]
    fn outbound_headers_are_repaired_field_by_field() {
        type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);
        let table: [Row; 13] = [
            (&[("te", "gzip"), ("a", "b")], "a=b|", "1 te"),
            (&[("te", "gzip, trailers;q=1"), ("a", "b")], "a=b|", "1 te"),
            (&[("te", "gzip, Trailers ")], "te=Trailers|", "1 te"),
            (&[("te", "gzip"), ("te", "trailers")], "te=trailers|", "1 te"),
            (&[("te", " trailers")], "te=trailers|", "1 with white space"),
            (&[("connection", "close"), ("a", "b")], "a=b|", "1 connection-specific"),
            (&[("keep-alive", "5"), ("proxy-connection", "x")], "", "2 connection-specific"),
            (&[("transfer-encoding", "chunked"), ("upgrade", "h2c")], "", "2 connection-specific"),
            (
                &[
                    ("x-a", "1"),
                    ("connection", "X-A ,\tx-b,te"),
                    ("x-b", "2"),
                    ("te", "trailers"),
                    ("x-c", "3"),
                ],
                "te=trailers|x-c=3|",
                "1 connection-specific, 2 named by connection",
            ),
            (&[("a", " \tb c\t "), ("d", "  ")], "a=b c|d=|", "2 with white space"),
            (
                &[("content-length", "5"), ("content-length", "5")],
                "content-length=5|",
                "1 content-length repeated",
            ),
            (&[("content-length", "5 , 5")], "content-length=5|", "1 content-length repeated"),
            (
                &[("content-length", "5"), ("content-length", "5,5"), ("x", "")],
                "content-length=5|x=|",
                "1 content-length repeated",
            ),
        ];
        for (fields, expected, report) in table {
            let expected = Some((expected.to_string(), report.to_string()));
            assert_eq!(repaired(Section::Headers, fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_list_without_faults_needs_no_repair() {
        for section in [Section::Headers, Section::Trailers] {
            assert_eq!(repaired(section, &[]), None);
            assert_eq!(repaired(section, &[("grpc-status", "0"), ("x", ""), ("etag", "\"a\"")]), None);
        }
        let headers = [("te", "trailers"), ("te", "TRAILERS"), ("content-length", "5"), ("cookie", "a=1")];
        assert_eq!(repaired(Section::Headers, &headers), None);
        assert_eq!(repaired(Section::Headers, &[("date", "x"), ("expect", "100-continue")]), None);
    }

    #[test]
    fn what_no_rule_repairs_is_left_for_the_core_to_refuse() {
        let fields = [Field::new("content-length", "5"), Field::new("content-length", "6,7")];
        assert!(Repair::outbound(Section::Headers, fields).is_none());
        let fields = [Field::new("x", "a\r\nb"), Field::new("a b", "c")];
        assert!(Repair::outbound(Section::Headers, fields).is_none());
        // Two values that differ stay two: the core refuses them, where one would be a guess.
        let fields = [Field::new("content-length", "5"), Field::new("content-length", "6")];
        let repair = Repair::outbound(Section::Headers, fields);
        assert!(repair.is_none());
    }

    #[test]
    fn fields_that_are_needed_before_the_content_are_dropped_from_trailers() {
        for name in [
            "content-length",
            "host",
            "te",
            "trailer",
            "authorization",
            "cookie",
            "proxy-authenticate",
            "proxy-authorization",
            "set-cookie",
            "www-authenticate",
            "cache-control",
            "expect",
            "if-match",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "max-forwards",
            "pragma",
            "priority",
            "range",
            "age",
            "expires",
            "location",
            "retry-after",
            "vary",
            "content-encoding",
            "content-range",
            "content-type",
        ] {
            let expected = Some(("x=y|".to_string(), "1 not for trailers".to_string()));
            assert_eq!(repaired(Section::Trailers, &[(name, "1"), ("x", "y")]), expected, "{name}");
        }
        let fields = [("connection", "x"), ("x", "1"), ("y", " 2")];
        let report = "1 connection-specific, 1 named by connection, 1 with white space".to_string();
        assert_eq!(repaired(Section::Trailers, &fields), Some(("y=2|".to_string(), report)));
        assert_eq!(
            repaired(Section::Trailers, &[("date", "x"), ("etag", "x"), ("server-timing", "x")]),
            None
        );
    }

    #[test]
    fn each_repairable_violation_is_one_that_a_repair_removes() {
        for (name, value) in [("connection", "close"), ("te", "gzip"), ("x", " a"), ("content-length", "5,5")]
        {
            let field = Field::new(name, value);
            let violation = thalweg::check_field(&field).expect_err(name);
            assert!(is_repairable(violation), "{violation:?}");
            let repair = Repair::outbound(Section::Headers, [field]).expect(name);
            assert!(repair.fields([field]).all(|field| thalweg::check_field(&field).is_ok()));
        }
        let invalid_name = thalweg::check_field(&Field::new("a b", "c")).expect_err("a space");
        assert!(!is_repairable(invalid_name));
    }

    #[test]
    fn cookies_are_joined_at_the_place_of_the_first() {
        let fields = [
            Field::new("a", "b"),
            Field::new("cookie", "a=1"),
            Field::new("content-length", "5"),
            Field::new("cookie", "b=2").sensitive(),
            Field::new("content-length", "5"),
            Field::new("cookie", "c=3"),
        ];
        let cookies = join_cookies(fields).unwrap();
        assert_eq!((&*cookies.value, cookies.is_sensitive, cookies.count), (&b"a=1; b=2; c=3"[..], true, 3));
        let joined: Vec<_> = inbound(fields, Some(&cookies)).collect();
        let expected = [
            Field::new("a", "b"),
            Field::new("cookie", "a=1; b=2; c=3").sensitive(),
            Field::new("content-length", "5"),
        ];
        assert_eq!(joined, expected);
        assert_eq!(join_cookies(fields[..2].iter().copied()), None, "one needs no repair");
        let one: Vec<_> = inbound(fields[..2].iter().copied(), None).collect();
        assert_eq!(one, fields[..2]);
        assert_eq!(alloc::format!("{cookies:?}"), "JoinedCookies { count: 3, .. }");
    }
}
