//! Requests that two readers of the same bytes could see differently: none of them is read twice, and nothing behind an error is
//! read at all (RFC 9112, sections 5 to 7, 9.3 and 11.2).

use crate::raw::Raw;
use bowline::{Exchange, Result, Server, ServerHandle};
use std::sync::{Arc, Mutex, PoisonError};

/// What is hidden behind the request that is in question.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server, and the paths and bodies of what its handler has seen.
struct Seen {
    server: ServerHandle,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    fn new() -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(move |mut exchange: Exchange| -> Result<()> {
            let mut body = Vec::new();
            let read = std::io::Read::read_to_end(exchange.body(), &mut body);
            let line = format!("{} {}", exchange.path(), body.escape_ascii());
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            read?;
            exchange.reply(200, ())
        });
        Seen { server: server.unwrap(), requests }
    }

    /// Sends bytes and the end of the direction; returns the statuses of the answers, and what the handler saw.
    fn statuses(&self, bytes: &[u8]) -> (Vec<u16>, Vec<String>) {
        self.requests.lock().unwrap().clear();
        let mut raw = Raw::connect(self.server.local_addr());
        raw.send(bytes).finish();
        let answers = String::from_utf8(raw.rest()).unwrap();
        let statuses = answers.split("HTTP/1.").skip(1).map(|answer| answer[2..5].parse().unwrap()).collect();
        (statuses, std::mem::take(&mut *self.requests.lock().unwrap()))
    }
}

#[test]
fn nothing_behind_a_framing_error_is_a_request() {
    let seen = Seen::new();
    let chunked = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    #[rustfmt::skip]
    let table: &[(&str, &str)] = &[
        ("CL.TE", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE.CL", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        ("TE.TE, the second hidden", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
        ("chunked twice", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked before another", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("a coding in quotes", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
        ("an almost known coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("a vertical tab before a coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
        ("a blank before the colon of a coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ("a folded coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        ("a coding of HTTP/1.0", "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a coding behind a lone LF", "POST /a HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a coding behind a lone CR", "POST /a HTTP/1.1\r\nHost: x\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("NUL in a value", "POST /a HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n"),
        ("two lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n"),
        ("two lengths in a list", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 44\r\n\r\n"),
        ("a length with a sign", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -0\r\n\r\n"),
        ("a length with an underscore", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0_0\r\n\r\n"),
        ("a hexadecimal length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n"),
        ("an empty length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n"),
        ("a length beyond 64 bits", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n"),
        ("a blank line in a head", "GET /a HTTP/1.1\r\nHost: x\r\n \r\n\r\n"),
        ("a field without a name", "GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
        ("a blank before the first field", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n"),
        ("two hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        ("two blanks in the request line", "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a blank in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a request without a version", "GET /a\r\n\r\n"),
    ];
    for (name, bytes) in table {
        let (statuses, requests) = seen.statuses(format!("{bytes}{SMUGGLED}").as_bytes());
        assert_eq!(statuses, [400], "{name}");
        assert!(requests.is_empty(), "{name}: {requests:?}");
    }
    // Where the body breaks the rules the handler has seen its beginning, and nothing behind it.
    #[rustfmt::skip]
    let bodies: &[(&str, &str)] = &[
        ("no size", "\r\n"),
        ("a size that is none", "x\r\n"),
        ("a size with a sign", "+0\r\n\r\n"),
        ("a size with a prefix", "0x0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000000\r\n"),
        ("a blank behind a size", "0 \r\n\r\n"),
        ("a lone LF behind a size", "0\n\r\n"),
        ("a lone CR behind a size", "0\r\r\n\r\n"),
        ("a lone LF in an extension", "0;a\nb\r\n\r\n"),
        ("a longer chunk than said", "1\r\nab\r\n0\r\n\r\n"),
        ("a shorter chunk than said", "4\r\na\r\n0\r\n\r\n"),
        ("no line end behind a chunk", "1\r\na0\r\n\r\n"),
        ("a lone LF behind a chunk", "1\r\na\n0\r\n\r\n"),
        ("a trailer with a lone LF", "0\r\nA: b\n\r\n"),
        ("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"),
        ("a trailer with a blank before its colon", "0\r\nA : b\r\n\r\n"),
    ];
    for (name, body) in bodies {
        let (statuses, requests) = seen.statuses(format!("{chunked}{body}{SMUGGLED}").as_bytes());
        assert_eq!(statuses, [400], "{name}");
        assert!(requests.iter().all(|request| request.starts_with("/a ")), "{name}: {requests:?}");
    }
}

/// What is allowed is read as it is meant: the request behind it is one of its own, and is answered.
#[test]
fn what_is_behind_a_whole_request_is_the_next() {
    let seen = Seen::new();
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        ("a body in a GET", "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "/a abc"),
        ("a length with zeros", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0003\r\n\r\nabc", "/a abc"),
        ("the same length twice", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "/a abc"),
        ("a body that looks like a request", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\nGET /b HTTP/1.1\r\n\r", "/a GET /b HTTP/1.1\\r\\n\\r"),
        ("chunks with extensions", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\n\r\n", "/a abc"),
        ("trailers that look like a head", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET: /b HTTP/1.1\r\n\r\n", "/a "),
        ("an empty line before a request", "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "/a "),
        ("tabs around a value", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length:\t3\t\r\n\r\nabc", "/a abc"),
        ("an Upgrade that nobody takes", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", "/a "),
    ];
    for (name, bytes, request) in table {
        let (statuses, requests) = seen.statuses(format!("{bytes}{SMUGGLED}").as_bytes());
        if name.starts_with("the same length") && statuses == [400] {
            // A recipient may also refuse that (RFC 9110, section 8.6).
            continue;
        }
        assert_eq!(statuses, [200, 200], "{name}: {requests:?}");
        assert_eq!(requests, [*request, "/smuggled "], "{name}");
    }
}

/// A connection that is to be closed is not read any further.
#[test]
fn nothing_behind_the_last_request_is_one() {
    let seen = Seen::new();
    for (name, bytes) in
        [("close", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), ("HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n")]
    {
        let (statuses, requests) = seen.statuses(format!("{bytes}{SMUGGLED}").as_bytes());
        assert_eq!((&statuses[..], &requests[..]), (&[200][..], &["/a ".to_owned()][..]), "{name}");
    }
}

/// What a client sends behind a CONNECT it takes for granted is meant for somebody else.
#[test]
fn nothing_behind_a_refused_tunnel_is_a_request() {
    let server = Server::bind("127.0.0.1:0").unwrap().spawn(|exchange: Exchange| exchange.reply(403, "not there"));
    let server = server.unwrap();
    let mut raw = Raw::connect(server.local_addr());
    raw.send("CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\n".to_owned() + SMUGGLED);
    let answer = raw.answer();
    assert_eq!((answer.status(), answer.text(), answer.get("connection")), (403, "not there", Some("close")));
    assert!(raw.is_closed());
}
