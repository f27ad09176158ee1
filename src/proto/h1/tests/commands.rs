//! What each command writes, and what it refuses.

use super::{
    super::{Length, Misuse, OriginalFields, TargetForm},
    support::Side,
};
use crate::{
    fields::Fields,
    proto::{End, Role},
};
use http::{HeaderMap, HeaderValue, Request, Response, Version};

/// Sends one request on a new connection; checks that a refusal wrote nothing and left the connection ready.
fn request(head: &Request<()>, form: TargetForm, length: Length) -> Result<String, Misuse> {
    let mut side = Side::new(Role::Client);
    side.out.extend_from_slice(b"before ");
    let sent = side.connection.send_request(head, form, length, &mut side.out);
    if sent.is_err() {
        assert_eq!(side.output(), "before ");
        side.ask("GET");
    }
    sent.map(|()| side.output()["before ".len()..].replace("\r\n", "|"))
}

fn get(uri: &str) -> http::request::Builder {
    Request::get(uri)
}

#[test]
fn targets() {
    use TargetForm::*;
    #[rustfmt::skip]
    let table = [
        ("GET",     "http://h",              Origin,   Ok("GET / HTTP/1.1|Host: h||")),
        ("GET",     "http://h:8080/a?b=c",   Origin,   Ok("GET /a?b=c HTTP/1.1|Host: h:8080||")),
        ("GET",     "http://h?b=c",          Origin,   Ok("GET /?b=c HTTP/1.1|Host: h||")),
        ("GET",     "http://u:p@h/a",        Origin,   Ok("GET /a HTTP/1.1|Host: h||")),
        ("GET",     "http://[::1]:1/",       Origin,   Ok("GET / HTTP/1.1|Host: [::1]:1||")),
        ("GET",     "h:1",                   Origin,   Ok("GET / HTTP/1.1|Host: h:1||")),
        ("GET",     "http://h/\u{e4}?\u{20ac}", Origin, Ok("GET /%C3%A4?%E2%82%AC HTTP/1.1|Host: h||")),
        ("GET",     "http://u@h:1/a?b",      Absolute, Ok("GET http://h:1/a?b HTTP/1.1|Host: h:1||")),
        ("GET",     "http://h",              Absolute, Ok("GET http://h/ HTTP/1.1|Host: h||")),
        ("OPTIONS", "http://h/",             Origin,   Ok("OPTIONS / HTTP/1.1|Host: h||")),
        ("CONNECT", "h:1",                   Origin,   Ok("CONNECT h:1 HTTP/1.1|Host: h:1||")),
        ("CONNECT", "https://u@h/a",         Absolute, Ok("CONNECT h:443 HTTP/1.1|Host: h||")),
        ("CONNECT", "http://h",              Origin,   Ok("CONNECT h:80 HTTP/1.1|Host: h||")),
        ("CONNECT", "wss://[::1]/",          Origin,   Ok("CONNECT [::1]:443 HTTP/1.1|Host: [::1]||")),
        ("CONNECT", "h",                     Origin,   Err(Misuse::PortMissing)),
        ("CONNECT", "/",                     Origin,   Err(Misuse::AuthorityMissing)),
        ("GET",     "/a",                    Origin,   Err(Misuse::AuthorityMissing)),
        ("GET",     "/a",                    Absolute, Err(Misuse::SchemeMissing)),
        ("GET",     "h:1",                   Absolute, Err(Misuse::SchemeMissing)),
        ("GET",     "*",                     Origin,   Err(Misuse::TargetAsterisk)),
        ("OPTIONS", "*",                     Origin,   Err(Misuse::AuthorityMissing)),
    ];
    for (method, uri, form, expected) in table {
        let head = Request::builder().method(method).uri(uri).body(()).unwrap();
        assert_eq!(
            request(&head, form, Length::Empty).as_deref(),
            expected.as_ref().copied(),
            "{method} {uri} {form:?}"
        );
    }
    let asterisk = http::Uri::builder().scheme("http").authority("h:1").path_and_query("*").build().unwrap();
    let head = Request::options(asterisk).body(()).unwrap();
    assert_eq!(request(&head, Origin, Length::Empty).unwrap(), "OPTIONS * HTTP/1.1|Host: h:1||");
    assert_eq!(request(&head, Absolute, Length::Empty).unwrap(), "OPTIONS http://h:1 HTTP/1.1|Host: h:1||");
    let head = Request::options("*").header("host", "i").body(()).unwrap();
    assert_eq!(request(&head, Origin, Length::Empty).unwrap(), "OPTIONS * HTTP/1.1|Host: i||");
}

