//! Commands: what they write, and what they refuse.

use super::*;
use crate::proto::h2::{Event, Misuse, Protocol, hpack::Decoder};
use http::{HeaderMap, HeaderValue, Uri};

/// Splits what was said into frames.
fn frames(mut bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some(header) = Header::parse(bytes) {
        let whole = frame::HEADER + header.length;
        frames.push((header, bytes[frame::HEADER..whole].to_vec()));
        bytes = &bytes[whole..];
    }
    assert_eq!(bytes, b"");
    frames
}

/// Decodes the header block that frames hold together.
fn fields(frames: &[(Header, Vec<u8>)]) -> Vec<(String, String)> {
    let block: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.clone()).collect();
    let mut fields = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Decoder::new(4096).decode(&block, |field| fields.push((text(field.name), text(field.value)))).unwrap();
    fields
}

fn opened(head: &Request<()>, settings: &[(u16, u32)]) -> Vec<(String, String)> {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), settings);
    let opened = bench.engine.open(head, End::More, bench.now, &mut bench.out);
    assert_eq!(opened, Ok(Opened::Stream(1)));
    fields(&frames(&bench.out))
}

#[test]
fn what_a_request_is_made_into() {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", "a:1"), (":path", "/p?q")];
    type Row<'a> = (&'a str, Request<()>, Vec<(&'a str, &'a str)>);
    #[rustfmt::skip]
    let table: [Row<'_>; 10] = [
        ("the usual", request("GET", "https://a:1/p?q", &[("x", "y")]), [&usual[..], &[("x", "y")]].concat()),
        ("Host is the authority", request("GET", "https://a:1/p?q", &[("host", "b:2")]), vec![usual[0], usual[1], (":authority", "b:2"), usual[3]]),
        ("an empty Host is none", request("GET", "https://a:1/p?q", &[("host", "")]), usual.to_vec()),
        ("Host of a tunnel gives way", request("CONNECT", "a:1", &[("host", "b")]), vec![(":method", "CONNECT"), (":authority", "a:1")]),
        ("user information stays here", request("GET", "https://u:p@a:1/p?q", &[]), usual.to_vec()),
        ("fields of HTTP/1 stay here", request("GET", "https://a:1/p?q", &[("connection", "x"), ("keep-alive", "x"),
            ("proxy-connection", "x"), ("transfer-encoding", "x"), ("upgrade", "x"), ("te", "gzip")]), usual.to_vec()),
        ("te: trailers goes", request("GET", "https://a:1/p?q", &[("te", "trailers")]), [&usual[..], &[("te", "trailers")]].concat()),
        ("blanks around a value", request("GET", "https://a:1/p?q", &[("x", " y\t")]), [&usual[..], &[("x", "y")]].concat()),
        ("no path", request("GET", "http://a?q", &[]), vec![usual[0], (":scheme", "http"), (":authority", "a"), (":path", "/?q")]),
        ("CONNECT", request("CONNECT", "a:1", &[]), vec![(":method", "CONNECT"), (":authority", "a:1")]),
    ];
    for (name, head, expected) in table {
        assert_eq!(opened(&head, &[]), pairs(&expected), "{name}");
    }
    let mut extended = request("CONNECT", "https://a:1/p?q", &[]);
    extended.extensions_mut().insert(Protocol("websocket".into()));
    let expected = [(":method", "CONNECT"), usual[1], usual[2], usual[3], (":protocol", "websocket")];
    assert_eq!(opened(&extended, &[(8, 1)]), pairs(&expected));
    let target =
        |path: &'static str| Uri::builder().scheme("http").authority("a").path_and_query(path).build().unwrap();
    let mut options = request("OPTIONS", "http://a/", &[]);
    *options.uri_mut() = target("*");
    assert_eq!(opened(&options, &[])[3].1, "*");
}

#[test]
fn a_sensitive_value_is_never_indexed() {
    let mut head = request("GET", "http://a/", &[]);
    let mut value = HeaderValue::from_static("secret");
    value.set_sensitive(true);
    head.headers_mut().insert("authorization", value);
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    bench.engine.open(&head, End::Last, bench.now, &mut bench.out).unwrap();
    let mut sensitive = Vec::new();
    let block = &frames(&bench.out)[0].1;
    Decoder::new(4096).decode(block, |field| sensitive.push(field.sensitive)).unwrap();
    assert_eq!(sensitive, [false, false, false, false, true]);
}

