//! Requests to http:// through a proxy, and what goes past it.

use crate::support::{self, Peer, Req, builder, peer};
use bowline::{
    Connection, ErrorKind, Proxy,
    net::{Wire, pair},
};
use std::sync::{Arc, Mutex};

/// A proxy that answers every request itself, with what it was asked.
fn absolute() -> (Peer, Arc<Mutex<Vec<Req>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            let text = format!("{} {}", request.method, request.target);
            list.lock().unwrap().push(request);
            conn.answer(&text);
        }
    });
    (peer, asked)
}

pub fn proxy(peer: &Peer) -> Proxy {
    Proxy::new(format!("http://{}", peer.addr())).unwrap()
}

#[test]
fn http_goes_to_the_proxy_in_absolute_form() {
    let (peer, asked) = absolute();
    let client = builder().proxy(proxy(&peer)).build().unwrap();
    for (url, target) in [
        ("http://a.test", "http://a.test/"),
        ("http://a.test/path?query#fragment", "http://a.test/path?query"),
        ("http://a.test:81/x", "http://a.test:81/x"),
        ("http://[::1]:82/x", "http://[::1]:82/x"),
    ] {
        let response = client.get(url).send().unwrap();
        assert_eq!(response.text().unwrap(), format!("GET {target}"));
        let request = asked.lock().unwrap().pop().unwrap();
        assert_eq!(request.header("host"), Some(target.split('/').nth(2).unwrap()));
        assert_eq!(request.header("proxy-authorization"), None);
        assert_eq!(request.header("proxy-connection"), None);
    }
    // Another origin is another connection, the same one is the same.
    assert!(client.get("http://a.test/").send().unwrap().reused());
    assert_eq!(peer.connections(), 3);
}

#[test]
fn the_proxy_gets_its_credentials_and_the_target_does_not() {
    let (peer, asked) = absolute();
    let with = Proxy::new(format!("http://us%40er:pass%3Aword@{}", peer.addr())).unwrap();
    for preserve_case in [false, true] {
        let builder = builder().proxy(with.clone().bypass(&["127.0.0.1"]));
        let client = if preserve_case { builder.preserve_header_case() } else { builder }.build().unwrap();
        client.get("http://a.test/").send().unwrap();
        let request = asked.lock().unwrap().pop().unwrap();
        // `us@er:pass:word`
        assert_eq!(request.header("proxy-authorization"), Some("Basic dXNAZXI6cGFzczp3b3Jk"), "{preserve_case}");

        // Reached without the proxy, by a redirect too.
        let direct = support::peer(|_, mut conn| {
            while let Some(request) = conn.request() {
                assert_eq!(request.header("proxy-authorization"), None);
                conn.answer(&request.target);
            }
        });
        assert_eq!(client.get(direct.url("/x")).send().unwrap().text().unwrap(), "/x");

        // On a wire of the program's there is no proxy.
        let (near, far) = pair(10_000);
        let connection = Connection::over(near, "http://a.test", &client).unwrap();
        let pending = connection.get("/").start();
        let mut buf = [0; 1000];
        let n = far.try_read(&mut buf).unwrap();
        let request = String::from_utf8(buf[..n].to_vec()).unwrap().to_lowercase();
        assert!(request.starts_with("get / http/1.1\r\n"), "{request}");
        assert!(!request.contains("proxy-authorization"), "{request}");
        drop(pending);
    }
}

#[test]
fn an_owned_connection_through_a_proxy() {
    let (peer, asked) = absolute();
    let with = Proxy::new(format!("http://user:word@{}", peer.addr())).unwrap();
    let client = builder().proxy(with).build().unwrap();
    let connection = client.connect("http://a.test").unwrap();
    assert_eq!(connection.get("/x").send().unwrap().text().unwrap(), "GET http://a.test/x");
    assert!(asked.lock().unwrap()[0].header("proxy-authorization").is_some());
}

#[test]
fn a_redirect_leaves_the_proxy() {
    let direct = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            assert_eq!(request.header("proxy-authorization"), None);
            conn.answer(&request.target);
        }
    });
    let location = direct.url("/end");
    let moved = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            assert!(request.header("proxy-authorization").is_some());
            conn.say(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let with = Proxy::new(format!("http://user:word@{}", moved.addr())).unwrap().bypass(&["127.0.0.1"]);
    let client = builder().proxy(with).build().unwrap();
    assert_eq!(client.get("http://a.test/").send().unwrap().text().unwrap(), "/end");
}

#[test]
fn what_the_proxy_is_bypassed_for() {
    let (peer, _) = absolute();
    let direct = support::peer(|_, mut conn| conn.serve());
    let port = direct.addr().port();
    for (host, entry, bypassed) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.0/8", true),
        ("127.0.0.1", "128.0.0.0/8", false),
        ("127.0.0.1", "*", true),
        ("localhost", "localhost", true),
        ("localhost", "host", false),
        ("LOCALHOST", ".localhost", true),
    ] {
        let client = builder().proxy(proxy(&peer).bypass(&[entry])).build().unwrap();
        let text = client.get(format!("http://{host}:{port}/x")).send().unwrap().text().unwrap();
        assert_eq!(text.ends_with(" /x"), bypassed, "{host} {entry}: {text}");
    }
    let mistake = builder().proxy(proxy(&peer).bypass(&["not a host"])).build();
    assert_eq!(mistake.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// The environment is that of a process, so the requests are made in another one.
#[test]
fn the_proxies_of_the_environment() {
    let (peer, _) = absolute();
    let direct = support::peer(|_, mut conn| conn.serve());
    let address = format!("http://{}", peer.addr());
    let target = direct.url("/x");
    let ask = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "proxies::asked_with_an_environment", "--ignored", "--nocapture", "--quiet"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.envs(variables.iter().copied()).env("BOWLINE_TARGET", &target).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("got ").map(str::to_owned)).unwrap_or(text)
    };
    let through = format!("GET {target}");
    assert_eq!(ask(&[]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address)]), through);
    assert_eq!(ask(&[("http_proxy", &address)]), through);
    assert_eq!(ask(&[("ALL_PROXY", &address)]), through);
    assert_eq!(ask(&[("HTTPS_PROXY", &address)]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("REQUEST_METHOD", "GET")]), "0 /x", "also where names have no case");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("NO_PROXY", "a.test, 127.0.0.1")]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("no_proxy", "*")]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", "nonsense://x")]), "error InvalidInput");
}

#[test]
#[ignore = "made by the test above, in a process of its own"]
fn asked_with_an_environment() {
    let target = std::env::var("BOWLINE_TARGET").unwrap();
    let client = bowline::Client::builder().build();
    match client.and_then(|client| client.get(target).send()?.text()) {
        Ok(text) => println!("\ngot {text}"),
        Err(e) => println!("\ngot error {:?}", e.kind()),
    }
}
