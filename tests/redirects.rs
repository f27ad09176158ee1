//! Redirects: what becomes of method, body and headers, and what is not followed.

mod support;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use bowline::{
    Attempt, Body, Client, Deadline, Error, ErrorKind, Hook, Phase, Processed, Redirects, Response, Verdict,
    http::{HeaderValue, Method, Request},
    net::{Connect, Target, Tcp, Wire},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};
use support::{Conn, Pattern, Peer, Req, builder, client, peer};

/// A peer that redirects what it is told to, and answers the rest; it writes down what it was asked.
struct Moving {
    peer: Peer,
    asked: Arc<Mutex<Vec<Req>>>,
}

/// `/status/path` is redirected to the path, or to what the header `x-to` says; everything else is answered.
fn moving() -> Moving {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            list.lock().unwrap().push(request.clone());
            let status = request.target.get(1..4).and_then(|s| s.parse::<u16>().ok());
            let body = if request.method == "HEAD" { "" } else { "moved" };
            match (status, request.header("x-to")) {
                (Some(status), to) => redirect(&mut conn, status, to.unwrap_or(&request.target[4..]), body),
                (None, _) => conn.answer(if request.method == "HEAD" { "" } else { "here" }),
            }
        }
    });
    Moving { peer, asked }
}

fn redirect(conn: &mut Conn, status: u16, to: &str, body: &str) {
    conn.say(format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 5\r\n\r\n{body}"));
}

impl Moving {
    fn url(&self, path: &str) -> String {
        self.peer.url(path)
    }

    fn asked(&self) -> Vec<Req> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[test]
fn methods_and_bodies() {
    let moving = moving();
    let client = client();
    for status in [301, 302, 303, 307, 308] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let request = client.request(method.clone(), moving.url(&format!("/{status}/there"))).body("body");
            let response = request.header("content-language", "en").send().unwrap();
            let case = format!("{status} {method}");
            assert_eq!(response.url(), moving.url("/there").as_str(), "{case}");
            assert_eq!(response.text().unwrap(), "here", "{case}");
            let asked = moving.asked();
            let changes = status == 303 || matches!(status, 301 | 302) && method == Method::POST;
            assert_eq!(asked.len(), 2, "{case}");
            assert_eq!(asked[0].body, b"body", "{case}");
            assert_eq!(asked[1].target, "/there", "{case}");
            if changes {
                assert_eq!((asked[1].method.as_str(), asked[1].body.len()), ("GET", 0), "{case}");
                for name in ["content-length", "content-type", "content-language", "transfer-encoding"] {
                    assert_eq!(asked[1].header(name), None, "{case}");
                }
            } else {
                assert_eq!((asked[1].method.as_str(), &asked[1].body[..]), (method.as_str(), &b"body"[..]), "{case}");
                assert_eq!(asked[1].header("content-type"), asked[0].header("content-type"), "{case}");
                assert_eq!(asked[1].header("content-language"), Some("en"), "{case}");
            }
        }
        assert_eq!(client.head(moving.url(&format!("/{status}/there"))).send().unwrap().status(), 200);
        assert!(moving.asked().iter().all(|r| r.method == "HEAD"), "{status}");
    }
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn what_was_acted_on_before_the_redirect_counts() {
    let moving = moving();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{refused}/");
    for (status, method, processed) in [
        (302, Method::GET, Processed::No),
        (303, Method::PUT, Processed::No),
        (307, Method::POST, Processed::No),
        (308, Method::POST, Processed::No),
        (301, Method::POST, Processed::Yes),
        (303, Method::POST, Processed::Yes),
    ] {
        let request = client().request(method.clone(), moving.url(&format!("/{status}/")));
        let e = request.header("x-to", &away).send().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Connect, "{status} {method}");
        assert_eq!((e.processed(), e.is_retryable()), (processed, processed == Processed::No), "{status} {method}");
    }
    // A redirect behind it takes nothing back.
    let e = client().post(moving.url(&format!("/303/302{away}"))).send().unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Connect, Processed::Yes));
}