#[test]
fn a_long_head_goes_out_in_several_frames() {
    let long = "x".repeat(40_000);
    let mut head = request("GET", "http://a/", &[("x", &long)]);
    head.headers_mut().get_mut("x").unwrap().set_sensitive(true);
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    bench.engine.open(&head, End::Last, bench.now, &mut bench.out).unwrap();
    let sent = frames(&bench.out);
    let (last, others) = sent.split_last().unwrap();
    assert!(!others.is_empty());
    assert_eq!((others[0].0.kind, others[0].0.flags), (Kind::Headers, END_STREAM));
    assert!(others.iter().all(|(header, _)| header.length == 16_384 && header.stream == 1));
    assert_eq!((last.0.kind, last.0.flags), (Kind::Continuation, END_HEADERS));
    assert_eq!(fields(&sent)[4].1, long);
}

#[test]
fn a_response_from_its_first_word_to_its_trailers() {
    let mut server = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    server.feed(&get(1, END_STREAM)).unwrap();
    server.out.clear();
    server.engine.inform(1, &response(103, &[("link", "x")]), &mut server.out).unwrap();
    server
        .engine
        .respond(1, &response(200, &[("connection", "close"), ("a", "b")]), End::More, &mut server.out)
        .unwrap();
    assert_eq!(server.engine.send_data(1, b"body", End::More, &mut server.out), Ok(4));
    let trailers: HeaderMap = [("t".parse().unwrap(), HeaderValue::from_static("u"))].into_iter().collect();
    server.engine.send_trailers(1, &trailers, &mut server.out).unwrap();
    assert_eq!(server.engine.open_streams(), 0);

    let mut client = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    client.open("GET", End::Last);
    client.input.extend(&server.said());
    let mut next = || {
        client.engine.poll_event(client.now, &mut client.input, &mut client.out).map(|e| e.map(|e| format!("{e:?}")))
    };
    let mut events = Vec::new();
    while let Some(event) = next().unwrap() {
        events.push(event.split(' ').next().unwrap().to_string());
    }
    assert_eq!(events, ["Informational", "Answer", "Data", "Trailers", "Ended"]);
    assert_eq!(client.engine.open_streams(), 0);
}

