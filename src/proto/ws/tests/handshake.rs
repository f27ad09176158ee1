//! The handshake: what is asked, what is answered, what is refused.

use super::*;
use crate::proto::ws::{
    Agreed, Context, Deflate, Direction, Misuse, Offer, Refusal, WindowBits, accept,
    extension::{self, Invalid},
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};

/// The nonce of RFC 6455, section 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";
const KEY_TEXT: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT_TEXT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn uri() -> Uri {
    Uri::from_static("http://server.example.com/chat")
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, value.parse().expect("a value"));
    }
    map
}

fn request(lines: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = headers(lines);
    request
}

fn response(status: u16, lines: &[(&'static str, &'static str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    *response.headers_mut() = headers(lines);
    response
}

#[test]
fn the_example_of_the_rfc() {
    let offer = Offer::new(NONCE, &["chat", "superchat"], &config()).expect("tokens");
    let request = offer.request(&uri());
    assert_eq!((request.method(), request.version()), (&Method::GET, Version::HTTP_11));
    assert_eq!(request.uri(), &uri());
    assert_eq!(request.headers()[header::SEC_WEBSOCKET_KEY], KEY_TEXT);
    assert_eq!(request.headers()[header::SEC_WEBSOCKET_PROTOCOL], "chat, superchat");
    assert_eq!(request.headers()[header::SEC_WEBSOCKET_VERSION], "13");
    assert_eq!(request.headers()[header::UPGRADE], "websocket");
    assert_eq!(request.headers()[header::CONNECTION], "Upgrade");

    let (response, agreed) = accept(&request, &["nothing", "chat"], &config()).expect("a good request");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], ACCEPT_TEXT);
    assert_eq!(agreed, Agreed { subprotocol: Some("chat".to_owned()), deflate: None });
    assert_eq!(offer.check(&response), Ok(agreed));

    let (response, agreed) = accept(&request, &[], &config()).expect("a good request");
    assert_eq!(agreed, Agreed::default());
    assert_eq!(offer.check(&response), Ok(agreed));
}

#[test]
fn over_http2_there_is_no_key() {
    let offer = Offer::new(NONCE, &["chat"], &config()).expect("tokens");
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::CONNECT;
    offer.add_to(request.headers_mut(), Version::HTTP_2);
    assert_eq!(request.headers().len(), 2);
    let (response, agreed) = accept(&request, &["chat"], &config()).expect("a good request");
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(offer.check(&response), Ok(agreed));

    let mut refused = Response::new(());
    (*refused.version_mut(), *refused.status_mut()) = (Version::HTTP_2, StatusCode::NOT_FOUND);
    assert_eq!(offer.check(&refused), Err(Refusal::Status(StatusCode::NOT_FOUND)));
    *request.method_mut() = Method::GET;
    assert_eq!(accept(&request, &[], &config()).unwrap_err(), Refusal::MethodInvalid);
}

