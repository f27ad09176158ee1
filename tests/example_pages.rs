//! The pages of the example `serve`.

#[path = "../examples/support/filler.rs"]
mod filler;
#[path = "../examples/support/site.rs"]
mod site;

use bowline::{Exchange, Server, ServerHandle};
use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};

fn serve(root: Option<PathBuf>) -> ServerHandle {
    let server = Server::bind("127.0.0.1:0").unwrap();
    server.spawn(move |exchange: Exchange| site::answer(exchange, root.as_deref())).unwrap()
}

/// Sends a request line with the fields it needs; returns the status and everything behind the head.
fn ask(server: &ServerHandle, line: &str, rest: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(server.local_addr()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let fields = if rest.is_empty() { "\r\n" } else { rest };
    write!(socket, "{line} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n{fields}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn every_page() {
    let server = serve(None);
    #[rustfmt::skip]
    let table = [
        ("GET /", 200), ("HEAD /", 200), ("POST /", 405), ("DELETE /", 405), ("GET /other", 404), ("GET //", 200),
        ("OPTIONS *", 405), ("TRACE /", 405), ("CONNECT h:1", 405), ("GET http://h:1/bytes/1", 200),
        ("GET /bytes/0", 200), ("GET /bytes/3", 200), ("HEAD /bytes/18446744073709551615", 200),
        ("GET /bytes/18446744073709551616", 400), ("GET /bytes/-1", 400), ("GET /bytes/+1", 400), ("GET /bytes/", 400),
        ("GET /bytes", 400), ("GET /bytes/1/2", 400),
        ("GET /slow/0", 200), ("GET /slow/1", 200), ("GET /slow/+1", 400), ("GET /slow/x", 400),
        ("GET /echo", 405), ("GET /files/a", 404),
    ];
    for (line, status) in table {
        assert_eq!(ask(&server, line, "").0, status, "{line}");
    }
    assert_eq!(ask(&server, "GET /bytes/3", "").1, "\0\x01\x02");
    assert_eq!(ask(&server, "HEAD /bytes/3", "").1, "");
    assert_eq!(ask(&server, "POST /echo", "Content-Length: 5\r\n\r\nhello").1, "5\r\nhello\r\n0\r\n\r\n");
    let trailers = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\nX-A: c\r\n\r\n";
    assert_eq!(ask(&server, "PUT /echo", trailers).1, "2\r\nhi\r\n0\r\nx-a: b\r\nx-a: c\r\n\r\n");
}

#[test]
fn files_below_the_root_and_no_others() {
    let root = std::env::temp_dir().join(format!("bowline-pages-{}", std::process::id()));
    fs::create_dir_all(root.join("inside/sub")).unwrap();
    fs::write(root.join("inside/a.txt"), "a").unwrap();
    fs::write(root.join("secret.txt"), "secret").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("secret.txt"), root.join("inside/link.txt")).unwrap();
    let server = serve(Some(root.join("inside")));
    assert_eq!(ask(&server, "GET /files/a.txt", ""), (200, "a".to_owned()));
    for path in [
        "/files/../secret.txt",
        "/files/sub/../../secret.txt",
        "/files/%2e%2e/secret.txt",
        "/files/..%2fsecret.txt",
        "/files/%2e%2e%2fsecret.txt",
        "/files/..%5csecret.txt",
        "/files/sub/%2e%2e/%2e%2e/secret.txt",
        "/files//secret.txt",
        "/files/%00",
        "/files/a.txt%00",
        "/files/%zz",
        "/files/link.txt",
    ] {
        let (status, body) = ask(&server, &format!("GET {path}"), "");
        assert!(matches!(status, 400 | 403 | 404) && !body.contains("secret"), "{path}: {status} {body}");
    }
    fs::remove_dir_all(root).unwrap();
}

/// A client may end its direction once it has asked (RFC 9112, section 9.6), and waits for its answer.
#[test]
fn a_client_that_has_said_all_gets_a_slow_answer() {
    let server = serve(None);
    let mut socket = TcpStream::connect(server.local_addr()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let began = Instant::now();
    socket.write_all(b"GET /slow/300 HTTP/1.1\r\nHost: h:1\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300), "never early: {:?}", began.elapsed());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n300 ms later\n"), "{answer}");
}
