//! What persists, who may do what when, and bodies that are read past the engine.

use super::{
    super::{Length, Misuse, TargetForm, Violation},
    support::Side,
};
use crate::proto::{End, Role};
use http::{HeaderMap, Request, Response};

#[test]
fn which_requests_persist() {
    #[rustfmt::skip]
    let table = [
        // version, Connection, persists, Connection of the response
        ("1.1", "",                       true,  ""),
        ("1.1", "keep-alive",             true,  ""),
        ("1.1", "close",                  false, "close"),
        ("1.1", "Close",                  false, "close"),
        ("1.1", "x , CLOSE,y",            false, "close"),
        ("1.1", "a\r\nConnection: close", false, "close"),
        ("1.1", "keep-alive, close",      false, "close"),
        ("1.1", "closed",                 true,  ""),
        ("1.0", "",                       false, "close"),
        ("1.0", "keep-alive",             true,  "keep-alive"),
        ("1.0", "Keep-Alive, close",      false, "close"),
    ];
    for (version, option, persists, answer) in table {
        let mut side = Side::new(Role::Server);
        let bytes = format!("GET / HTTP/{version}\r\nHost: h\r\nConnection: {option}\r\n\r\n");
        side.feed(bytes.as_bytes()).unwrap();
        assert_eq!(side.connection.persists(), persists, "{bytes:?}");
        side.respond(204, Length::Empty).unwrap();
        let line = if answer.is_empty() { String::new() } else { format!("Connection: {answer}\r\n") };
        assert_eq!(side.output(), format!("HTTP/1.1 204 No Content\r\n{line}\r\n"), "{bytes:?}");
        assert_eq!(side.connection.next_cycle().is_ok(), persists);
        assert_eq!(side.connection.persists(), persists);
    }
}

