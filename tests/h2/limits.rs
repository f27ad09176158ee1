//! The limits of a request over HTTP/2: each names its phase and its time, resets one stream, and leaves the connection to the others.

use crate::{
    h2client::{builder, idle, ms},
    h2peer::*,
};
use bowline::{ErrorKind, Phase, Processed, Timeouts};
use std::time::{Duration, Instant};

const LIMIT: Duration = ms(200);

/// What the peer does with the request, and the phase, the answer's part in it, and what is known of the request when the limit passes.
struct Row {
    name: &'static str,
    limits: fn() -> Timeouts,
    act: fn(&mut Link, u32),
    phase: Phase,
    processed: Processed,
}

#[test]
fn every_limit_ends_one_stream() {
    let head = |link: &mut Link, id: u32| link.send(&[Frame::headers(id, 0, &[(":status", "200")])]);
    let part = |link: &mut Link, id: u32| {
        link.send(&[Frame::headers(id, 0, &[(":status", "200")]), Frame::data(id, b"half")]);
    };
    let begun = |link: &mut Link, id: u32| link.send(&[Frame::new(HEADERS, END_STREAM, id, [0x88])]);
    let early = |link: &mut Link, id: u32| link.send(&[Frame::headers(id, 0, &[(":status", "103")])]);
    let total = || Timeouts::none().total(LIMIT);
    let first_byte = || Timeouts::none().first_byte(LIMIT);
    let read = || Timeouts::none().read(LIMIT);
    use Processed::{Maybe, Yes};
    let rows = [
        Row { name: "silence, total", limits: total, act: |_, _| (), phase: Phase::FirstByte, processed: Maybe },
        Row { name: "silence", limits: first_byte, act: |_, _| (), phase: Phase::FirstByte, processed: Maybe },
        Row { name: "a 1xx, total", limits: total, act: early, phase: Phase::FirstByte, processed: Yes },
        Row { name: "a 1xx", limits: first_byte, act: early, phase: Phase::FirstByte, processed: Yes },
        Row { name: "a part of a head, total", limits: total, act: begun, phase: Phase::FirstByte, processed: Yes },
        Row { name: "a part of a head", limits: first_byte, act: begun, phase: Phase::FirstByte, processed: Yes },
        Row { name: "a head, total", limits: total, act: head, phase: Phase::Body, processed: Yes },
        Row { name: "a head", limits: read, act: head, phase: Phase::Body, processed: Yes },
        Row { name: "a part of a body, total", limits: total, act: part, phase: Phase::Body, processed: Yes },
        Row { name: "a part of a body", limits: read, act: part, phase: Phase::Body, processed: Yes },
    ];
    for row in rows {
        let (peer, client) = (Peer::new(), builder().build().unwrap());
        let mut link = idle(&client, &peer);
        let request = client.get(peer.url("/")).timeouts((row.limits)());
        let began = Instant::now();
        let asked = task(|| request.send().and_then(|answer| answer.bytes()));
        let stream = link.request().stream;
        (row.act)(&mut link, stream);
        let (failed, at) = asked.join_at();
        let (e, name) = (failed.unwrap_err(), row.name);
        assert_on_time(began, LIMIT, at);
        assert_eq!(
            (e.kind(), e.phase(), e.processed()),
            (ErrorKind::TimedOut, row.phase, row.processed),
            "{name}: {e}"
        );
        assert!(e.elapsed() >= LIMIT && e.to_string().contains("200ms"), "{name}: {e}, {:?}", e.elapsed());
        assert_eq!((e.attempts(), e.reused(), e.is_timeout()), (1, Some(true), true), "{name}");
        assert!(e.bytes_written() > 9 && e.connection().is_some(), "{name}");
        let reset = link.skip_to(RST_STREAM);
        assert_eq!((reset.stream, reset.code()), (stream, CANCEL), "{name}");
        if name.starts_with("a part of a head") {
            // Nothing else may come before its end.
            continue;
        }
        // Whatever comes in shows that the peer is there.
        link.ack(&Frame::ping(*b"12345678"));
        let request = client.get(peer.url("/")).timeout(PATIENCE);
        let next = task(|| request.send());
        let stream = link.skip_to(HEADERS).stream;
        link.answer(stream, 200, b"next");
        assert_eq!(next.join().unwrap().text().unwrap(), "next", "{name}");
        peer.assert_no_more();
    }
}
