//! Frames as one line of a transcript.

use std::fmt::{self, Display, Formatter};

use super::{Frame, kind, setting};

/// Returns the RFC's name of a frame type.
pub fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        kind::DATA => "DATA",
        kind::HEADERS => "HEADERS",
        kind::PRIORITY => "PRIORITY",
        kind::RST_STREAM => "RST_STREAM",
        kind::SETTINGS => "SETTINGS",
        kind::PUSH_PROMISE => "PUSH_PROMISE",
        kind::PING => "PING",
        kind::GOAWAY => "GOAWAY",
        kind::WINDOW_UPDATE => "WINDOW_UPDATE",
        kind::CONTINUATION => "CONTINUATION",
        kind::ALTSVC => "ALTSVC",
        kind::ORIGIN => "ORIGIN",
        kind::PRIORITY_UPDATE => "PRIORITY_UPDATE",
        _ => return None,
    })
}

/// The defined flags of a type, from the lowest bit.
pub fn defined_flags(kind: u8) -> &'static [(u8, &'static str)] {
    match kind {
        kind::DATA => &[(0x1, "END_STREAM"), (0x8, "PADDED")],
        kind::HEADERS => &[(0x1, "END_STREAM"), (0x4, "END_HEADERS"), (0x8, "PADDED"), (0x20, "PRIORITY")],
        kind::PUSH_PROMISE => &[(0x4, "END_HEADERS"), (0x8, "PADDED")],
        kind::CONTINUATION => &[(0x4, "END_HEADERS")],
        kind::SETTINGS | kind::PING => &[(0x1, "ACK")],
        _ => &[],
    }
}

fn setting_name(id: u16) -> Option<&'static str> {
    Some(match id {
        setting::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
        setting::ENABLE_PUSH => "ENABLE_PUSH",
        setting::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
        setting::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
        setting::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
        setting::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
        setting::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
        setting::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
        _ => return None,
    })
}

impl Display for Frame {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match kind_name(self.kind) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "TYPE {:#x}", self.kind)?,
        }
        if self.stream != 0 {
            write!(f, " stream={}", self.stream & (u32::MAX >> 1))?;
        }
        if self.stream >> 31 == 1 {
            f.write_str(" reserved-bit")?;
        }
        self.show_flags(f)?;
        if let Some(on) = self.dependency {
            let exclusive = if on.exclusive { " exclusive" } else { "" };
            write!(f, " on={}{exclusive} weight={}", on.stream, u16::from(on.weight) + 1)?;
        }
        self.show_body(f)?;
        if let Some(padding) = &self.padding {
            write!(f, " pad={}", padding.announced)?;
            if padding.bytes.len() != usize::from(padding.announced) {
                write!(f, " (there are {})", padding.bytes.len())?;
            }
        }
        match self.length {
            Some(length) => write!(f, " (announces length {length})"),
            None => Ok(()),
        }
    }
}

impl Frame {
    fn show_flags(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut left = self.flags;
        let mut before = " ";
        for &(bit, name) in defined_flags(self.kind) {
            if self.has(bit) {
                write!(f, "{before}{name}")?;
                before = "|";
                left &= !bit;
            }
        }
        if left != 0 { write!(f, "{before}{left:#04x}") } else { Ok(()) }
    }

    fn show_body(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(promised) = self.promised() {
            let name = if self.kind == kind::PUSH_PROMISE { "promised" } else { "prioritized" };
            write!(f, " {name}={promised}")?;
        }
        if let Some(last_stream) = self.last_stream() {
            write!(f, " last={last_stream}")?;
        }
        if let Some(code) = self.code() {
            write!(f, " {code}")?;
        }
        if let Some(increment) = self.increment() {
            write!(f, " increment={increment}")?;
        }
        for (id, value) in self.entries() {
            match setting_name(id) {
                Some(name) => write!(f, " {name}={value}")?,
                None => write!(f, " {id:#x}={value}")?,
            }
        }
        match self.kind {
            kind::PING => write!(f, " {}", self.body.escape_ascii()),
            kind::GOAWAY if self.body.len() > 8 => write!(f, " \"{}\"", self.body[8..].escape_ascii()),
            kind::PRIORITY_UPDATE if self.body.len() > 4 => {
                write!(f, " \"{}\"", self.body[4..].escape_ascii())
            }
            kind::DATA | kind::HEADERS | kind::CONTINUATION => write!(f, " {} bytes", self.body.len()),
            kind::PUSH_PROMISE => write!(f, " {} bytes", self.body.len().saturating_sub(4)),
            kind::ORIGIN | kind::ALTSVC => write!(f, " \"{}\"", self.body.escape_ascii()),
            kind if kind_name(kind).is_none() => write!(f, " {} bytes", self.body.len()),
            _ => Ok(()),
        }
    }
}
