//! Limits of the memory for a connection's first bytes, and whether upgrades are enabled.

/// Limits of a [`Sniffer`](crate::Sniffer) and of an [`Upgrader`](crate::Upgrader).
///
/// One connection buffers at most `head_bytes_max` plus `2 * body_bytes_max` bytes, and 64 bytes
/// for each of `fields_max` fields while its head is validated. A connection that begins with the
/// HTTP/2 preface allocates nothing.
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
    /// Set it to `false` behind a proxy that enforces access rules: if the proxy forwards `Upgrade`
    /// unchecked, a client can use HTTP/2 to bypass it.
    pub upgrade: bool,
    /// The largest HTTP/1 head in bytes, from the first byte to the end of its empty line. Default
    /// 16,384, at least 12.
    pub head_bytes_max: usize,
    /// The largest body of an upgrade request in bytes on the wire, including chunk framing.
    /// Default 65,536. Zero accepts only empty bodies, and no chunked ones.
    pub body_bytes_max: usize,
    /// The largest number of fields in an HTTP/1 head. Default 100.
    pub fields_max: usize,
    /// The largest number of settings in `HTTP2-Settings`. Default 32.
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
