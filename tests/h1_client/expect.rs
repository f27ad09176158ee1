//! 100-continue.

use super::*;

#[test]
fn the_body_goes_out_after_100() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(head.header("expect"), Some("100-continue"));
        conn.socket().set_nonblocking(true).unwrap();
        assert!(conn.exactly(1).is_empty(), "the body came unasked");
        conn.socket().set_nonblocking(false).unwrap();
        conn.say("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(conn.body(&head).unwrap(), b"body");
        conn.answer("ok");
        conn.serve();
    });
    let client = client();
    let response = client.post(peer.url("/")).expect_continue(Duration::MAX).body("body").send().unwrap();
    assert_eq!(response.text().unwrap(), "ok");
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn no_body_follows_a_refusal() {
    for answer in [
        "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\n",
    ] {
        let (next, go) = mpsc::channel::<()>();
        let (done, came) = mpsc::channel();
        let script = Mutex::new((go, done));
        let peer = peer(move |n, mut conn| {
            if n > 0 {
                return conn.serve();
            }
            let (go, done) = &*script.lock().unwrap();
            conn.head().unwrap();
            conn.say(answer);
            conn.say("ref");
            go.recv().unwrap();
            conn.say("use");
            done.send(conn.rest()).unwrap();
        });
        let client = client();
        let mut response =
            client.post(peer.url("/")).expect_continue(ms(20_000)).body(vec![b'x'; 1000]).send().unwrap();
        assert!(response.status().is_client_error());
        let mut three = [0; 3];
        response.body().read_exact(&mut three).unwrap();
        assert!(matches!(response.body().read_timeout(&mut three, ms(1)), Ok(Recv::TimedOut)));
        next.send(()).unwrap();
        assert_eq!(response.bytes().unwrap(), b"use");
        assert_eq!(came.recv().unwrap(), b"", "the body was not asked for");
        assert!(!client.get(peer.url("/")).send().unwrap().reused(), "the peer still expects a body there");
    }
}

#[test]
fn a_peer_that_ignores_expect_gets_the_body_later() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(conn.body(&head).unwrap(), b"body");
        conn.answer("ok");
    });
    timed(ms(200), || client().post(peer.url("/")).expect_continue(ms(200)).body("body").send().unwrap());
}

#[test]
fn nothing_is_expected_without_a_body() {
    let peer = peer(|_, mut conn| {
        assert_eq!(conn.request().unwrap().header("expect"), None);
        conn.answer("ok");
    });
    prompt(|| client().post(peer.url("/")).expect_continue(ms(5000)).send().unwrap());
}