#[test]
fn fields_of_requests() {
    use Length::*;
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Length, Result<&'a str, Misuse>);
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        ("GET",  &[("accept", "a"), ("host", "i")],  Empty,    Ok("GET / HTTP/1.1|Host: i|accept: a||")),
        ("GET",  &[("host", "i"), ("host", "j")],    Empty,    Err(Misuse::HostRepeated)),
        ("GET",  &[("x", "a"), ("x", "b")],          Empty,    Ok("GET / HTTP/1.1|Host: h|x: a|x: b||")),
        ("GET",  &[("x", "")],                       Empty,    Ok("GET / HTTP/1.1|Host: h|x: ||")),
        ("POST", &[],                                Empty,    Ok("POST / HTTP/1.1|Host: h|Content-Length: 0||")),
        ("PUT",  &[],                                Known(0), Ok("PUT / HTTP/1.1|Host: h|Content-Length: 0||")),
        ("GET",  &[],                                Known(0), Ok("GET / HTTP/1.1|Host: h|Content-Length: 0||")),
        ("GET",  &[],                        Known(u64::MAX),  Ok("GET / HTTP/1.1|Host: h|Content-Length: 18446744073709551615||")),
        ("GET",  &[],                                Unknown,  Ok("GET / HTTP/1.1|Host: h|Transfer-Encoding: chunked||")),
        ("POST", &[("content-length", "5")],         Known(5), Ok("POST / HTTP/1.1|Host: h|content-length: 5||")),
        ("POST", &[("content-length", "0")],         Empty,    Ok("POST / HTTP/1.1|Host: h|content-length: 0||")),
        ("POST", &[("content-length", "5")],         Known(6), Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("content-length", "5")],         Empty,    Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("content-length", "5")],         Unknown,  Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("content-length", "5"), ("content-length", "5")], Known(5), Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("content-length", "5, 5")],      Known(5), Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("content-length", "+5")],        Known(5), Err(Misuse::ContentLengthDisagrees)),
        ("POST", &[("transfer-encoding", "chunked")], Unknown, Err(Misuse::TransferEncodingSet)),
        ("POST", &[("transfer-encoding", "chunked")], Empty,   Err(Misuse::TransferEncodingSet)),
        ("POST", &[("expect", "100-continue")],      Known(5), Ok("POST / HTTP/1.1|Host: h|expect: 100-continue|Content-Length: 5||")),
        ("POST", &[("expect", "100-continue")],      Unknown,  Ok("POST / HTTP/1.1|Host: h|expect: 100-continue|Transfer-Encoding: chunked||")),
        ("POST", &[("expect", "100-continue")],      Known(0), Err(Misuse::ExpectWithoutBody)),
        ("GET",  &[("expect", "100-Continue")],      Empty,    Err(Misuse::ExpectWithoutBody)),
        ("GET",  &[("connection", "close")],         Empty,    Ok("GET / HTTP/1.1|Host: h|connection: close||")),
    ];
    for &(method, fields, length, expected) in table {
        let mut head = Request::builder().method(method).uri("http://h/");
        for (name, value) in fields {
            head = head.header(*name, *value);
        }
        let written = request(&head.body(()).unwrap(), TargetForm::Origin, length);
        assert_eq!(written.as_deref(), expected.as_ref().copied(), "{method} {fields:?} {length:?}");

        // The same fields as they were written.
        let mut head = Request::builder().method(method).uri("http://h/");
        head.extensions_mut().unwrap().insert(OriginalFields(fields.iter().copied().collect()));
        let written = request(&head.body(()).unwrap(), TargetForm::Origin, length);
        match expected {
            Ok(_) if fields.iter().any(|f| f.0 == "host") => {
                assert_eq!(written.unwrap(), "GET / HTTP/1.1|accept: a|host: i||")
            }
            expected => assert_eq!(written.as_deref(), expected.as_ref().copied(), "{method} {fields:?} {length:?}"),
        }
    }
}