#[test]
fn the_history_is_oldest_first() {
    let moving = moving();
    let client = client();
    let response = client.get(moving.url("/301/302/307/end?q#f")).send().unwrap();
    let history: Vec<_> = response.history().iter().map(|(s, u)| (s.as_u16(), u.to_string())).collect();
    let expected = [(301, "/301/302/307/end?q"), (302, "/302/307/end?q"), (307, "/307/end?q")];
    assert_eq!(history, expected.map(|(status, path)| (status, moving.url(path))));
    assert_eq!(response.url(), moving.url("/end?q").as_str());
    let stats = client.stats();
    assert_eq!((stats.requests, stats.redirects, stats.retries, stats.in_flight), (1, 3, 0, 1));
    assert_eq!(stats.opened, 1, "a short body is read away");
    drop(response);
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn locations_are_resolved() {
    let moving = moving();
    let client = client();
    for (from, to, expected) in [
        ("/302/a/b?c", "d", "/302/a/d"),
        ("/302/a/b?c", "?d", "/302/a/b?d"),
        ("/302/a/b?c", "../d/./e", "/302/d/e"),
        ("/302/a/b?c", "/d?e#f", "/d?e"),
        ("/302/a/b?c", "/%41 b\"c", "/%41%20b%22c"),
        ("/302/a/b?c", "//HOST/d", "/d"),
    ] {
        let to = to.replace("HOST", &moving.peer.addr().to_string());
        // Without this header the second answer is the end.
        let client = client.derive().hook(Once(to)).build().unwrap();
        let response = client.get(moving.url(from)).send().unwrap();
        assert_eq!(response.url(), moving.url(expected).as_str(), "{from}");
    }

    /// Says where to go in the first attempt only.
    struct Once(String);
    impl Hook for Once {
        fn before(&self, request: &mut Request<Body>, attempt: &Attempt) -> bowline::Result<()> {
            let path = attempt.url.path();
            if path == "/302/a/b" && attempt.url.query() == Some("c") {
                request.headers_mut().insert("x-to", HeaderValue::from_str(&self.0).map_err(Error::other)?);
            } else {
                *request.uri_mut() = attempt.url.to_string().replace("/302/", "/x/").parse().map_err(Error::other)?;
            }
            Ok(())
        }
    }
}

/// Leads every name to this address.
struct To(SocketAddr);
impl Connect for To {
    fn connect(&self, _: &Target, _: Deadline) -> bowline::Result<Box<dyn Wire>> {
        Ok(Box::new(Tcp::new(TcpStream::connect(self.0)?)?))
    }
}

fn leads_to(moving: &Moving) -> Client {
    builder().connector(To(moving.peer.addr())).build().unwrap()
}

#[test]
fn credentials_stay_with_their_origin() {
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    let headers = [("x-secret", secret), ("x-open", HeaderValue::from_static("open"))];
    let headers: bowline::http::HeaderMap = headers.into_iter().map(|(n, v)| (n.parse().unwrap(), v)).collect();
    for preserve_case in [false, true] {
        let moving = moving();
        let builder = builder().connector(To(moving.peer.addr())).default_header("Cookie", "of=default");
        let client = if preserve_case { builder.preserve_header_case() } else { builder }.build().unwrap();
        for (to, stays) in [
            ("/302/x", true),
            ("http://a.test/x", true),
            ("http://A.test:80/x", true),
            ("http://b.test/x", false),
            ("http://a.test:81/x", false),
            ("http://sub.a.test/x", false),
            ("http://user:password@b.test/x", false),
        ] {
            let request =
                client.get("http://a.test/302/x").header("X-To", to).bearer_auth("token").headers(headers.clone());
            let request = request.header("Proxy-Authorization", "x");
            let case = format!("{to}, case preserved: {preserve_case}");
            let result = request.redirects(Redirects::Follow(1)).send();
            let asked = moving.asked();
            assert_eq!(asked.len(), 2, "{case}: {result:?}");
            assert!(asked[0].header("authorization").is_some() && asked[0].header("cookie").is_some());
            for name in ["authorization", "cookie", "x-secret", "proxy-authorization"] {
                assert_eq!(asked[1].header(name).is_some(), stays, "{case}: {name}");
            }
            assert_eq!(asked[1].header("x-open"), Some("open"), "{case}");
            assert_eq!(asked[1].headers.iter().filter(|(n, _)| n == "host").count(), 1, "{case}");
            let host = if stays { "a.test" } else { to.split(['/', '@']).find(|s| s.contains("test")).unwrap() };
            assert_eq!(asked[1].header("host"), Some(host), "{case}");
        }
    }
}

/// They are gone for good: also on the way back.
#[test]
fn credentials_do_not_come_back() {
    let moving = moving();
    let client = leads_to(&moving);
    client.get("http://a.test/302http://b.test/302http://a.test/end").bearer_auth("token").send().unwrap();
    let auth: Vec<_> = moving.asked().iter().map(|r| r.header("authorization").is_some()).collect();
    assert_eq!(auth, [true, false, false]);
}

#[test]
fn a_host_header_of_the_program_stays_with_its_origin() {
    let moving = moving();
    let client = leads_to(&moving);
    client.get("http://a.test/302/same").header("Host", "virtual.test").send().unwrap();
    client.get("http://a.test/302http://b.test/").header("Host", "virtual.test").send().unwrap();
    let hosts: Vec<_> = moving.asked().iter().map(|r| r.header("host").unwrap().to_owned()).collect();
    assert_eq!(hosts, ["virtual.test", "virtual.test", "virtual.test", "b.test"]);
}

#[test]
fn limits() {
    let moving = moving();
    let client = client();
    for (path, redirects, expected) in [
        ("/302/302/end", Redirects::Follow(2), Ok(200)),
        ("/302/302/end", Redirects::Follow(1), Err(1)),
        ("/302/302/end", Redirects::Follow(0), Err(0)),
        ("/302/302/end", Redirects::SameOrigin(2), Ok(200)),
        ("/302/302/end", Redirects::FollowDowngrade(1), Err(1)),
        ("/302/302/end", Redirects::None, Ok(302)),
        ("/304/end", Redirects::Follow(9), Ok(304)),
        ("/300/end", Redirects::Follow(9), Ok(300)),
        ("/302", Redirects::Follow(9), Ok(302)),
    ] {
        let result = client.get(moving.url(path)).redirects(redirects).send();
        let case = format!("{path} {redirects:?}");
        match (result, expected) {
            (Ok(response), Ok(status)) => assert_eq!(response.status(), status, "{case}"),
            (Err(error), Err(followed)) => {
                assert_eq!((error.kind(), error.phase()), (ErrorKind::Redirect, Phase::FirstByte), "{case}");
                assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false), "{case}");
                let response = error.into_response().unwrap();
                assert_eq!((response.status().as_u16(), response.history().len()), (302, followed), "{case}");
                assert_eq!(response.text().unwrap(), "moved", "{case}");
            }
            (result, _) => panic!("{case}: {result:?}"),
        }
    }
    let error = client
        .get(moving.url("/302/x"))
        .redirects(Redirects::SameOrigin(5))
        .header("x-to", "http://other.test/")
        .send();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Redirect);
    for location in ["ftp://a.test/", "http://", "http://a.test:99999/", "javascript:alert(1)"] {
        let error = client.get(moving.url("/302/x")).header("x-to", location).send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect, "{location}");
        assert_eq!(error.response().unwrap().header("location"), Some(location));
    }
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn a_body_that_is_sent_once() {
    let moving = moving();
    let client = client();
    let body = || Body::from_reader(Pattern::new(10));
    for (path, followed) in [
        ("/307/x", false),
        ("/308/x", false),
        ("/301/x", true),
        ("/303/x", true),
        // Once it is dropped it is in nobody's way.
        ("/302/302/x", true),
        ("/303/307/308/x", true),
    ] {
        match client.post(moving.url(path)).body(body()).send() {
            Ok(response) => {
                assert!(followed, "{path}");
                assert_eq!(response.text().unwrap(), "here", "{path}");
            }
            Err(error) => {
                assert!(!followed, "{path}: {error:?}");
                assert_eq!((error.kind(), error.processed()), (ErrorKind::Redirect, Processed::Yes), "{path}");
                assert_eq!(error.into_response().unwrap().text().unwrap(), "moved", "{path}");
            }
        }
    }
    // Empty, although it could not be sent again.
    let response =
        client.post(moving.url("/307/x")).body(Body::from_reader(std::io::empty()).with_len(0)).send().unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn a_body_written_by_the_caller() {
    let moving = moving();
    let client = client();
    for (path, followed) in [("/307/x", false), ("/303/x", true), ("/303/307/x", true)] {
        let (mut writer, pending) = client.post(moving.url(path)).duplex().unwrap();
        writer.write_all(b"body").unwrap();
        writer.finish().unwrap();
        match pending.wait() {
            Ok(response) => {
                assert!(followed, "{path}");
                assert_eq!(response.text().unwrap(), "here", "{path}");
            }
            Err(error) => {
                assert!(!followed, "{path}: {error:?}");
                assert_eq!(error.kind(), ErrorKind::Redirect, "{path}");
            }
        }
    }
}

/// An answer behind a redirect may be repeated like any other, although the body of the first request could be sent once only.
#[test]
fn a_hook_sees_every_hop() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);
    impl Hook for Log {
        fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
            let status = outcome.map_or(0, |r| r.status().as_u16());
            let Attempt { number, method, url, replayable, .. } = attempt;
            self.0.lock().unwrap().push(format!("{number} {method} {} {replayable} {status}", url.path()));
            Verdict::Pass
        }
    }
    let moving = moving();
    let log = Log::default();
    let client = builder().hook(log.clone()).build().unwrap();
    client.post(moving.url("/303/x")).body(Body::from_reader(Pattern::new(3))).send().unwrap();
    assert_eq!(*log.0.lock().unwrap(), ["1 POST /303/x false 303", "1 GET /x true 200"]);
}

