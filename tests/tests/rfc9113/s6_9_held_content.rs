//! RFC 9113 §6.9: content that the caller holds, and what the peer can still send.

use core::time::Duration;

use thalweg::ErrorCode;
use thalweg_testkit::frames::{data, headers};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, client_with};

#[test]
fn s6_9_responses_held_unread_show_since_when_they_use_up_the_window() {
    let second = Duration::from_secs(1);
    let opening = |opening: &mut Opening| {
        opening.config.stream_window_bytes = 65_535;
        opening.config.connection_window_bytes = 6 * 16_384;
    };
    client_with(opening, |s| {
        let streams: Vec<_> = (0..7).map(|_| s.get()).collect();
        assert_eq!(s.core().window_exhausted_since(), None);
        for (n, stream) in streams[..6].iter().enumerate() {
            assert_eq!(s.core().window_exhausted_since(), None, "{n}");
            s.pass(second);
            let id = stream.id().as_u32();
            s.peer(headers(id, hpack::response(200)).end_headers());
            s.peer(data(id, vec![b'x'; 16_384]));
        }
        s.take_events();
        let since = s.core().window_exhausted_since();
        assert_eq!(since, Some(s.now()));
        assert_eq!((s.core().window().held, s.core().window().receive), (98_304, 0));
        s.pass(second);
        assert_eq!(s.core().window_exhausted_since(), since, "it lasts");
        // Too little for WINDOW_UPDATE changes nothing for the peer.
        s.call(|core| core.release(streams[0], 16_383));
        s.output::<&str>([]);
        assert_eq!(s.core().window_exhausted_since(), since);
        s.call(|core| core.release(streams[0], 1));
        s.output(["WINDOW_UPDATE increment=16384"]);
        assert_eq!(s.core().window_exhausted_since(), None);
        // What is used up again counts from then on; a reset gives all of it back.
        s.peer(data(3, vec![b'x'; 16_384]));
        s.take_events();
        assert_eq!(s.core().window_exhausted_since(), Some(s.now()));
        s.call(|core| core.send_reset(streams[1], ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=3 CANCEL", "WINDOW_UPDATE increment=32768"]);
        assert_eq!(s.core().window_exhausted_since(), None);
    });
}
