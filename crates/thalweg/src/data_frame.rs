//! How long the next DATA frame is, from what limits it: content, padding, the frame size and the
//! window.
//!
//! Invariants: a frame never exceeds the window, and its content never exceeds the frame size.

/// The shape of a DATA frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataFrame {
    /// Bytes of content.
    pub content: usize,
    /// Bytes of Pad Length and padding. 0: the frame is not padded.
    pub padding: usize,
    /// Whether the window, and nothing else, has made the content shorter.
    pub is_cut_by_window: bool,
}

impl DataFrame {
    /// The frame that carries END_STREAM alone.
    pub(crate) const EMPTY: Self = Self { content: 0, padding: 0, is_cut_by_window: false };

    /// Fits `len` bytes of content and up to `padding_max` bytes of padding into a payload of
    /// `payload_max` bytes and a window.
    ///
    /// Flow control counts padding too (RFC 9113 §6.1). Where the window is short, the frame has
    /// less padding: otherwise a stream whose window stays below its padding could never send.
    #[inline]
    pub(crate) fn fit(len: usize, padding_max: usize, payload_max: usize, window: usize) -> Self {
        let content = len.min(payload_max.saturating_sub(padding_max));
        if content + padding_max <= window {
            return Self { content, padding: padding_max, is_cut_by_window: false };
        }
        let unlimited = len.min(payload_max);
        let content = unlimited.min(window);
        let padding = padding_max.min(window - content);
        Self { content, padding, is_cut_by_window: content < unlimited }
    }

    /// Returns the length of the payload, as flow control counts it, bytes.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.content + self.padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_gives_way_to_padding_in_the_frame_and_padding_to_content_in_the_window() {
        let fit = |len, padding, payload, window| {
            let frame = DataFrame::fit(len, padding, payload, window);
            (frame.content, frame.padding, frame.is_cut_by_window)
        };
        assert_eq!(fit(100, 0, 1000, 1000), (100, 0, false));
        assert_eq!(fit(2000, 10, 1000, 5000), (990, 10, false), "the frame size limits");
        assert_eq!(fit(2000, 0, 1000, 500), (500, 0, true), "the window limits");
        assert_eq!(fit(100, 50, 1000, 120), (100, 20, false), "less padding");
        assert_eq!(fit(100, 50, 1000, 90), (90, 0, true), "no padding");
        assert_eq!(fit(0, 50, 1000, 20), (0, 20, false));
        assert_eq!(fit(100, 50, 30, 1000), (0, 50, false), "the padding alone is too long");
    }
}
