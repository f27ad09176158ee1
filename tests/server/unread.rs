//! Bodies that nobody reads: what the client is told of its connection, and what becomes of that.

use crate::raw::{LONG, Raw};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts, http, net::pair};
use http::Response;
use std::{
    io::{Read, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/some" => {
            exchange.body().read_exact(&mut [0; 2])?;
            exchange.reply(200, "enough")
        }
        "/taken" => {
            drop(exchange.take_body());
            exchange.reply(200, "thrown away")
        }
        "/echo" => {
            let body = exchange.take_body();
            exchange.reply(200, body)
        }
        "/elsewhere" => {
            let mut body = exchange.take_body();
            let (told, answered) = mpsc::channel();
            let reader = thread::spawn(move || {
                answered.recv().unwrap();
                let mut text = String::new();
                body.read_to_string(&mut text).unwrap();
                text.len()
            });
            exchange.reply(202, "later")?;
            told.send(()).unwrap();
            assert_eq!(reader.join().unwrap(), 100_000);
            Ok(())
        }
        "/while" => {
            let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.flush()?;
            let bytes = std::io::copy(&mut body, &mut std::io::sink())?;
            write!(writer, "{bytes}")?;
            writer.finish()
        }
        "/drop" => Ok(()),
        "/refused" => exchange.upgrade(http::HeaderMap::new()).map(drop),
        _ => exchange.reply(200, "unread"),
    }
}

fn serve(set: impl FnOnce(Server) -> Server) -> ServerHandle {
    set(Server::bind("127.0.0.1:0").unwrap()).spawn(handle).unwrap()
}

fn post(path: &str, framing: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
}

fn sized(path: &str, len: usize) -> String {
    post(path, &format!("Content-Length: {len}"))
}

/// RFC 9112, section 9.6: a server that will close says so.
#[test]
fn much_that_is_left_ends_the_connection_and_the_answer_says_so() {
    let server = serve(|server| server);
    let chunked = |path: &str| post(path, "Transfer-Encoding: chunked") + "3\r\nabc\r\n";
    for path in ["/", "/some", "/taken", "/drop", "/refused"] {
        for request in [sized(path, 64 * 1024 + 6) + "abcde", chunked(path)] {
            let mut raw = Raw::connect(server.local_addr());
            let answer = raw.send(&request).answer();
            assert_eq!(answer.get("connection"), Some("close"), "{request:?}");
            assert!(raw.is_closed(), "{request:?}");
        }
        // One whose end is there is read.
        let mut raw = Raw::connect(server.local_addr());
        let answer = raw.send(chunked(path) + "0\r\n\r\n").answer();
        assert_eq!(answer.get("connection"), None, "{path}");
        assert_eq!(raw.send(sized("/", 0)).answer().text(), "unread", "{path}");
    }
    // Nobody invites a body that nobody reads, and whether it comes is not known then.
    for path in ["/", "/taken"] {
        let mut raw = Raw::connect(server.local_addr());
        let answer = raw.send(post(path, "Content-Length: 3\r\nExpect: 100-continue")).answer();
        assert_eq!((answer.status(), answer.get("connection")), (200, Some("close")), "{path}");
        assert!(raw.is_closed(), "{path}");
    }
}

#[test]
fn little_that_is_left_is_read_whenever_it_comes() {
    let server = serve(|server| server);
    for (path, len) in [("/", 3), ("/", 64 * 1024), ("/some", 64 * 1024 + 2), ("/taken", 3), ("/drop", 3)] {
        let mut raw = Raw::connect(server.local_addr());
        let mut left = len;
        raw.send(sized(path, len));
        if path == "/some" {
            raw.send("ab");
            left -= 2;
        }
        for _ in 0..2 {
            let answer = raw.answer();
            assert_eq!(answer.get("connection"), None, "{path}, {len} bytes");
            // In pieces, and the next request at once.
            raw.send(vec![b'x'; left / 2]).send(vec![b'x'; left - left / 2]);
            raw.send(sized("/", 5));
            left = 5;
        }
        raw.answer();
        raw.send("GET /x HTTP/1.1");
        assert_eq!(
            raw.send(" ").send("\r\nHost: x\r\n\r\n").answer().status(),
            400,
            "{path}: five bytes of it were a body"
        );
    }
}

#[test]
fn what_is_left_and_does_not_come() {
    let limit = Duration::from_millis(150);
    let server = serve(|server| server.timeouts(ServerTimeouts::default().header(limit)));
    let mut raw = Raw::connect(server.local_addr());
    assert_eq!(raw.send(sized("/", 3) + "a").answer().text(), "unread");
    let began = Instant::now();
    assert!(raw.is_closed(), "without a word: it was answered");
    assert!(began.elapsed() < LONG);
    // Nor does it keep anybody from shutting down.
    let server = serve(|server| server);
    let mut raw = Raw::connect(server.local_addr());
    assert_eq!(raw.send(sized("/", 3) + "a").answer().text(), "unread");
    assert_eq!(server.shutdown(LONG), 0);
    assert!(raw.is_closed());
}

#[test]
fn who_still_reads_keeps_the_connection() {
    let server = serve(|server| server);
    let mut raw = Raw::connect(server.local_addr());
    let body = vec![b'a'; 100_000];
    raw.send(sized("/echo", body.len()));
    let head = raw.head();
    assert_eq!(head.get("connection"), None);
    assert_eq!(raw.send(&body).take(body.len()), body);
    let answer = raw.send(sized("/elsewhere", body.len())).answer();
    assert_eq!((answer.status(), answer.get("connection")), (202, None));
    raw.send(&body).send(sized("/while", body.len()));
    let head = raw.head();
    assert_eq!((head.status(), head.get("connection")), (200, None));
    assert_eq!(raw.send(&body).take("6\r\n100000\r\n0\r\n\r\n".len()), b"6\r\n100000\r\n0\r\n\r\n");
    assert_eq!(raw.send(sized("/", 0)).answer().text(), "unread");
}

#[test]
fn on_a_wire_of_the_callers() {
    let (near, far) = pair(1 << 16);
    let client = thread::spawn(move || {
        let mut all = Vec::new();
        let mut read = |end: &[u8]| {
            let began = Instant::now();
            while !all.ends_with(end) {
                assert!(began.elapsed() < LONG);
                let mut buf = [0; 1000];
                match bowline::net::Wire::try_read(&near, &mut buf) {
                    Ok(n) => all.extend_from_slice(&buf[..n]),
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => thread::yield_now(),
                    Err(e) => panic!("{e}"),
                }
            }
            std::mem::take(&mut all)
        };
        bowline::net::Wire::try_write(&near, sized("/", 3).as_bytes()).unwrap();
        read(b"unread");
        let more = "abc".to_owned() + &sized("/", 0);
        bowline::net::Wire::try_write(&near, more.as_bytes()).unwrap();
        read(b"unread");
        bowline::net::Wire::finish(&near).unwrap();
    });
    Server::unbound().serve_wire(far, &handle).unwrap();
    client.join().unwrap();
}
