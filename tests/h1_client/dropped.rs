//! Bodies dropped unread: what is taken away to keep the connection, and where that ends. And the last exchange of a connection.

use super::*;
use bowline::net::{PairEnd, Wire};
use bowline::{Client, CloseReason, Connection, ConnectionState, net::pair};

/// What of a body nobody wants is read by default.
const DRAIN: usize = 64 * 1024;

/// A connection in memory whose peer has sent the head of an answer, and this of its body; and that answer.
fn answered(head: &str, body: &[u8]) -> (Connection, PairEnd, Response) {
    let client = Client::builder().proxy(None).build().unwrap();
    let (near, far) = pair(1024 * 1024);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    let pending = connection.get("/").start();
    send(&far, format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes());
    send(&far, body);
    let response = pending.wait().unwrap();
    (connection, far, response)
}

fn send(far: &PairEnd, bytes: &[u8]) {
    assert_eq!(far.try_write(bytes).unwrap(), bytes.len());
}

/// Whether it is kept.
#[track_caller]
fn assert_kept(connection: &Connection, kept: bool, case: &str) {
    let state = connection.info().state;
    let expected = if kept { ConnectionState::Idle } else { ConnectionState::Closed(CloseReason::Shutdown) };
    assert_eq!(state, expected, "{case}");
}

/// Chunks of so much each: of an odd size, so that none ends where a read does.
fn chunked(n: usize, size: usize, trailers: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in vec![b'x'; n].chunks(size) {
        body.extend(format!("{:x};ext=1\r\n", piece.len()).as_bytes());
        body.extend(piece);
        body.extend(b"\r\n");
    }
    body.extend(format!("0\r\n{trailers}\r\n").as_bytes());
    body
}

#[test]
fn so_much_is_taken_away_and_no_more() {
    for (n, kept) in [(0, true), (1, true), (DRAIN - 1, true), (DRAIN, true), (DRAIN + 1, false), (4 * DRAIN, false)] {
        let (connection, far, response) = answered(&format!("Content-Length: {n}"), b"");
        send(&far, &vec![b'x'; n]);
        prompt(|| drop(response));
        assert_kept(&connection, kept, &format!("{n} bytes"));

        // Of small chunks several are in the read that comes to the end.
        for (size, trailers) in [(4999, ""), (4999, "X-End: yes\r\n"), (99, "")] {
            let (connection, far, response) = answered("Transfer-Encoding: chunked", b"");
            send(&far, &chunked(n, size, trailers));
            prompt(|| drop(response));
            assert_kept(&connection, kept, &format!("{n} bytes in chunks of {size}, trailers {trailers:?}"));
        }
    }
}

/// What has been read before costs nothing, however much it is; the limit is for what is not.
#[test]
fn what_is_buffered_does_not_count() {
    let buffered = 100_000;
    for (rest, kept) in [(0, true), (DRAIN, true), (DRAIN + 1, false)] {
        let length = format!("Content-Length: {}", buffered + rest);
        let (connection, far, mut response) = answered(&length, &vec![b'x'; buffered]);
        let mut first = [0];
        response.body().read_exact(&mut first).unwrap();
        connection.pump().unwrap();
        send(&far, &vec![b'x'; rest]);
        prompt(|| drop(response));
        assert_kept(&connection, kept, &format!("{buffered} and {rest} bytes"));
    }
}

/// Nobody waits for what is not there.
#[test]
fn what_has_not_arrived_is_not_waited_for() {
    for (head, body) in [
        ("Content-Length: 10", &b"123456789"[..]),
        ("Transfer-Encoding: chunked", b"4\r\nwiki\r\n"),
        ("Transfer-Encoding: chunked", b"4\r\nwiki\r\n0\r\n"),
        ("Transfer-Encoding: chunked", b"4\r\nwiki\r\n0\r\nX-End: yes\r\n"),
        ("Connection: close", b"to the end"),
    ] {
        let (connection, far, response) = answered(head, body);
        prompt(|| drop(response));
        assert_kept(&connection, false, head);
        drop(far);
    }
}

/// What comes behind the end of a dropped body is no answer to the next request.
#[test]
fn what_is_behind_a_dropped_body_ends_the_connection() {
    let (connection, far, response) = answered("Content-Length: 5", b"");
    send(&far, b"12345HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    drop(response);
    let state = connection.info().state;
    assert_eq!(state, ConnectionState::Closed(CloseReason::Violation));
    assert!(connection.get("/").send().is_err());
}

/// A connection of the pool is used again after that, or another one is made.
#[test]
fn the_pool_keeps_what_was_drained() {
    let (n, far) = (DRAIN, Arc::new(Mutex::new(None)));
    let (told, tells) = mpsc::channel::<usize>();
    let (done, is_done) = mpsc::channel();
    let (tells, done) = (Mutex::new(tells), Mutex::new(done));
    let peer = peer(move |_, mut conn| {
        while conn.request().is_some() {
            conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n"));
            let Ok(rest) = tells.lock().unwrap().recv() else { return };
            conn.say("x".repeat(rest));
            done.lock().unwrap().send(()).unwrap();
        }
    });
    far.lock().unwrap().replace(told);
    let client = client();
    for (reused, rest) in [(false, n), (true, n), (true, n - 1), (false, n)] {
        let response = client.get(peer.url("/")).send().unwrap();
        assert_eq!(response.reused(), reused);
        far.lock().unwrap().as_ref().unwrap().send(rest).unwrap();
        is_done.recv().unwrap();
        drop(response);
    }
    far.lock().unwrap().take();
    assert_eq!(peer.connections(), 2);
}

/// A connection that takes nothing new says so while its last exchange goes on.
#[test]
fn a_connection_that_is_drained_goes_on_with_what_it_has() {
    let (connection, far, response) = answered("Content-Length: 4", b"so");
    assert_eq!(connection.info().state, ConnectionState::Active);
    connection.drain();
    assert_eq!(connection.info().state, ConnectionState::Draining);
    let error = connection.get("/").send().unwrap_err();
    assert_eq!((error.processed(), error.bytes_written()), (Processed::No, 0));
    send(&far, b"on");
    assert_eq!(response.text().unwrap(), "soon");
    assert_eq!(connection.info().state, ConnectionState::Closed(CloseReason::Finished));
}
