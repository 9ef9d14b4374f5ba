//! What a connection's first bytes may cost, and whether an Upgrade is wanted at all.

/// Limits of a [`Sniffer`](crate::Sniffer) and of an [`Upgrader`](crate::Upgrader).
///
/// One connection holds at most `head_bytes_max` and `2 * body_bytes_max` bytes, and 64 bytes for each of
/// `fields_max` fields while its head is judged. A connection that opens with the HTTP/2 preface allocates
/// nothing.
///
/// ```
/// let mut config = thalweg_h2c::Config::default();
/// config.body_bytes_max = 0; // upgrade requests without a body only
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether `Upgrade: h2c` is honoured. Default `true`.
    ///
    /// Set it to `false` behind a proxy that decides who may ask for what: one that forwards `Upgrade` blindly
    /// lets a client speak HTTP/2 past it.
    pub upgrade: bool,
    /// Bytes that an HTTP/1 head may take, from the first byte to the end of its empty line. Default 16,384,
    /// at least 12.
    pub head_bytes_max: usize,
    /// Bytes that the body of an upgrading request may take on the wire, chunk framing included. Default 65,536.
    /// Zero accepts empty bodies only, and no chunked ones.
    pub body_bytes_max: usize,
    /// Fields in an HTTP/1 head. Default 100.
    pub fields_max: usize,
    /// Settings in `HTTP2-Settings`. Default 32.
    pub settings_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            upgrade: true,
            head_bytes_max: 16 * 1024,
            body_bytes_max: 64 * 1024,
            fields_max: 100,
            settings_max: 32,
        }
    }
}