#[test]
fn original_fields_keep_case_and_order() {
    let fields: Fields =
        [("X-b", "1"), ("COOKIE", "2"), ("hOST", "i"), ("x-B", "3"), ("CONTENT-length", "4"), ("A", "5")]
            .into_iter()
            .collect();
    let mut head = get("http://h/").header("ignored", "x").body(()).unwrap();
    head.extensions_mut().insert(OriginalFields(fields.clone()));
    let written = "GET / HTTP/1.1|X-b: 1|COOKIE: 2|hOST: i|x-B: 3|CONTENT-length: 4|A: 5||";
    assert_eq!(request(&head, TargetForm::Origin, Length::Known(4)).unwrap(), written);

    // And arrive so.
    let mut server = Side::new(Role::Server);
    server.input.extend(written.replace('|', "\r\n").as_bytes());
    let event = server.connection.poll_event(server.now, &mut server.input, &mut server.out).unwrap().unwrap();
    let super::super::Event::Head(head) = event else { panic!("{event:?}") };
    assert_eq!(head.fields, fields);

    for (name, value) in
        [("", "a"), ("a b", "a"), ("a:", "a"), ("a", "b\r\nc: d"), ("a", "\0"), ("a", "b\n"), ("\r", "")]
    {
        let mut head = get("http://h/").body(()).unwrap();
        head.extensions_mut().insert(OriginalFields([(name, value)].into_iter().collect()));
        assert_eq!(request(&head, TargetForm::Origin, Length::Empty), Err(Misuse::FieldInvalid), "{name:?}: {value:?}");
    }
}

#[test]
fn requests_of_http_10() {
    let head = |option: &str| get("http://h/").version(Version::HTTP_10).header("connection", option).body(()).unwrap();
    let written = request(&head("keep-alive"), TargetForm::Origin, Length::Known(1)).unwrap();
    assert_eq!(written, "GET / HTTP/1.0|Host: h|connection: keep-alive|Content-Length: 1||");
    let written = request(&head("x"), TargetForm::Origin, Length::Empty).unwrap();
    assert_eq!(written, "GET / HTTP/1.0|Host: h|connection: x||");
    assert_eq!(request(&head("x"), TargetForm::Origin, Length::Unknown), Err(Misuse::UnknownInHttp10));
}

const OLD: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const NEW: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
const CONNECT: &str = "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n";
const OLD_CONNECT: &str = "CONNECT h:1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const OLD_UPGRADE: &str = "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