#[test]
fn requests_that_are_refused() {
    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", KEY_TEXT),
        ("sec-websocket-version", "13"),
    ];
    assert!(accept(&request(&GOOD), &[], &config()).is_ok());
    #[rustfmt::skip]
    let table: &[(&str, &[&str], Refusal, u16)] = &[
        ("connection", &[], Refusal::ConnectionMissing, 426),
        ("connection", &["keep-alive"], Refusal::ConnectionMissing, 426),
        ("connection", &["upgraded"], Refusal::ConnectionMissing, 426),
        ("upgrade", &[], Refusal::UpgradeMissing, 426),
        ("upgrade", &["h2c"], Refusal::UpgradeMissing, 426),
        ("sec-websocket-key", &[], Refusal::KeyInvalid, 400),
        ("sec-websocket-key", &["short"], Refusal::KeyInvalid, 400),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"], Refusal::KeyInvalid, 400),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZWQ="], Refusal::KeyInvalid, 400),
        ("sec-websocket-key", &[KEY_TEXT, KEY_TEXT], Refusal::KeyInvalid, 400),
        ("sec-websocket-version", &[], Refusal::VersionUnsupported, 426),
        ("sec-websocket-version", &["8"], Refusal::VersionUnsupported, 426),
        ("sec-websocket-version", &["13, 8"], Refusal::VersionUnsupported, 426),
    ];
    for (name, values, refusal, status) in table {
        let mut lines: Vec<_> = GOOD.into_iter().filter(|(good, _)| good != name).collect();
        lines.extend(values.iter().map(|value| (*name, *value)));
        assert_eq!(accept(&request(&lines), &[], &config()).unwrap_err(), *refusal, "{name} {values:?}");
        let response = refusal.response(Version::HTTP_11);
        assert_eq!(response.status(), *status);
        // A 426 says to what (RFC 9110, section 15.5.22), and in which version (RFC 6455, section 4.4).
        for said in ["upgrade", "sec-websocket-version"] {
            assert_eq!(response.headers().contains_key(said), *status == 426, "{refusal:?}");
        }
        let response = refusal.response(Version::HTTP_2);
        assert_eq!((response.status(), response.headers().contains_key("upgrade")), (StatusCode::BAD_REQUEST, false));
        assert_eq!(response.headers().contains_key("sec-websocket-version"), *status == 426, "{refusal:?}");
    }
    // Another version is told of, though its key looks otherwise.
    assert_eq!(accept(&request(&GOOD[..2]), &[], &config()).unwrap_err(), Refusal::VersionUnsupported);
    // What follows the head would be taken for frames.
    for (name, value, refused) in
        [("content-length", "0", false), ("content-length", "5", true), ("transfer-encoding", "chunked", true)]
    {
        let lines: Vec<_> = GOOD.into_iter().chain([(name, value)]).collect();
        let refusal = accept(&request(&lines), &[], &config()).err();
        assert_eq!(refusal, refused.then_some(Refusal::ContentUnexpected), "{name}: {value}");
    }
    assert_eq!(Refusal::ContentUnexpected.response(Version::HTTP_11).status(), 400);
    assert_eq!(Refusal::VersionUnsupported.response(Version::HTTP_11).headers()["sec-websocket-version"], "13");

    let mut post = request(&GOOD);
    *post.method_mut() = Method::POST;
    assert_eq!(accept(&post, &[], &config()).unwrap_err(), Refusal::MethodInvalid);
    assert_eq!(Refusal::MethodInvalid.response(Version::HTTP_11).status(), 405);
    let mut old = request(&GOOD);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(accept(&old, &[], &config()).unwrap_err(), Refusal::HttpVersion);

    // Fields in several lines are one list.
    let split = [
        GOOD[1],
        GOOD[2],
        GOOD[3],
        ("connection", "x"),
        ("connection", "upgrade"),
        ("sec-websocket-protocol", "a"),
        ("sec-websocket-protocol", "b ,c"),
    ];
    let (_, agreed) = accept(&request(&split), &["c", "a"], &config()).expect("a good request");
    assert_eq!(agreed.subprotocol.as_deref(), Some("c"));
}

#[test]
fn responses_that_do_not_agree() {
    const GOOD: [(&str, &str); 3] =
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT_TEXT)];
    let offer = Offer::new(NONCE, &["chat", "v2"], &config()).expect("tokens");
    assert_eq!(offer.check(&response(101, &GOOD)), Ok(Agreed::default()));
    #[rustfmt::skip]
    let table: &[(&str, &[&str], Refusal)] = &[
        ("connection", &[], Refusal::ConnectionMissing),
        ("connection", &["close"], Refusal::ConnectionMissing),
        ("upgrade", &[], Refusal::UpgradeMissing),
        ("upgrade", &["websockets"], Refusal::UpgradeMissing),
        ("sec-websocket-accept", &[], Refusal::AcceptMissing),
        ("sec-websocket-accept", &[ACCEPT_TEXT, ACCEPT_TEXT], Refusal::AcceptMissing),
        ("sec-websocket-accept", &["s3pplmbitxaq9kygzzhzrbk+xoo="], Refusal::AcceptWrong),
        ("sec-websocket-accept", &[KEY_TEXT], Refusal::AcceptWrong),
        ("sec-websocket-protocol", &["other"], Refusal::SubprotocolUnoffered),
        ("sec-websocket-protocol", &["Chat"], Refusal::SubprotocolUnoffered),
        ("sec-websocket-protocol", &[""], Refusal::SubprotocolUnoffered),
        ("sec-websocket-protocol", &["chat, v2"], Refusal::SubprotocolUnoffered),
        ("sec-websocket-protocol", &["chat", "v2"], Refusal::SubprotocolUnoffered),
        ("sec-websocket-extensions", &["permessage-deflate"], Refusal::ExtensionInvalid),
        ("sec-websocket-extensions", &["x-other"], Refusal::ExtensionInvalid),
        ("sec-websocket-extensions", &["a;"], Refusal::ExtensionInvalid),
    ];
    for (name, values, refusal) in table {
        let mut lines: Vec<_> = GOOD.into_iter().filter(|(good, _)| good != name).collect();
        lines.extend(values.iter().map(|value| (*name, *value)));
        assert_eq!(offer.check(&response(101, &lines)), Err(*refusal), "{name} {values:?}");
        assert!(!refusal.to_string().is_empty());
    }
    let mut old = response(101, &GOOD);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(offer.check(&old), Err(Refusal::HttpVersion));
    for status in [200, 401, 302, 503] {
        let refusal = Refusal::Status(StatusCode::from_u16(status).expect("a status"));
        assert_eq!(offer.check(&response(status, &GOOD)), Err(refusal));
    }
    let lines = [&GOOD[..], &[("sec-websocket-protocol", "v2"), ("sec-websocket-extensions", "")]].concat();
    assert_eq!(offer.check(&response(101, &lines)).expect("agreed").subprotocol.as_deref(), Some("v2"));
}

