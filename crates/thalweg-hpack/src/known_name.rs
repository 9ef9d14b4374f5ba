//! Numbers for the field names that are common in HTTP/2.
//!
//! Owns the list of known names and the perfect hash that finds them. A [`KnownName`] stands for
//! the bytes of a name, so rules compare numbers instead of strings, and a table entry with a known
//! name does not store it.
//!
//! The hash takes the first and the last four octets of a name, which differ for any two names of
//! the list, multiplies, and keeps the top 9 bits. No two names share a slot (checked at compile
//! time), so one comparison decides:
//!
//! ```text
//! "content-length":  "cont" "ngth" + 14  * MULTIPLIER >> 55  ->  slot  ->  28 or nothing
//! ```

use core::fmt;

use crate::swar;

/// A known field name, or [`KnownName::NONE`].
///
/// Numbers 1 to 61 are the index of the first static table entry with that name (RFC 7541 Appendix
/// A), so some numbers in between are not used. Higher numbers are names that are not in the static
/// table.
///
/// ```
/// use thalweg_hpack::KnownName;
///
/// assert_eq!(KnownName::of(b":method"), KnownName::METHOD);
/// assert_eq!(KnownName::METHOD.static_index(), Some(2));
/// assert_eq!(KnownName::of(b"grpc-status").static_index(), None);
/// assert_eq!(KnownName::of(b"x-mine"), KnownName::NONE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KnownName(u8);

impl KnownName {
    /// A name that is not on the list.
    pub const NONE: Self = Self(0);

    /// Looks up `name`, case-sensitively: names in HTTP/2 are lower case.
    ///
    /// Costs one multiplication, one table lookup and one comparison.
    #[inline]
    pub const fn of(name: &[u8]) -> Self {
        let id = SLOTS[slot(name)];
        if swar::equal(NAMES[(id & 127) as usize], name) { Self(id) } else { Self::NONE }
    }

    /// Returns the index of the first static table entry with this name, if there is one.
    #[inline]
    pub const fn static_index(self) -> Option<u8> {
        if self.0 >= 1 && self.0 <= 61 { Some(self.0) } else { None }
    }

    /// Returns the name of a static table entry (RFC 7541 Appendix A); `NONE` for an index that is
    /// not 1 to 61.
    #[inline]
    pub const fn of_static_index(index: u8) -> Self {
        match index {
            // Several entries share these names.
            3 => Self::METHOD,
            5 => Self::PATH,
            7 => Self::SCHEME,
            9..=14 => Self::STATUS,
            1..=61 => Self(index),
            _ => Self::NONE,
        }
    }

    /// Returns the name; empty for [`KnownName::NONE`].
    #[inline]
    pub const fn name(self) -> &'static [u8] {
        NAMES[(self.0 & 127) as usize]
    }

    /// Whether this is a pseudo-header field of RFC 9113 §8.3 or RFC 8441 §4.
    #[inline]
    #[must_use]
    pub const fn is_pseudo(self) -> bool {
        matches!(
            self,
            Self::AUTHORITY | Self::METHOD | Self::PATH | Self::SCHEME | Self::STATUS | Self::PROTOCOL
        )
    }

    /// Whether the name is on the list.
    #[inline]
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Returns the number: 0 for [`KnownName::NONE`], always below [`KnownName::COUNT`], so it can
    /// index an array.
    #[inline]
    pub const fn id(self) -> u8 {
        self.0
    }

    /// Returns the name with this number; [`KnownName::NONE`] for a number that no name has.
    #[inline]
    pub const fn of_id(id: u8) -> Self {
        if (id as usize) < Self::COUNT && !NAMES[id as usize].is_empty() { Self(id) } else { Self::NONE }
    }

    /// One more than the highest number.
    pub const COUNT: usize = 62 + ROWS.len() - STATIC_NAMES;
}

impl fmt::Debug for KnownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.name()) {
            Ok(name) if self.is_known() => write!(f, "KnownName({name})"),
            _ => f.write_str("KnownName(unknown)"),
        }
    }
}

/// How many rows of the list have a static table entry.
const STATIC_NAMES: usize = 52;

/// Odd, and found by trying multiples of 2^64 / 1.618 until no two names shared a slot.
const MULTIPLIER: u64 = 0xad39_f681_7c04_5675;

const SLOT_BITS: u32 = 9;

#[inline(always)]
const fn slot(name: &[u8]) -> usize {
    let (first, last) = swar::ends(name);
    let key = ((first as u64) << 32 | last as u64).wrapping_add(name.len() as u64);
    (key.wrapping_mul(MULTIPLIER) >> (64 - SLOT_BITS)) as usize
}

