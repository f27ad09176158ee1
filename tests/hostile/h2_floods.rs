//! Attacks in HTTP/2 that break no single rule, or one again and again (RFC 9113, section 10.5).

use crate::peer::*;
use std::time::Duration;

/// Sends `part(n)` without end; the server has to say GOAWAY with ENHANCE_YOUR_CALM, or at least hang up, before `most` of them.
fn flood(target: &mut Target, name: &str, most: u32, mut part: impl FnMut(u32) -> Vec<u8>) {
    let mut peer = target.h2();
    let mut ended = false;
    for n in 0..most / 100 {
        let batch: Vec<u8> = (0..100).flat_map(|i| part(n * 100 + i)).collect();
        if !peer.try_send(batch) {
            ended = true;
            break;
        }
        if n % 10 == 0 {
            target.good();
        }
    }
    // What it said can be lost when it hangs up on what is still on its way.
    let farewell = peer.farewell();
    assert!(farewell.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{name}: {farewell:?}");
    assert!(ended || farewell.is_some(), "{name}: everything was taken");
    target.survives(name);
}

#[test]
fn floods() {
    let mut target = Target::new();
    let id = |n: u32| 2 * n + 1;
    flood(&mut target, "rapid reset", 100_000, |n| [get(id(n), END_STREAM, "/"), reset(id(n))].concat());
    flood(&mut target, "resets by us", 100_000, |n| headers(id(n), 0, &[(":method", "GET")]));
    flood(&mut target, "windows by 0", 100_000, |n| [headers(id(n), 0, &POST), update(id(n), 0)].concat());
    flood(&mut target, "too many streams", 100_000, |n| headers(id(n), 0, &POST));
    flood(&mut target, "PING", 400_000, |_| frame(PING, 0, 0, &[7; 8]));
    flood(&mut target, "SETTINGS", 100_000, |_| settings(&[]));
    flood(&mut target, "SETTINGS that change windows", 100_000, |n| settings(&[(4, n % 2)]));
    flood(&mut target, "PRIORITY", 400_000, |n| frame(PRIORITY, 0, id(n), &[0; 5]));
    flood(&mut target, "WINDOW_UPDATE", 400_000, |_| update(0, 1));
    flood(&mut target, "empty DATA", 100_000, |n| if n == 0 { headers(1, 0, &POST) } else { frame(DATA, 0, 1, b"") });
    flood(&mut target, "padded DATA", 100_000, |n| {
        if n == 0 { headers(1, 0, &POST) } else { frame(DATA, PADDED, 1, &[3, 0, 0, 0]) }
    });
    flood(&mut target, "CONTINUATION", 100_000, |n| {
        if n == 0 { frame(HEADERS, END_STREAM, 1, &block(&POST)) } else { frame(CONTINUATION, 0, 1, b"") }
    });
    let long = block(&[("x", &"y".repeat(1000))]);
    flood(&mut target, "a block without end", 100_000, |n| {
        if n == 0 { frame(HEADERS, END_STREAM, 1, &block(&POST)) } else { frame(CONTINUATION, 0, 1, &long) }
    });
    flood(&mut target, "heads on a stream that is over", 100_000, |n| {
        if n == 0 { get(1, END_STREAM, "/") } else { get(id(n), 0, "no path") }
    });
}

/// A byte that stands for four thousand, and lists that are just too large.
#[test]
fn bombs() {
    let mut target = Target::new();
    let mut bomb = vec![0x40, 1, b'x'];
    integer(4000, 0x7f, 0, &mut bomb);
    bomb.extend([b'y'; 4000]);
    bomb.extend([0xbe; 10_000]);
    let again = [0xbe; 16_000];
    flood(&mut target, "HPACK", 2_000, |n| {
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, if n == 0 { &bomb } else { &again })
    });
    // One list that is too large is answered, and the connection goes on.
    let mut peer = target.h2();
    let large = "y".repeat(16_000);
    peer.send(frame(HEADERS, END_STREAM, 1, &block(&POST)));
    peer.send(frame(CONTINUATION, 0, 1, &block(&[("x", &large[..])])));
    peer.send(frame(CONTINUATION, END_HEADERS, 1, &block(&[("x", &large[..300])])));
    assert_eq!(peer.until(|f| f.stream == 1).kind, HEADERS);
    peer.send(get(3, END_STREAM, "/"));
    peer.until(|f| f.stream == 3 && f.kind == DATA && f.flags & END_STREAM != 0);
    peer.lives();
    target.survives("bombs");
}

/// PINGs and SETTINGS whose answers nobody reads.
#[test]
fn answers_that_are_not_read() {
    let mut target = Target::new();
    let mut peer = target.h2();
    // Data pays for PINGs, so this is no flood by number.
    peer.send(headers(1, 0, &POST));
    let part: Vec<u8> = (0..100).flat_map(|_| [frame(PING, 0, 0, &[7; 8]), frame(DATA, 0, 1, b"x")].concat()).collect();
    let mut sent = 0;
    while sent < 32 << 20 && peer.try_send(&part) {
        sent += part.len();
        if sent % (part.len() * 100) == 0 {
            target.good();
        }
    }
    let farewell = peer.farewell();
    assert!(matches!(farewell, None | Some(ENHANCE_YOUR_CALM)), "{farewell:?}");
    target.survives("answers that are not read");
}