#[test]
fn an_owned_connection_follows_within_its_origin() {
    let moving = moving();
    let client = client();
    let connection = client.connect(moving.url("/")).unwrap();
    assert_eq!(connection.get("/302/x").send().unwrap().text().unwrap(), "here");
    let response = connection.get("/302http://other.test/").send().unwrap();
    assert_eq!(response.status(), 302, "it leads elsewhere");
    assert_eq!(response.text().unwrap(), "moved");
}

#[test]
fn a_long_body_of_a_redirect_is_not_read() {
    let peer = peer(|n, mut conn| {
        while let Some(request) = conn.request() {
            if request.target == "/" {
                conn.say("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1000000000\r\n\r\n");
                conn.say(vec![b'x'; 1_000_000]);
                assert_eq!(conn.rest(), b"");
                return;
            }
            conn.answer(&n.to_string());
        }
    });
    let mut response = client().get(peer.url("/")).send().unwrap();
    let mut text = String::new();
    response.body().read_to_string(&mut text).unwrap();
    assert_eq!(text, "1");
}

#[cfg(feature = "tls")]
mod downgrade {
    use super::*;
    use bowline::Tls;

    #[test]
    fn from_https_to_http() {
        let authority = tls::certs::Authority::new("test");
        let identity = authority.issue(&["a.test", "127.0.0.1"]);
        let config = tls::config(&identity, &[]);
        let plain = moving();
        let target = plain.url("/end");
        let secure = peer(move |_, conn| {
            let mut conn = Conn::over(tls::accept(conn.into_stream(), &config));
            while conn.request().is_some() {
                redirect(&mut conn, 302, &target, "moved");
            }
        });
        let trusting = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
        let client = builder().tls(trusting).build().unwrap();
        let url = format!("https://{}/", secure.addr());
        for redirects in [Redirects::Follow(5), Redirects::SameOrigin(5)] {
            let error = client.get(&url).redirects(redirects).send().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{redirects:?}");
            assert_eq!(error.response().unwrap().status(), 302, "{redirects:?}");
        }
        let allowed = client.get(&url).redirects(Redirects::FollowDowngrade(5)).bearer_auth("token").send().unwrap();
        assert_eq!(allowed.text().unwrap(), "here");
        let asked = plain.asked();
        assert_eq!((asked.len(), asked[0].header("authorization")), (1, None));
    }
}