#[test]
fn subprotocols_are_tokens_named_once() {
    for names in [&[""][..], &["a b"], &["a,b"], &["a", "b", "a"], &["é"]] {
        assert_eq!(Offer::new(NONCE, names, &config()).unwrap_err(), Misuse::SubprotocolInvalid, "{names:?}");
    }
}

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

fn direction(context: Context, window: u8) -> Direction {
    Direction { context, window: bits(window) }
}

use Context::{Kept, Reset};

#[test]
fn window_bits() {
    assert_eq!((0..=255).filter(|b| WindowBits::new(*b).is_some()).collect::<Vec<_>>(), (8..=15).collect::<Vec<_>>());
    assert_eq!((bits(8), bits(15)), (WindowBits::MIN, WindowBits::MAX));
}

#[test]
fn offers_of_a_client() {
    let table = [
        ((Kept, 15), (Kept, 15), "permessage-deflate; client_max_window_bits"),
        ((Kept, 10), (Kept, 15), "permessage-deflate; client_max_window_bits=10"),
        (
            (Reset, 15),
            (Kept, 9),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
        ),
        ((Kept, 8), (Reset, 15), "permessage-deflate; server_no_context_takeover; client_max_window_bits=8"),
    ];
    for (client, server, expected) in table {
        let wanted = Params { client: direction(client.0, client.1), server: direction(server.0, server.1) };
        assert_eq!(extension::offer(&Deflate::from_bytes(0).params(wanted)), expected);
    }
}

fn parse(value: &str) -> Result<Vec<extension::Extension>, Invalid> {
    let mut list = Vec::new();
    extension::parse(value, &mut list).map(|()| list)
}

#[test]
fn the_grammar_of_extensions() {
    for (value, expected) in [
        ("", Some(0)),
        (" , ,", Some(0)),
        ("a", Some(1)),
        ("a,b", Some(2)),
        ("a , b;c ;d=e ; f = \"g\",", Some(2)),
        ("a; b=\"\\c\"", Some(1)),
        ("a b", None),
        ("a;", None),
        ("a;;b", None),
        ("a; b=", None),
        ("a; b=\"c", None),
        ("a; b=\"c d\"", None),
        ("a; b=\"\"", None),
        ("a; b=\"c\\", None),
        (";a", None),
        ("a=b", None),
        ("é", None),
    ] {
        assert_eq!(parse(value).ok().map(|list| list.len()), expected, "{value}");
    }
}