/// Every command that is refused changes nothing, and says nothing.
#[test]
fn misuse_changes_nothing() {
    type Command = Box<dyn Fn(&mut Bench) -> Result<(), Misuse>>;
    fn open(head: Request<()>, end: End) -> Command {
        Box::new(move |b| b.engine.open(&head, end, b.now, &mut b.out).map(|_| ()))
    }
    fn respond(stream: u32, head: Response<()>, end: End) -> Command {
        Box::new(move |b| b.engine.respond(stream, &head, end, &mut b.out))
    }
    fn inform(stream: u32, status: u16) -> Command {
        Box::new(move |b| b.engine.inform(stream, &response(status, &[]), &mut b.out))
    }
    fn send(stream: u32, bytes: &'static [u8], end: End) -> Command {
        Box::new(move |b| b.engine.send_data(stream, bytes, end, &mut b.out).map(|_| ()))
    }
    fn trailers(stream: u32) -> Command {
        Box::new(move |b| b.engine.send_trailers(stream, &HeaderMap::new(), &mut b.out))
    }
    fn trailer(stream: u32, name: &'static str) -> Command {
        let list: HeaderMap = [(name.parse().unwrap(), HeaderValue::from_static("1"))].into_iter().collect();
        Box::new(move |b| b.engine.send_trailers(stream, &list, &mut b.out))
    }
    let mut asterisk = request("GET", "http://a/", &[]);
    *asterisk.uri_mut() = Uri::builder().scheme("http").authority("a").path_and_query("*").build().unwrap();
    let mut extended = request("CONNECT", "http://a/", &[]);
    extended.extensions_mut().insert(Protocol("websocket".into()));
    let get = |headers: &[(&str, &str)]| request("GET", "http://a/", headers);
    let none = |stream| Misuse::NoStream { stream };
    let length = |left, given| Misuse::ContentLengthMismatch { left, given };
    use {End::*, Role::*};
    #[rustfmt::skip]
    let table: Vec<(&str, Role, Command, Misuse)> = vec![
        ("a server opens", Server, open(get(&[]), Last), Misuse::WrongRole),
        ("no authority", Client, open(request("GET", "/", &[]), Last), Misuse::AuthorityMissing),
        ("no scheme", Client, open(request("GET", "/", &[("host", "a")]), Last), Misuse::SchemeMissing),
        ("an asterisk", Client, open(asterisk, Last), Misuse::AsteriskWithoutOptions),
        ("extended CONNECT", Client, open(extended, More), Misuse::ExtendedConnect),
        ("Content-Length that is none", Client, open(get(&[("content-length", "x")]), More), Misuse::ContentLengthInvalid),
        ("two of them", Client, open(get(&[("content-length", "1"), ("content-length", "2")]), More), Misuse::ContentLengthInvalid),
        ("a body that is missing", Client, open(get(&[("content-length", "1")]), Last), length(1, 0)),
        ("a client responds", Client, respond(1, response(200, &[]), Last), Misuse::WrongRole),
        ("a client informs", Client, inform(1, 103), Misuse::WrongRole),
        ("no such stream", Server, respond(99, response(200, &[]), Last), none(99)),
        ("a stream that is over", Server, respond(7, response(200, &[]), Last), none(7)),
        ("a stream that was reset", Server, respond(9, response(200, &[]), Last), none(9)),
        ("a second head", Server, respond(11, response(200, &[]), Last), Misuse::HeadSent { stream: 11 }),
        ("a 1xx as the final head", Server, respond(1, response(103, &[]), More), Misuse::Status(103)),
        ("a missing body", Server, respond(1, response(200, &[("content-length", "9")]), Last), length(9, 0)),
        ("a 1xx behind the head", Server, inform(11, 103), Misuse::HeadSent { stream: 11 }),
        ("101", Server, inform(1, 101), Misuse::Status(101)),
        ("a final head as 1xx", Server, inform(1, 200), Misuse::Status(200)),
        ("data before the head", Server, send(1, b"x", More), Misuse::HeadMissing { stream: 1 }),
        ("trailers before the head", Server, trailers(1), Misuse::HeadMissing { stream: 1 }),
        ("data after the end", Client, send(1, b"x", More), Misuse::SendEnded { stream: 1 }),
        ("the end after the end", Client, send(1, b"", Last), Misuse::SendEnded { stream: 1 }),
        ("trailers after the end", Client, trailers(1), Misuse::SendEnded { stream: 1 }),
        ("a length behind the body", Server, trailer(11, "content-length"), Misuse::TrailerForbidden),
        ("a host behind the body", Server, trailer(11, "host"), Misuse::TrailerForbidden),
        ("a type behind the body", Server, trailer(11, "content-type"), Misuse::TrailerForbidden),
        ("what belongs to HTTP/1 behind the body", Server, trailer(11, "connection"), Misuse::TrailerForbidden),
        ("data on a stream that is over", Client, send(7, b"x", More), none(7)),
        ("data on an idle stream", Client, send(13, b"x", More), none(13)),
        ("trailers on a stream that is over", Client, trailers(7), none(7)),
        ("nothing to release", Client, Box::new(|b| b.engine.release(1, 1, &mut b.out)), Misuse::ReleasedTooMuch { stream: 1, unread: 0, released: 1 }),
        ("nothing to release from", Client, Box::new(|b| b.engine.release(7, 1, &mut b.out)), none(7)),
        ("a reset of what is over", Client, Box::new(|b| b.engine.reset(7, 8, &mut b.out)), none(7)),
        ("a reset of what is idle", Server, Box::new(|b| b.engine.reset(13, 8, &mut b.out)), none(13)),
        ("a cancel of what is over", Client, Box::new(|b| b.engine.cancel(7, 8, b.now, &mut b.out)), none(7)),
    ];
    for (name, role, command, misuse) in table {
        let mut bench = stage(role);
        let before = format!("{:?}", bench.engine);
        assert_eq!(command(&mut bench), Err(misuse), "{name}");
        assert_eq!(bench.said(), b"", "{name}");
        assert_eq!(format!("{:?}", bench.engine), before, "{name}");
    }
}