#[test]
fn which_responses_persist() {
    #[rustfmt::skip]
    let table = [
        ("1.1", "Content-Length: 0",                         true),
        ("1.1", "Content-Length: 0\r\nConnection: a, close", false),
        ("1.0", "Content-Length: 0",                         false),
        ("1.0", "Content-Length: 0\r\nConnection: a\r\nconnection: KEEP-ALIVE", true),
        ("1.1", "X: y",                                      false),
    ];
    for (version, field, persists) in table {
        let mut side = Side::client("GET");
        side.feed(format!("HTTP/{version} 200 OK\r\n{field}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(side.connection.persists(), persists, "{version} {field:?}");
    }
}

#[test]
fn which_requests_let_their_own_connection_persist() {
    #[rustfmt::skip]
    let table = [
        (http::Version::HTTP_11, "a",          true),
        (http::Version::HTTP_11, "a, Close",   false),
        (http::Version::HTTP_2,  "a",          true),
        (http::Version::HTTP_10, "a",          false),
        (http::Version::HTTP_10, "keep-alive", true),
    ];
    for (version, option, persists) in table {
        let mut side = Side::new(Role::Client);
        let head = Request::builder().uri("http://h/").version(version).header("connection", option).body(()).unwrap();
        side.connection.send_request(&head, TargetForm::Origin, Length::Empty, &mut side.out).unwrap();
        side.feed(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(side.connection.persists(), persists, "{version:?} {option}");
        assert_eq!(side.connection.next_cycle().err(), (!persists).then_some(Misuse::NotPersistent));
    }
}

#[test]
fn close_before_and_within_an_exchange() {
    let mut client = Side::new(Role::Client);
    client.connection.close(&mut client.out);
    client.ask("GET");
    assert_eq!(client.output(), "GET / HTTP/1.1\r\nHost: example.com:80\r\nConnection: close\r\n\r\n");
    client.feed(b"HTTP/1.1 204 OK\r\n\r\n").unwrap();
    assert_eq!(client.connection.next_cycle(), Err(Misuse::NotPersistent));

    let mut server = Side::new(Role::Server);
    server.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    server.connection.close(&mut server.out);
    server.respond(204, Length::Empty).unwrap();
    assert_eq!(server.output(), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_eq!(server.connection.next_cycle(), Err(Misuse::NotPersistent));

    let mut server = Side::new(Role::Server);
    server.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    server.respond(204, Length::Empty).unwrap();
    server.connection.close(&mut server.out);
    assert_eq!(server.output(), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(server.connection.next_cycle(), Err(Misuse::NotPersistent));
}

#[test]
fn a_response_before_the_upload_is_complete() {
    let mut side = Side::new(Role::Client);
    let head = Request::post("http://h/").body(()).unwrap();
    side.connection.send_request(&head, TargetForm::Origin, Length::Known(4), &mut side.out).unwrap();
    side.send(b"ab", End::More).unwrap();
    assert!(side.connection.persists());
    assert_eq!(side.feed(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n").unwrap().len(), 2);
    assert!(!side.connection.is_sent() && side.connection.is_received() && !side.connection.persists());
    assert_eq!(side.connection.next_cycle(), Err(Misuse::ExchangeOpen));
    side.send(b"cd", End::Last).unwrap();
    assert!(side.connection.is_sent() && side.connection.persists());
    assert_eq!(side.connection.next_cycle(), Ok(()));
}

#[test]
fn a_response_before_the_request_was_read() {
    let mut side = Side::new(Role::Server);
    side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab").unwrap();
    side.respond(200, Length::Empty).unwrap();
    assert!(side.connection.is_sent() && !side.connection.is_received() && !side.connection.persists());
    assert_eq!(side.connection.next_cycle(), Err(Misuse::ExchangeOpen));
    assert_eq!(side.feed(b"cdGET"), Ok(vec!["+cd".into(), "ended".into()]));
    assert!(side.connection.persists());
    side.connection.next_cycle().unwrap();
    assert_eq!(side.input.peek(), b"GET");
}

#[test]
fn a_violation_after_the_final_head_is_not_answered() {
    let mut side = Side::new(Role::Server);
    side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    side.respond(200, Length::Known(3)).unwrap();
    side.out.clear();
    assert_eq!(side.feed(b"x"), Err(Violation::ChunkSizeInvalid));
    assert!(side.out.is_empty());
    assert_eq!(side.send(b"abc", End::Last), Err(Misuse::Over));

    // A 1xx is no final head.
    let mut side = Side::new(Role::Server);
    side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let head = Response::builder().status(100).body(()).unwrap();
    side.connection.send_informational(&head, &mut side.out).unwrap();
    side.out.clear();
    assert_eq!(side.feed(b"x"), Err(Violation::ChunkSizeInvalid));
    assert_eq!(side.output(), "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(side.respond(200, Length::Empty), Err(Misuse::Over));

    // In the second exchange the first one's head does not count.
    let mut side = Side::new(Role::Server);
    side.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    side.respond(204, Length::Empty).unwrap();
    side.connection.next_cycle().unwrap();
    side.out.clear();
    assert_eq!(side.feed(b"?\r\n"), Err(Violation::NotHttp));
    assert!(side.output().starts_with("HTTP/1.1 400 "));
}

#[test]
fn who_waits_for_100() {
    #[rustfmt::skip]
    let table = [
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: x, 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", false),
        ("POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n", false),
    ];
    for (bytes, waits) in table {
        let server = || {
            let mut side = Side::new(Role::Server);
            side.input.extend(bytes.as_bytes());
            side.poll().unwrap();
            assert_eq!(side.connection.wants_continue(), waits, "{bytes:?}");
            side
        };
        let mut side = server();
        side.respond(417, Length::Empty).unwrap();
        assert!(!side.connection.wants_continue());

        let mut side = server();
        let head = |status: u16| Response::builder().status(status).body(()).unwrap();
        let modern = side.connection.send_informational(&head(103), &mut side.out).is_ok();
        assert_eq!(side.connection.wants_continue(), waits);
        assert_eq!(side.connection.send_informational(&head(100), &mut side.out).is_ok(), modern);
        assert!(!side.connection.wants_continue());

        let mut side = server();
        side.feed(if bytes.contains("chunked") { b"1\r\nx" } else { b"x" }).unwrap_or_default();
        assert!(!side.connection.wants_continue());

        let mut side = server();
        if let Some(n) = side.connection.expects() {
            side.connection.took(n.min(1));
            assert!(!side.connection.wants_continue());
        }
    }
}

#[test]
fn bodies_read_past_the_engine() {
    // Content-Length
    let mut side = Side::client("GET");
    side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab").unwrap();
    assert_eq!(side.connection.expects(), Some(8));
    side.connection.took(0);
    side.connection.took(5);
    assert_eq!(side.connection.expects(), Some(3));
    assert_eq!(side.feed(b"x"), Ok(vec!["+x".into()]));
    side.connection.took(2);
    assert_eq!(side.connection.expects(), None);
    assert!(!side.connection.is_received());
    assert_eq!(side.poll(), Ok(Some("ended".into())));
    assert_eq!(side.poll(), Ok(None));
    assert!(side.connection.is_received());

    // chunks
    let mut side = Side::client("GET");
    side.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n").unwrap();
    assert_eq!(side.connection.expects(), Some(5));
    side.connection.took(2);
    assert_eq!(side.connection.expects(), Some(3));
    side.connection.took(3);
    assert_eq!(side.connection.expects(), None);
    assert_eq!(side.feed(b"\r\n1\r\nx"), Ok(vec!["+x".into()]));
    assert_eq!(side.feed(b"\r\n0\r\n\r\n"), Ok(vec!["ended".into()]));

    // until the end
    let mut side = Side::client("GET");
    side.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    assert_eq!(side.connection.expects(), Some(u64::MAX));
    side.connection.took(1 << 40);
    assert_eq!(side.connection.expects(), Some(u64::MAX));
    assert_eq!(side.end_of_input(), Ok(Some("ended".into())));
    assert!(side.connection.is_received() && !side.connection.persists());

    // no body
    assert_eq!(Side::client("GET").connection.expects(), None);
    assert_eq!(Side::new(Role::Server).connection.expects(), None);
}

#[test]
#[should_panic(expected = "no more payload taken than expected")]
fn more_taken_than_expected() {
    let mut side = Side::client("GET");
    side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap();
    side.connection.took(4);
}

#[test]
fn a_server_switches_when_the_request_has_ended() {
    let mut side = Side::new(Role::Server);
    let head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n";
    side.feed(head.as_bytes()).unwrap();
    assert!(side.connection.offers_upgrade());
    let head = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "x").body(()).unwrap();
    side.connection.send_response(&head, Length::Empty, &mut side.out).unwrap();
    assert_eq!(side.output(), "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert!(side.connection.is_sent() && !side.connection.persists());
    assert_eq!(side.feed(b"abGET / raw"), Ok(vec!["+ab".into(), "ended".into(), "upgraded".into()]));
    assert_eq!(side.input.peek(), b"GET / raw");
    assert_eq!(side.poll(), Ok(None));
    assert_eq!(side.connection.next_cycle(), Err(Misuse::Over));
    assert_eq!(side.end_of_input(), Ok(None));
}

#[test]
fn requests_before_the_end_of_the_connection_are_answered() {
    let mut side = Side::new(Role::Server);
    let two = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(side.feed(two).unwrap().len(), 2);
    assert_eq!(side.end_of_input(), Ok(None));
    side.respond(204, Length::Empty).unwrap();
    side.connection.next_cycle().unwrap();
    assert_eq!(side.feed(b"").unwrap().len(), 2);
    assert_eq!(side.end_of_input(), Ok(None));
    side.respond(204, Length::Empty).unwrap();
    assert!(side.output().ends_with("Connection: close\r\n\r\n"));
    assert_eq!(side.connection.next_cycle(), Err(Misuse::NotPersistent));
}

/// Every command in every state of a client, and of a server.
#[test]
fn every_command_meets_every_state() {
    use Misuse::*;
    type Check = (&'static str, fn() -> Side, [Option<Misuse>; 6]);
    #[rustfmt::skip]
    let table: [Check; 14] = [
        // state, how it is reached, send_request, send_response, send_informational, send_data, send_trailers, next_cycle
        ("client, idle", || Side::new(Role::Client),
            [None, Some(WrongRole), Some(WrongRole), Some(NoHead), Some(NoHead), Some(ExchangeOpen)]),
        ("client, sending", || { let mut side = Side::new(Role::Client);
            let head = Request::post("http://h/").body(()).unwrap();
            side.connection.send_request(&head, TargetForm::Origin, Length::Unknown, &mut side.out).unwrap(); side },
            [Some(ExchangeOpen), Some(WrongRole), Some(WrongRole), None, None, Some(ExchangeOpen)]),
        ("client, sent", || Side::client("GET"),
            [Some(ExchangeOpen), Some(WrongRole), Some(WrongRole), Some(DataAfterEnd), Some(DataAfterEnd), Some(ExchangeOpen)]),
        ("client, receiving", || { let mut side = Side::client("GET"); side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n").unwrap(); side },
            [Some(ExchangeOpen), Some(WrongRole), Some(WrongRole), Some(DataAfterEnd), Some(DataAfterEnd), Some(ExchangeOpen)]),
        ("client, received", || { let mut side = Side::client("GET"); side.feed(b"HTTP/1.1 204 OK\r\n\r\n").unwrap(); side },
            [Some(ExchangeOpen), Some(WrongRole), Some(WrongRole), Some(DataAfterEnd), Some(DataAfterEnd), None]),
        ("client, switched", || { let mut side = Side::client("CONNECT"); side.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(); side },
            [Some(ExchangeOpen), Some(WrongRole), Some(WrongRole), Some(DataAfterEnd), Some(DataAfterEnd), Some(Over)]),
        ("client, failed", || { let mut side = Side::client("GET"); side.feed(b"x").unwrap_err(); side },
            [Some(Over), Some(WrongRole), Some(WrongRole), Some(Over), Some(Over), Some(Over)]),
        ("client, closed", || { let mut side = Side::new(Role::Client); side.end_of_input().unwrap(); side },
            [Some(Over), Some(WrongRole), Some(WrongRole), Some(Over), Some(Over), Some(Over)]),
        ("server, idle", || Side::new(Role::Server),
            [Some(WrongRole), Some(NoRequest), Some(NoRequest), Some(NoHead), Some(NoHead), Some(ExchangeOpen)]),
        ("server, half a head", || { let mut side = Side::new(Role::Server); side.feed(b"GET / HTTP/1.1\r\nHost").unwrap(); side },
            [Some(WrongRole), Some(NoRequest), Some(NoRequest), Some(NoHead), Some(NoHead), Some(ExchangeOpen)]),
        ("server, asked", || { let mut side = Side::new(Role::Server); side.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap(); side },
            [Some(WrongRole), None, None, Some(NoHead), Some(NoHead), Some(ExchangeOpen)]),
        ("server, answering", || { let mut side = Side::new(Role::Server); side.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            side.respond(200, Length::Unknown).unwrap(); side },
            [Some(WrongRole), Some(ExchangeOpen), Some(ExchangeOpen), None, None, Some(ExchangeOpen)]),
        ("server, answered", || { let mut side = Side::new(Role::Server); side.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            side.respond(200, Length::Empty).unwrap(); side },
            [Some(WrongRole), Some(ExchangeOpen), Some(ExchangeOpen), Some(DataAfterEnd), Some(DataAfterEnd), None]),
        ("server, failed", || { let mut side = Side::new(Role::Server); side.feed(b"\0").unwrap_err(); side },
            [Some(WrongRole), Some(Over), Some(Over), Some(Over), Some(Over), Some(Over)]),
    ];
    let request = Request::get("http://h/").body(()).unwrap();
    let response = |status: u16| Response::builder().status(status).body(()).unwrap();
    for (state, side, expected) in table {
        for (command, expected) in expected.into_iter().enumerate() {
            let mut side = side();
            let (before, out) = (format!("{:?}", side.connection), side.out.clone());
            let (connection, buffer) = (&mut side.connection, &mut side.out);
            let done = match command {
                0 => connection.send_request(&request, TargetForm::Origin, Length::Empty, buffer),
                1 => connection.send_response(&response(200), Length::Empty, buffer),
                2 => connection.send_informational(&response(103), buffer),
                3 => connection.send_data(b"x", End::More, buffer).map(|n| assert_eq!(n, 1)),
                4 => connection.send_trailers(&HeaderMap::new(), buffer),
                _ => connection.next_cycle(),
            };
            assert_eq!(done.err(), expected, "{state}, command {command}");
            if expected.is_some() {
                assert_eq!(format!("{:?}", side.connection), before, "{state}, command {command} changed something");
                assert_eq!(side.out, out, "{state}, command {command} wrote something");
            }
        }
    }
}

#[test]
fn there_are_no_timers() {
    let mut side = Side::client("GET");
    assert_eq!(side.connection.deadline(), None);
    assert_eq!(side.connection.handle_deadline(side.now, &mut side.out), Ok(()));
}

#[test]
fn how_much_of_a_request_keeps_the_connection_waiting() {
    #[rustfmt::skip]
    let table = [
        ("Content-Length: 5\r\n\r\n", Some(5)),
        ("Content-Length: 5\r\n\r\nabc", Some(2)),
        ("Content-Length: 5\r\n\r\nabcde", Some(0)),
        ("\r\n", Some(0)),
        ("Content-Length: 5\r\nConnection: close\r\n\r\n", None),
        ("Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", None),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nabc", None),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Some(0)),
    ];
    for (bytes, rest) in table {
        let mut side = Side::new(Role::Server);
        assert_eq!(side.connection.rest(), None, "no request");
        side.feed(format!("POST / HTTP/1.1\r\nHost: h\r\n{bytes}").as_bytes()).unwrap();
        assert_eq!(side.connection.rest(), rest, "{bytes:?}");
        side.respond(200, Length::Empty).unwrap();
        assert_eq!(side.connection.rest(), rest, "{bytes:?}, answered");
        side.connection.close(&mut side.out);
        assert_eq!(side.connection.rest(), None, "{bytes:?}, closed");
    }
}