#[test]
fn responses() {
    use Length::*;
    type Row<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], Length, Result<(&'a str, bool), Misuse>);
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        // request, status, fields, length, what is written and whether that is all
        (NEW,  200, &[("a", "b")],             Known(5), Ok(("200 OK|a: b|Content-Length: 5||", false))),
        (NEW,  200, &[],                       Known(0), Ok(("200 OK|Content-Length: 0||", true))),
        (NEW,  200, &[],                       Empty,    Ok(("200 OK|Content-Length: 0||", true))),
        (NEW,  200, &[],                       Unknown,  Ok(("200 OK|Transfer-Encoding: chunked||", false))),
        (NEW,  299, &[],                       Empty,    Ok(("299 |Content-Length: 0||", true))),
        (NEW,  200, &[("content-length", "5")], Known(5), Ok(("200 OK|content-length: 5||", false))),
        (NEW,  200, &[("content-length", "5")], Known(4), Err(Misuse::ContentLengthDisagrees)),
        (NEW,  200, &[("content-length", "5")], Unknown, Err(Misuse::ContentLengthDisagrees)),
        (NEW,  200, &[("content-length", "5")], Empty,   Err(Misuse::ContentLengthDisagrees)),
        (NEW,  200, &[("transfer-encoding", "x")], Empty, Err(Misuse::TransferEncodingSet)),
        (NEW,  200, &[("connection", "close")], Empty,   Ok(("200 OK|connection: close|Content-Length: 0||", true))),
        (NEW,  204, &[],                       Empty,    Ok(("204 No Content||", true))),
        (NEW,  204, &[],                       Known(0), Ok(("204 No Content||", true))),
        (NEW,  204, &[],                       Known(1), Err(Misuse::BodyForbidden)),
        (NEW,  204, &[],                       Unknown,  Err(Misuse::BodyForbidden)),
        (NEW,  204, &[("content-length", "0")], Empty,   Err(Misuse::BodyForbidden)),
        (NEW,  205, &[],                       Empty,    Ok(("205 Reset Content|Content-Length: 0||", true))),
        (NEW,  205, &[],                       Known(1), Err(Misuse::BodyForbidden)),
        (NEW,  205, &[],                       Unknown,  Err(Misuse::BodyForbidden)),
        (HEAD, 205, &[],                       Unknown,  Ok(("205 Reset Content|Transfer-Encoding: chunked||", true))),
        (OLD_CONNECT, 200, &[],                Empty,    Ok(("200 OK||", true))),
        (NEW,  304, &[],                       Empty,    Ok(("304 Not Modified||", true))),
        (NEW,  304, &[("content-length", "5")], Empty,   Ok(("304 Not Modified|content-length: 5||", true))),
        (NEW,  304, &[],                       Known(5), Ok(("304 Not Modified|Content-Length: 5||", true))),
        (NEW,  304, &[],                       Unknown,  Ok(("304 Not Modified||", true))),
        (HEAD, 200, &[],                       Empty,    Ok(("200 OK||", true))),
        (HEAD, 200, &[("content-length", "5")], Empty,   Ok(("200 OK|content-length: 5||", true))),
        (HEAD, 200, &[("content-length", "x")], Empty,   Err(Misuse::ContentLengthDisagrees)),
        (HEAD, 200, &[("content-length", "5")], Known(6), Err(Misuse::ContentLengthDisagrees)),
        (HEAD, 200, &[],                       Known(5), Ok(("200 OK|Content-Length: 5||", true))),
        (HEAD, 200, &[],                       Unknown,  Ok(("200 OK|Transfer-Encoding: chunked||", true))),
        (OLD,  200, &[],                       Known(5), Ok(("200 OK|Content-Length: 5|Connection: keep-alive||", false))),
        (OLD,  200, &[("connection", "Keep-Alive")], Empty, Ok(("200 OK|connection: Keep-Alive|Content-Length: 0||", true))),
        (OLD,  200, &[("connection", "close")], Empty,   Ok(("200 OK|connection: close|Content-Length: 0||", true))),
        (OLD,  200, &[],                       Unknown,  Ok(("200 OK|Connection: close||", false))),
        (NEW,  100, &[],                       Empty,    Err(Misuse::StatusInvalid)),
        (NEW,  101, &[],                       Empty,    Err(Misuse::UpgradeUnasked)),
        (OLD_UPGRADE, 101, &[],                Empty,    Err(Misuse::UpgradeUnasked)),
        (UPGRADE, 101, &[("upgrade", "x")],    Empty,    Ok(("101 Switching Protocols|upgrade: x||", true))),
        (UPGRADE, 101, &[],                    Unknown,  Err(Misuse::BodyForbidden)),
        (UPGRADE, 426, &[],                    Empty,    Ok(("426 Upgrade Required|Content-Length: 0||", true))),
        (CONNECT, 200, &[],                    Empty,    Ok(("200 OK||", true))),
        (CONNECT, 200, &[],                    Known(5), Err(Misuse::BodyForbidden)),
        (CONNECT, 200, &[("content-length", "0")], Empty, Err(Misuse::BodyForbidden)),
        (CONNECT, 502, &[],                    Known(1), Ok(("502 Bad Gateway|Content-Length: 1|Connection: close||", false))),
    ];
    for &(question, status, fields, length, expected) in table {
        let mut side = Side::new(Role::Server);
        side.feed(question.as_bytes()).unwrap();
        let mut head = Response::builder().status(status);
        for (name, value) in fields {
            head = head.header(*name, *value);
        }
        let case = format!("{question:?}: {status} {fields:?} {length:?}");
        let sent = side.connection.send_response(&head.body(()).unwrap(), length, &mut side.out);
        match expected {
            Ok((written, complete)) => {
                assert_eq!(sent, Ok(()), "{case}");
                assert_eq!(side.output().replace("\r\n", "|"), format!("HTTP/1.1 {written}"), "{case}");
                assert_eq!(side.connection.is_sent(), complete, "{case}");
            }
            Err(misuse) => {
                assert_eq!((sent, side.output()), (Err(misuse), ""), "{case}");
                side.respond(500, Length::Empty).unwrap();
            }
        }
    }
}