#[test]
fn the_length_of_what_is_sent_is_held_against_content_length() {
    let mismatch = |left, given| Err(Misuse::ContentLengthMismatch { left, given });
    let start = || {
        let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
        let head = request("POST", "http://a/", &[("content-length", "5")]);
        bench.engine.open(&head, End::More, bench.now, &mut bench.out).unwrap();
        bench
    };
    let mut bench = start();
    assert_eq!(bench.engine.send_data(1, b"abcdef", End::More, &mut bench.out), mismatch(5, 6));
    assert_eq!(bench.engine.send_data(1, b"abcd", End::Last, &mut bench.out), mismatch(5, 4));
    assert_eq!(bench.engine.send_data(1, b"abc", End::More, &mut bench.out), Ok(3));
    assert_eq!(bench.engine.send_trailers(1, &HeaderMap::new(), &mut bench.out), mismatch(2, 0).map(|_: usize| ()));
    assert_eq!(bench.engine.send_data(1, b"de", End::Last, &mut bench.out), Ok(2));
    let mut bench = start();
    assert_eq!(bench.engine.send_data(1, b"abcde", End::More, &mut bench.out), Ok(5));
    assert_eq!(bench.engine.send_trailers(1, &HeaderMap::new(), &mut bench.out), Ok(()));

    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let mut bench = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
        let head = headers(1, END_STREAM, &[(":method", method), GET[1], GET[2], GET[3]]);
        bench.feed(&head).unwrap();
        let answer = response(status, &[("content-length", "5")]);
        bench.engine.respond(1, &answer, End::More, &mut bench.out).unwrap();
        assert_eq!(bench.engine.send_data(1, b"x", End::More, &mut bench.out), mismatch(0, 1), "{method} {status}");
        assert_eq!(bench.engine.send_data(1, b"", End::Last, &mut bench.out), Ok(0));
    }
}

#[test]
fn commands_on_a_connection_that_is_over() {
    let mut bench = stage(Role::Client);
    bench.feed(&data(0, 0, b"")).unwrap_err();
    bench.out.clear();
    let over = Misuse::ConnectionOver;
    assert_eq!(bench.engine.send_data(3, b"x", End::More, &mut bench.out), Err(over.clone()));
    assert_eq!(bench.engine.reset(3, 8, &mut bench.out), Err(over.clone()));
    assert_eq!(bench.engine.release(3, 1, &mut bench.out), Err(over.clone()));
    assert_eq!(bench.engine.ping([0; 8], bench.now, &mut bench.out), Err(over));
    let again = bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out);
    assert_eq!(again, Ok(Opened::Closed));
    bench.engine.drain(&mut bench.out);
    bench.engine.close(&mut bench.out);
    assert_eq!(bench.said(), b"");
    assert_eq!(bench.engine.deadline(), None);
}

/// The server has answered and wants no more of the request (RFC 9113, section 8.1).
#[test]
fn a_server_that_wants_no_more() {
    for (bytes, code, stops) in [
        (ok(3, END_STREAM), ErrorCode::NO_ERROR, true),
        (ok(3, END_STREAM), ErrorCode::CANCEL, false),
        (ok(3, 0), ErrorCode::NO_ERROR, false),
    ] {
        let mut bench = stage(Role::Client);
        bench.feed(&bytes).unwrap();
        let expected = if stops {
            Seen::Other(format!("{:?}", Event::StopSending { stream: 3 }))
        } else {
            Seen::Failed(3, Failure::Reset(code))
        };
        assert_eq!(bench.feed(&rst(3, code)), Ok(vec![expected]));
        assert_eq!(bench.engine.send_data(3, b"x", End::More, &mut bench.out), Err(Misuse::NoStream { stream: 3 }));
    }
}
