//! What comes besides a head and a body.

use super::*;

#[test]
fn trailers_both_ways() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (mut writer, pending) = client.post(peer.url("/")).duplex().unwrap();
    let stream = link.request().stream;
    writer.write_all(b"body").unwrap();
    writer.flush().unwrap();
    let data = link.expect(DATA);
    assert_eq!((&*data.payload, data.ends()), (&b"body"[..], false));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("17"));
    writer.finish_with_trailers(trailers).unwrap();
    let last = link.request();
    assert_eq!((last.stream, last.ends()), (stream, true));
    link.send(&[
        Frame::headers(stream, 0, &[(":status", "200")]),
        Frame::data(stream, b"answer"),
        Frame::headers(stream, END_STREAM, &[("x-sum", "42")]),
    ]);
    let mut answer = pending.wait().unwrap();
    assert!(answer.body().trailers().is_none());
    let mut text = String::new();
    answer.body().read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert_eq!(answer.body().trailers().expect("they came")["x-sum"], "42");
}

#[derive(Clone, Default)]
struct Informed(Arc<Mutex<Vec<(u16, String)>>>);

impl Hook for Informed {
    fn trace(&self, step: &Trace) {
        if let Trace::Informational { status, headers, .. } = step {
            let link = headers.get("link").map_or("", |v| v.to_str().unwrap());
            self.0.lock().unwrap().push((status.as_u16(), link.to_owned()));
        }
    }
}

#[test]
fn informational_responses_are_given_to_hooks_and_bounded() {
    let informed = Informed::default();
    let (peer, client) = (Peer::new(), builder().hook(informed.clone()).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let stream = link.request().stream;
    link.send(&[
        Frame::headers(stream, 0, &[(":status", "103"), ("link", "</style>")]),
        Frame::headers(stream, 0, &[(":status", "102")]),
    ]);
    link.answer(stream, 200, b"");
    assert_eq!(asked.join().unwrap().status().as_u16(), 200);
    assert_eq!(*informed.0.lock().unwrap(), [(103, "</style>".to_owned()), (102, String::new())]);

    for (n, fine) in [(100, true), (101, false)] {
        let asked = get(&client, &peer);
        let stream = link.request().stream;
        let many: Vec<Frame> = (0..n).map(|_| Frame::headers(stream, 0, &[(":status", "103")])).collect();
        link.send(&[many, answer(stream, 200, b"")].concat());
        match asked.join() {
            Ok(_) => assert!(fine, "{n} are too many"),
            Err(e) => {
                assert!(!fine, "{n} are allowed: {e}");
                assert_eq!(e.kind(), ErrorKind::PeerViolation);
            }
        }
    }
}