/// Windows of nothing and of one byte, on many streams.
#[test]
fn window_games() {
    let mut target = Target::new();
    let mut peer = target.h2();
    peer.send(settings(&[(4, 0)]));
    let ids = || (0..100u32).map(|n| 2 * n + 1);
    for id in ids() {
        peer.send(get(id, END_STREAM, "/big"));
    }
    target.good();
    // Nothing but heads comes.
    let before = peer.lives();
    assert!(before.iter().all(|f| f.kind != DATA), "{before:?}");
    for id in ids().take(30) {
        peer.send(update(id, 1));
        let data = peer.until(|f| f.kind == DATA);
        assert_eq!((data.stream, data.payload.len()), (id, 1));
    }
    // Down below zero and up again.
    peer.send(settings(&[(4, 1)])).send(settings(&[(4, 0)])).send(update(1, 1));
    target.good();
    // Those that go make room for those that wait.
    for id in ids().take(60) {
        peer.send(reset(id));
    }
    peer.send(settings(&[(4, 1 << 20)])).send(update(0, 1 << 28));
    for _ in ids().skip(60) {
        peer.until(|f| f.kind == DATA && f.flags & END_STREAM != 0);
    }
    peer.lives();
    target.survives("window games");
}

/// More than the windows allow, on streams and on the connection: however fast the handlers read, each reset has a reason.
#[test]
fn windows_that_are_not_kept() {
    let mut target = Target::new();
    let mut peer = target.h2();
    for id in (1..200).step_by(2) {
        let mut bytes = headers(id, 0, &POST);
        (0..20).for_each(|_| bytes.extend(frame(DATA, 0, id, &[7; 16_384])));
        if !peer.try_send(bytes) {
            break;
        }
    }
    peer.try_send(frame(PING, 0, 0, &[1; 8]));
    while let Some(frame) = peer.next() {
        match frame.kind {
            PING => break,
            RST_STREAM => assert_eq!(frame.code(), FLOW_CONTROL_ERROR, "{frame:?}"),
            GOAWAY => assert!([FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM].contains(&frame.code()), "{frame:?}"),
            _ => {}
        }
    }
    target.survives("windows that are not kept");
}

/// A window that stays shut holds a handler no longer than the time limit for writing.
#[test]
fn windows_that_stay_shut() {
    let mut target = Target::with(bowline::ServerTimeouts::default().write(Duration::from_millis(300)));
    let mut peer = target.h2();
    peer.send(settings(&[(4, 0)]));
    for id in (1..65).step_by(2) {
        peer.send(get(id, END_STREAM, "/big"));
    }
    let mut left = 32;
    while left > 0 {
        match peer.next() {
            Some(frame) if frame.kind == RST_STREAM => left -= 1,
            Some(_) => {}
            None => break,
        }
        target.good();
    }
    target.survives("windows that stay shut");
}

/// Frames that are ignored cost what it costs to read them, and nobody else anything.
#[test]
fn frames_that_are_ignored() {
    let mut target = Target::new();
    let over = || [get(1, END_STREAM, "/"), reset(1)].concat();
    // How many are taken at once, and that not any number is.
    for (name, begin, part, fine, bounded) in [
        ("unknown types", Vec::new(), frame(0x77, 0, 1, &[7; 100]), 1000, true),
        ("answers to no PING", Vec::new(), frame(PING, ACK, 0, &[7; 8]), 1000, true),
        ("RST_STREAM again", over(), reset(1), 100, true),
        ("GOAWAY again", Vec::new(), frame(GOAWAY, 0, 0, &[0; 1000]), 100, true),
        ("heads on a stream we reset", get(1, 0, "no path"), get(1, 0, "/"), 20_000, false),
        ("data on a stream we reset", get(1, 0, "no path"), frame(DATA, 0, 1, &[7; 100]), 20_000, false),
    ] {
        let mut peer = target.h2();
        peer.send(&begin);
        for _ in 0..fine / 100 {
            assert!(peer.try_send(part.repeat(100)), "{name}");
        }
        peer.lives();
        target.survives(name);
        if bounded {
            flood(&mut target, name, 400_000, |n| if n == 0 { [&begin[..], &part].concat() } else { part.clone() });
        }
    }
}

/// A client that takes no more streams still gets the answers to those it has opened.
#[test]
fn goaway_of_a_client() {
    let mut target = Target::new();
    let mut peer = target.h2();
    peer.send(headers(1, 0, &POST)).send(frame(GOAWAY, 0, 0, &[0; 8])).send(frame(DATA, END_STREAM, 1, b"abc"));
    assert_eq!(peer.until(|f| f.kind == DATA && f.stream == 1).payload, b"3 bytes");
    peer.lives();
    target.survives("GOAWAY");
}

/// Frames behind which nothing comes, and connections that are left in the middle of one.
#[test]
fn half_a_frame() {
    let timeouts =
        bowline::ServerTimeouts::default().header(Duration::from_millis(300)).idle(Duration::from_millis(600));
    let mut target = Target::with(timeouts);
    let head = frame(HEADERS, END_STREAM, 1, &block(&POST));
    let mut stalled: Vec<Peer> = Vec::new();
    for bytes in [&PREFACE[..10], PREFACE, &[PREFACE, &settings(&[])[..5]].concat()] {
        let mut peer = Peer::connect(&target);
        peer.send(bytes);
        stalled.push(peer);
    }
    for bytes in [&head[..], &head[..7]] {
        let mut peer = target.h2();
        peer.send(bytes);
        stalled.push(peer);
    }
    for mut peer in stalled {
        let _ = peer.farewell();
        target.good();
    }
    target.survives("half a frame");
}
