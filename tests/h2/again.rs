//! Requests that the peer cannot have acted on are sent again: those stuck behind another's, those refused on a connection of the program's own.

use crate::{
    h2client::{builder, idle, ms, only, pass},
    h2peer::*,
};
use bowline::{ErrorKind, Phase, Processed, http::Method};

/// A POST behind an upload that stalls; returns whether the kernel took a byte of it after all, which it may do when it makes its buffer
/// larger.
fn is_taken_behind_an_upload_that_stalls() -> bool {
    let peer = Peer::new();
    let client = builder().write_stall(ms(300)).build().unwrap();
    let mut link = idle(&client, &peer);
    let most = (1 << 31) - 1;
    link.send(&[Frame::settings(&[(4, most)]), Frame::window_update(0, most - 65_535)]);
    let upload = client.put(peer.url("/upload")).body(vec![b'x'; 32 << 20]);
    let upload = task(|| upload.send());
    link.request();
    // Nothing more is read: its bytes fill the socket.
    let mut before = 0;
    loop {
        pass(ms(50));
        let sent = only(&client).bytes_out;
        if sent > 1 << 20 && sent == before {
            break;
        }
        before = sent;
    }
    let behind = client.request(Method::POST, peer.url("/behind"));
    let behind = task(|| behind.send());
    let e = upload.join().unwrap_err();
    assert_eq!(
        (e.kind(), e.phase(), e.processed(), e.attempts()),
        (ErrorKind::TimedOut, Phase::Send, Processed::Maybe, 1)
    );
    let Some(mut second) = peer.accept_within(ms(1000)) else {
        let e = behind.join().unwrap_err();
        assert!(e.bytes_written() > 0 && e.processed() == Processed::Maybe, "{e:?}");
        return true;
    };
    second.handshake(&[]);
    let head = second.request();
    second.answer(head.stream, 204, b"");
    let answer = behind.join().unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (204, 2));
    peer.assert_no_more();
    false
}

#[test]
fn what_waited_behind_an_upload_that_stalls_goes_elsewhere() {
    assert!((0..10).any(|_| !is_taken_behind_an_upload_that_stalls()), "the kernel takes a byte every time");
}

#[test]
fn what_is_refused_on_a_connection_of_the_programs_own_is_sent_again_there() {
    let peer = Peer::new();
    let client = builder().build().unwrap();
    let url = peer.url("/");
    let connecting = task({
        let client = client.clone();
        move || client.connect(url).unwrap()
    });
    let mut link = peer.accept();
    let connection = connecting.join();
    let post = |body: &'static str| {
        let request = connection.post("/").body(body);
        task(|| request.send())
    };
    let asked = post("once more");
    link.handshake(&[]);
    for code in [7, 0] {
        let (stream, body) = link.request_with_body();
        assert_eq!(body, b"once more");
        match code {
            0 => link.answer(stream, 204, b""),
            _ => link.send(&[Frame::reset(stream, code)]),
        }
    }
    assert_eq!(asked.join().unwrap().attempts(), 2);
    // Not where it takes no more, and nowhere else.
    let asked = post("never");
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::goaway(stream - 2, 0, b"")]);
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 1));
    peer.assert_no_more();
}