/// What a server answers to an offer (RFC 7692, section 7.1).
#[test]
fn answers_of_a_server() {
    let free = Params::default();
    let strict = Params { client: direction(Reset, 10), server: direction(Reset, 11) };
    let both = |client, server| Some(Params { client, server });
    let (kept, reset) = (direction(Kept, 15), direction(Reset, 15));
    #[rustfmt::skip]
    let table = [
        ("permessage-deflate", free, both(kept, kept), "permessage-deflate"),
        ("x-other, permessage-deflate; client_max_window_bits", free, both(kept, kept), "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=12", free, both(direction(Kept, 12), kept), "permessage-deflate; client_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=\"15\"", free, both(kept, kept), "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", free, both(kept, direction(Kept, 8)), "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; server_no_context_takeover", free, both(kept, reset), "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", free, both(reset, kept), "permessage-deflate; client_no_context_takeover"),
        // an offer that cannot be understood is passed over for the next one
        ("permessage-deflate; server_max_window_bits=16, permessage-deflate", free, both(kept, kept), "permessage-deflate"),
        ("permessage-deflate; unknown", free, None, ""),
        ("permessage-deflate; server_max_window_bits", free, None, ""),
        ("permessage-deflate; server_max_window_bits=7", free, None, ""),
        ("permessage-deflate; server_max_window_bits=08", free, None, ""),
        ("permessage-deflate; client_max_window_bits=16", free, None, ""),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", free, None, ""),
        ("permessage-deflate; server_no_context_takeover=1", free, None, ""),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", free, None, ""),
        ("x-webkit-deflate-frame", free, None, ""),
        ("", free, None, ""),
        // a server that wants less
        ("permessage-deflate", strict, both(reset, direction(Reset, 11)), "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"),
        ("permessage-deflate; client_max_window_bits; server_max_window_bits=13", strict, both(direction(Reset, 10), direction(Reset, 11)), "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", strict, both(direction(Reset, 9), direction(Reset, 9)), "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9"),
    ];
    for (offer, wanted, params, text) in table {
        let offers = parse(offer).expect("the grammar is kept");
        let answer = extension::answer(&offers, &Deflate::from_bytes(0).params(wanted));
        assert_eq!(answer, params.map(|params| (params, text.to_owned())), "{offer}");
    }
}

/// What a client makes of an answer (RFC 7692, section 7.1).
#[test]
fn answers_to_a_client() {
    let free = Params::default();
    let strict = Params { client: direction(Reset, 10), server: direction(Reset, 11) };
    let both = |client, server| Ok(Some(Params { client, server }));
    let kept = direction(Kept, 15);
    #[rustfmt::skip]
    let table = [
        ("", Some(free), Ok(None)),
        ("", None, Ok(None)),
        ("permessage-deflate", None, Err(Invalid)),
        ("permessage-deflate", Some(free), both(kept, kept)),
        ("permessage-deflate; server_no_context_takeover", Some(free), both(kept, direction(Reset, 15))),
        ("permessage-deflate; client_no_context_takeover", Some(free), both(direction(Reset, 15), kept)),
        ("permessage-deflate; client_max_window_bits=9", Some(free), both(direction(Kept, 9), kept)),
        ("permessage-deflate; server_max_window_bits=10", Some(free), both(kept, direction(Kept, 10))),
        ("permessage-deflate; client_max_window_bits", Some(free), Err(Invalid)),
        ("permessage-deflate; client_max_window_bits=16", Some(free), Err(Invalid)),
        ("permessage-deflate; unknown=1", Some(free), Err(Invalid)),
        ("permessage-deflate, permessage-deflate", Some(free), Err(Invalid)),
        ("permessage-deflate, x-other", Some(free), Err(Invalid)),
        ("x-other", Some(free), Err(Invalid)),
        // what was asked for has to be granted
        ("permessage-deflate", Some(strict), Err(Invalid)),
        ("permessage-deflate; server_no_context_takeover", Some(strict), Err(Invalid)),
        ("permessage-deflate; server_max_window_bits=11", Some(strict), Err(Invalid)),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=12", Some(strict), Err(Invalid)),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=11", Some(strict), both(direction(Reset, 10), direction(Reset, 11))),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10", Some(strict), both(direction(Reset, 10), direction(Reset, 9))),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=11", Some(strict), Err(Invalid)),
    ];
    for (answer, wanted, expected) in table {
        let answers = parse(answer).expect("the grammar is kept");
        let deflate = wanted.map(|wanted| Deflate::from_bytes(0).params(wanted));
        assert_eq!(extension::check(&answers, deflate.as_ref()), expected, "{answer}");
    }
}

/// Whatever two ends want of each other, they agree on the same.
#[test]
fn both_ends_agree_on_the_same() {
    let directions: Vec<_> =
        [Kept, Reset].into_iter().flat_map(|context| [8, 9, 12, 15].map(|window| direction(context, window))).collect();
    let all: Vec<_> = directions
        .iter()
        .flat_map(|client| directions.iter().map(|server| Params { client: *client, server: *server }))
        .collect();
    for client in &all {
        for server in &all {
            let offers = parse(&extension::offer(&Deflate::from_bytes(0).params(*client))).expect("our own");
            let (agreed, text) =
                extension::answer(&offers, &Deflate::from_bytes(0).params(*server)).expect("understood");
            let answers = parse(&text).expect("our own");
            let checked = extension::check(&answers, Some(&Deflate::from_bytes(0).params(*client)));
            assert_eq!(checked, Ok(Some(agreed)), "{client:?}, {server:?}");
        }
    }
}