static NAMES: [&[u8]; 128] = {
    let mut names: [&[u8]; 128] = [b""; 128];
    let mut row = 0;
    while row < ROWS.len() {
        names[ROWS[row].0 as usize] = ROWS[row].1.as_bytes();
        row += 1;
    }
    names
};

static SLOTS: [u8; 1 << SLOT_BITS] = {
    let mut slots = [0; 1 << SLOT_BITS];
    let mut row = 0;
    while row < ROWS.len() {
        let at = slot(ROWS[row].1.as_bytes());
        assert!(slots[at] == 0, "two names share a slot: MULTIPLIER must be searched again");
        slots[at] = ROWS[row].0;
        row += 1;
    }
    slots
};

/// Expands each row twice: to a constant of [`KnownName`], which no `const` table could declare,
/// and to data.
macro_rules! tokens {
    ($($id:literal $constant:ident $name:literal;)*) => {
        impl KnownName {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self($id);
            )*
        }

        const ROWS: &[(u8, &str)] = &[$(($id, $name)),*];
    };
}

tokens! {
    1 AUTHORITY ":authority";
    2 METHOD ":method";
    4 PATH ":path";
    6 SCHEME ":scheme";
    8 STATUS ":status";
    15 ACCEPT_CHARSET "accept-charset";
    16 ACCEPT_ENCODING "accept-encoding";
    17 ACCEPT_LANGUAGE "accept-language";
    18 ACCEPT_RANGES "accept-ranges";
    19 ACCEPT "accept";
    20 ACCESS_CONTROL_ALLOW_ORIGIN "access-control-allow-origin";
    21 AGE "age";
    22 ALLOW "allow";
    23 AUTHORIZATION "authorization";
    24 CACHE_CONTROL "cache-control";
    25 CONTENT_DISPOSITION "content-disposition";
    26 CONTENT_ENCODING "content-encoding";
    27 CONTENT_LANGUAGE "content-language";
    28 CONTENT_LENGTH "content-length";
    29 CONTENT_LOCATION "content-location";
    30 CONTENT_RANGE "content-range";
    31 CONTENT_TYPE "content-type";
    32 COOKIE "cookie";
    33 DATE "date";
    34 ETAG "etag";
    35 EXPECT "expect";
    36 EXPIRES "expires";
    37 FROM "from";
    38 HOST "host";
    39 IF_MATCH "if-match";
    40 IF_MODIFIED_SINCE "if-modified-since";
    41 IF_NONE_MATCH "if-none-match";
    42 IF_RANGE "if-range";
    43 IF_UNMODIFIED_SINCE "if-unmodified-since";
    44 LAST_MODIFIED "last-modified";
    45 LINK "link";
    46 LOCATION "location";
    47 MAX_FORWARDS "max-forwards";
    48 PROXY_AUTHENTICATE "proxy-authenticate";
    49 PROXY_AUTHORIZATION "proxy-authorization";
    50 RANGE "range";
    51 REFERER "referer";
    52 REFRESH "refresh";
    53 RETRY_AFTER "retry-after";
    54 SERVER "server";
    55 SET_COOKIE "set-cookie";
    56 STRICT_TRANSPORT_SECURITY "strict-transport-security";
    57 TRANSFER_ENCODING "transfer-encoding";
    58 USER_AGENT "user-agent";
    59 VARY "vary";
    60 VIA "via";
    61 WWW_AUTHENTICATE "www-authenticate";
    62 PROTOCOL ":protocol";
    63 TE "te";
    64 CONNECTION "connection";
    65 KEEP_ALIVE "keep-alive";
    66 PROXY_CONNECTION "proxy-connection";
    67 UPGRADE "upgrade";
    68 PRIORITY "priority";
    69 TRAILER "trailer";
    70 HTTP2_SETTINGS "http2-settings";
    71 GRPC_STATUS "grpc-status";
    72 GRPC_MESSAGE "grpc-message";
    73 GRPC_TIMEOUT "grpc-timeout";
    74 GRPC_ENCODING "grpc-encoding";
    75 GRPC_ACCEPT_ENCODING "grpc-accept-encoding";
    76 GRPC_STATUS_DETAILS_BIN "grpc-status-details-bin";
    77 ORIGIN "origin";
    78 ALT_SVC "alt-svc";
    79 FORWARDED "forwarded";
    80 X_FORWARDED_FOR "x-forwarded-for";
    81 X_FORWARDED_HOST "x-forwarded-host";
    82 X_FORWARDED_PROTO "x-forwarded-proto";
    83 X_REAL_IP "x-real-ip";
    84 X_REQUEST_ID "x-request-id";
    85 TRACEPARENT "traceparent";
    86 TRACESTATE "tracestate";
    87 BAGGAGE "baggage";
    88 SEC_FETCH_DEST "sec-fetch-dest";
    89 SEC_FETCH_MODE "sec-fetch-mode";
    90 SEC_FETCH_SITE "sec-fetch-site";
    91 SEC_FETCH_USER "sec-fetch-user";
    92 SEC_CH_UA "sec-ch-ua";
    93 SEC_CH_UA_MOBILE "sec-ch-ua-mobile";
    94 SEC_CH_UA_PLATFORM "sec-ch-ua-platform";
    95 UPGRADE_INSECURE_REQUESTS "upgrade-insecure-requests";
    96 CONTENT_SECURITY_POLICY "content-security-policy";
    97 CROSS_ORIGIN_OPENER_POLICY "cross-origin-opener-policy";
    98 CROSS_ORIGIN_RESOURCE_POLICY "cross-origin-resource-policy";
    99 PERMISSIONS_POLICY "permissions-policy";
    100 REFERRER_POLICY "referrer-policy";
    101 X_CONTENT_TYPE_OPTIONS "x-content-type-options";
    102 X_FRAME_OPTIONS "x-frame-options";
    103 X_XSS_PROTECTION "x-xss-protection";
    104 X_REQUESTED_WITH "x-requested-with";
    105 X_POWERED_BY "x-powered-by";
    106 X_CACHE "x-cache";
    107 ACCESS_CONTROL_ALLOW_CREDENTIALS "access-control-allow-credentials";
    108 ACCESS_CONTROL_ALLOW_HEADERS "access-control-allow-headers";
    109 ACCESS_CONTROL_ALLOW_METHODS "access-control-allow-methods";
    110 ACCESS_CONTROL_EXPOSE_HEADERS "access-control-expose-headers";
    111 ACCESS_CONTROL_MAX_AGE "access-control-max-age";
    112 ACCESS_CONTROL_REQUEST_HEADERS "access-control-request-headers";
    113 ACCESS_CONTROL_REQUEST_METHOD "access-control-request-method";
    114 TIMING_ALLOW_ORIGIN "timing-allow-origin";
    115 SERVER_TIMING "server-timing";
    116 REPORT_TO "report-to";
    117 NEL "nel";
    118 PRAGMA "pragma";
    119 P3P "p3p";
    120 DNT "dnt";
    121 EARLY_DATA "early-data";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::static_table::STATIC_TABLE;

    #[test]
    fn each_entry_of_the_static_table_has_the_known_name_of_its_name() {
        for (index, entry) in (0..).zip(&STATIC_TABLE) {
            assert_eq!(KnownName::of_static_index(index).name(), entry.name, "index {index}");
        }
        assert_eq!(KnownName::of_static_index(62), KnownName::NONE);
    }

    #[test]
    fn every_known_name_is_found_and_printed() {
        for &(id, name) in ROWS {
            assert_eq!(KnownName::of(name.as_bytes()), KnownName(id));
            assert_eq!(KnownName(id).name(), name.as_bytes());
            assert_eq!(KnownName::of_id(id), KnownName(id));
        }
        let named = (0..=u8::MAX).filter(|&id| KnownName::of_id(id).is_known()).count();
        assert_eq!(named, ROWS.len());
        assert_eq!(ROWS.iter().filter(|row| row.0 <= 61).count(), STATIC_NAMES);
        assert_eq!(usize::from(ROWS[ROWS.len() - 1].0) + 1, KnownName::COUNT);
    }

    #[test]
    fn static_known_names_are_the_first_index_of_their_name() {
        for entry in &STATIC_TABLE[1..] {
            let first = STATIC_TABLE.iter().position(|other| other.name == entry.name).unwrap();
            assert_eq!(usize::from(entry.known_name.id()), first);
            assert_eq!(KnownName::of(entry.name), entry.known_name);
            assert_eq!(entry.known_name.static_index(), Some(first as u8));
        }
        assert_eq!(KnownName::PROTOCOL.static_index(), None);
        assert_eq!(KnownName::NONE.static_index(), None);
    }

    #[test]
    fn near_misses_are_unknown() {
        for name in
            [&b""[..], b"t", b"Te", b"content-lengtg", b"contemt-length", b"content--length", b":Method"]
        {
            assert_eq!(KnownName::of(name), KnownName::NONE, "{name:?}");
        }
        for &(id, name) in ROWS {
            let mut changed = name.as_bytes().to_vec();
            for at in 0..changed.len() {
                changed[at] ^= 0x20;
                assert_ne!(KnownName::of(&changed), KnownName(id));
                changed[at] ^= 0x20;
            }
        }
    }

    #[test]
    fn pseudo_known_names_are_those_with_a_colon() {
        for &(id, name) in ROWS {
            assert_eq!(KnownName(id).is_pseudo(), name.starts_with(':'), "{name}");
        }
    }
}