#[test]
fn original_fields_of_responses() {
    let mut side = Side::new(Role::Server);
    side.feed(NEW.as_bytes()).unwrap();
    let mut head = Response::builder().status(200).header("ignored", "x").body(()).unwrap();
    head.extensions_mut().insert(OriginalFields([("ETag", "a"), ("date", "b")].into_iter().collect()));
    side.connection.send_response(&head, Length::Known(1), &mut side.out).unwrap();
    assert_eq!(side.output(), "HTTP/1.1 200 OK\r\nETag: a\r\ndate: b\r\nContent-Length: 1\r\n\r\n");
}

#[test]
fn informational_responses() {
    let send = |question: &str, status: u16, field: Option<(&str, &str)>| {
        let mut side = Side::new(Role::Server);
        side.feed(question.as_bytes()).unwrap();
        let mut head = Response::builder().status(status);
        if let Some((name, value)) = field {
            head = head.header(name, value);
        }
        let sent = side.connection.send_informational(&head.body(()).unwrap(), &mut side.out);
        assert!(sent.is_ok() || side.out.is_empty());
        assert!(side.respond(200, Length::Empty).is_ok());
        sent.map(|()| side.output().split("HTTP/1.1 200").next().unwrap().replace("\r\n", "|"))
    };
    assert_eq!(send(NEW, 100, None).unwrap(), "HTTP/1.1 100 Continue||");
    assert_eq!(send(NEW, 103, Some(("link", "a"))).unwrap(), "HTTP/1.1 103 Early Hints|link: a||");
    assert_eq!(send(NEW, 101, None), Err(Misuse::StatusInvalid));
    assert_eq!(send(NEW, 200, None), Err(Misuse::StatusInvalid));
    assert_eq!(send(OLD, 100, None), Err(Misuse::InformationalToHttp10));
    assert_eq!(send(NEW, 103, Some(("content-length", "0"))), Err(Misuse::BodyForbidden));
    assert_eq!(send(NEW, 103, Some(("transfer-encoding", "chunked"))), Err(Misuse::TransferEncodingSet));
}

/// A server that has begun a response.
fn responding(question: &str, length: Length) -> Side {
    let mut side = Side::new(Role::Server);
    side.feed(question.as_bytes()).unwrap();
    side.respond(200, length).unwrap();
    side.out.clear();
    side
}

#[test]
fn data_of_known_length() {
    let mut side = responding(NEW, Length::Known(5));
    assert_eq!(side.send(b"", End::More), Ok(0));
    assert_eq!(side.send(b"he", End::More), Ok(2));
    assert_eq!(side.send(b"", End::Last), Err(Misuse::ShortOfLength { left: 3 }));
    assert_eq!(side.send(b"ll", End::Last), Err(Misuse::ShortOfLength { left: 1 }));
    assert_eq!(side.send(b"llo!", End::More), Err(Misuse::BeyondLength { left: 3, given: 4 }));
    assert_eq!(side.output(), "he");
    assert!(!side.connection.is_sent());
    let trailers = HeaderMap::new();
    assert_eq!(side.connection.send_trailers(&trailers, &mut side.out), Err(Misuse::TrailersNotChunked));
    assert_eq!(side.send(b"llo", End::More), Ok(3));
    assert!(side.connection.is_sent());
    assert_eq!(side.send(b"", End::Last), Ok(0));
    assert_eq!(side.send(b"!", End::Last), Err(Misuse::DataAfterEnd));
    assert_eq!(side.output(), "hello");

    for length in [Length::Empty, Length::Known(0)] {
        let mut side = responding(NEW, length);
        assert_eq!(side.send(b"x", End::More), Err(Misuse::DataAfterEnd));
        assert_eq!(side.send(b"", End::Last), Ok(0));
        assert!(side.output().is_empty());
    }
    let mut side = responding(HEAD, Length::Known(5));
    assert_eq!(side.send(b"hello", End::Last), Err(Misuse::DataAfterEnd));
}

#[test]
fn data_in_chunks() {
    let mut side = responding(NEW, Length::Unknown);
    assert_eq!(side.send(b"", End::More), Ok(0));
    for len in [1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65536] {
        side.out.clear();
        let data = vec![b'x'; len];
        assert_eq!(side.send(&data, End::More), Ok(len));
        assert_eq!(side.out, [format!("{len:x}\r\n").as_bytes(), &data, b"\r\n"].concat());
    }
    side.out.clear();
    assert_eq!(side.send(b"abc", End::Last), Ok(3));
    assert_eq!(side.output(), "3\r\nabc\r\n0\r\n\r\n");
    assert!(side.connection.is_sent() && side.connection.persists());
    assert_eq!(side.send(b"", End::Last), Ok(0));
    assert_eq!(side.output(), "3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(side.send(b"x", End::More), Err(Misuse::DataAfterEnd));
}

#[test]
fn data_until_the_end() {
    let mut side = responding(OLD, Length::Unknown);
    assert_eq!(side.send(b"abc", End::More), Ok(3));
    assert_eq!(side.send(b"def", End::Last), Ok(3));
    assert_eq!(side.output(), "abcdef");
    assert!(side.connection.is_sent() && !side.connection.persists());
    assert_eq!(side.connection.next_cycle(), Err(Misuse::NotPersistent));
    // There is no place for trailers.
    let mut side = responding(OLD, Length::Unknown);
    assert_eq!(side.send(b"abc", End::More), Ok(3));
    assert_eq!(side.connection.send_trailers(&HeaderMap::new(), &mut side.out), Ok(()));
    assert_eq!(side.output(), "abc");
    assert!(side.connection.is_sent() && !side.connection.persists());
}

#[test]
fn trailers() {
    let mut trailers = HeaderMap::new();
    trailers.append("digest", HeaderValue::from_static("x"));
    trailers.append("a", HeaderValue::from_static(""));
    let mut side = responding(NEW, Length::Unknown);
    side.send(b"abc", End::More).unwrap();
    for name in
        ["content-length", "transfer-encoding", "host", "authorization", "connection", "content-type", "trailer"]
    {
        let mut forbidden = trailers.clone();
        forbidden.insert(name, HeaderValue::from_static("1"));
        assert_eq!(side.connection.send_trailers(&forbidden, &mut side.out), Err(Misuse::TrailerForbidden), "{name}");
    }
    side.connection.send_trailers(&trailers, &mut side.out).unwrap();
    assert_eq!(side.output(), "3\r\nabc\r\n0\r\ndigest: x\r\na: \r\n\r\n");
    assert!(side.connection.is_sent());
    assert_eq!(side.connection.send_trailers(&trailers, &mut side.out), Err(Misuse::DataAfterEnd));
}
