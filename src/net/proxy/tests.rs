use super::address::Credentials;
use super::*;
use crate::{
    buf::RecvBuf,
    error::{ErrorKind, Phase},
};

fn target(scheme: &str, host: &str, port: u16) -> Target {
    Target { scheme: scheme.into(), host: host.into(), port }
}

fn server(url: &str) -> ProxyServer {
    ProxyServer::parse(url).expect(url)
}

#[test]
fn urls_of_proxies() {
    type Row<'a> = (&'a str, Scheme, &'a str, u16, Option<(&'a [u8], &'a [u8])>);
    #[rustfmt::skip]
    let rows: [Row; 15] = [
        ("http://proxy.example:3128",       Scheme::Http,  "proxy.example", 3128, None),
        ("http://proxy.example",            Scheme::Http,  "proxy.example", 80,   None),
        ("proxy.example:3128",              Scheme::Http,  "proxy.example", 3128, None),
        ("proxy.example",                   Scheme::Http,  "proxy.example", 80,   None),
        ("HTTP://proxy.example:1/",         Scheme::Http,  "proxy.example", 1,    None),
        ("http://10.0.0.1:8080/",           Scheme::Http,  "10.0.0.1",      8080, None),
        ("http://[::1]:8080",               Scheme::Http,  "::1",           8080, None),
        ("http://[fd00::2]",                Scheme::Http,  "fd00::2",       80,   None),
        ("::1",                             Scheme::Http,  "::1",           80,   None),
        ("http://me@p:1",                   Scheme::Http,  "p",             1,    Some((b"me", b""))),
        ("http://me:it@p:1",                Scheme::Http,  "p",             1,    Some((b"me", b"it"))),
        ("me:it@p:1",                       Scheme::Http,  "p",             1,    Some((b"me", b"it"))),
        ("http://m%40e:a%3ab%2Fc%ff@p:1",   Scheme::Http,  "p",             1,    Some((b"m@e", b"a:b/c\xff"))),
        ("http://me:a@b/c:d@p:1",           Scheme::Http,  "p",             1,    Some((b"me", b"a@b/c:d"))),
        ("http://:it@p:1",                  Scheme::Http,  "p",             1,    Some((b"", b"it"))),
    ];
    for (url, scheme, host, port, credentials) in rows {
        let credentials =
            credentials.map(|(user, password)| Credentials { user: user.into(), password: password.into() });
        assert_eq!(server(url), ProxyServer { scheme, host: host.into(), port, credentials }, "{url}");
    }
    let wrong = [
        "",
        "http://",
        "http://:80",
        "ftp://p",
        "http://p:x",
        "http://p:65536",
        "http://p:",
        "http://p/path",
        "http://p?q",
        "http://[::1",
        "http://[p]:1",
        "http://a b",
        "http://p:1:2",
        "://p",
        "http://me:%@p",
        "http://me:%4@p",
        "http://me:%zz@p",
        "http://m%3ae:it@p",
        "http://me:%0d%0aHost:x@p",
        "http://p\r\nHost: x",
    ];
    for url in wrong {
        let error = ProxyServer::parse(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
}

#[test]
fn schemes_are_features() {
    let kind = |url| ProxyServer::parse(url).map(|s| (s.scheme, s.port)).map_err(|e| e.kind());
    let (tls, socks) = (cfg!(feature = "tls"), cfg!(feature = "socks"));
    assert_eq!(kind("https://p"), if tls { Ok((Scheme::Https, 443)) } else { Err(ErrorKind::Unsupported) });
    for url in ["socks5://p", "socks5h://p"] {
        assert_eq!(kind(url), if socks { Ok((Scheme::Socks5, 1080)) } else { Err(ErrorKind::Unsupported) });
    }
}

#[test]
fn no_text_shows_a_password() {
    let proxy = Proxy::new("http://user:secret@proxy.example:3128").unwrap();
    let shown = format!("{proxy:?} {:?} {}", proxy.http, server("http://user:secret@proxy.example"));
    assert!(shown.contains("proxy.example:3128") && shown.contains("with credentials"), "{shown}");
    assert!(!shown.contains("user") && !shown.contains("secret"), "{shown}");
    let value = server("http://Aladdin:open sesame@p").authorization().unwrap();
    // The example of RFC 7617, section 2.
    assert_eq!(value.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(value.is_sensitive());
    for url in ["http://user:secret@", "sec:secret://ret", "http://user:secret%@p", "user:secret@p:x", "secret://p"] {
        let error = Proxy::new(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error}");
    }
}

#[test]
fn the_environment() {
    type Expected<'a> = Option<(Option<&'a str>, Option<&'a str>)>;
    let rows: [(&[(&str, &str)], Expected); 16] = [
        (&[], None),
        (&[("HTTPS_PROXY", "")], None),
        (&[("NO_PROXY", "x")], None),
        (&[("HTTPS_PROXY", "a")], Some((None, Some("a")))),
        (&[("https_proxy", "a"), ("HTTPS_PROXY", "b")], Some((None, Some("a")))),
        (&[("https_proxy", ""), ("HTTPS_PROXY", "b")], Some((None, Some("b")))),
        (&[("HTTP_PROXY", "a")], Some((Some("a"), None))),
        (&[("http_proxy", "a"), ("HTTP_PROXY", "b")], Some((Some("a"), None))),
        (&[("HTTP_PROXY", "a"), ("REQUEST_METHOD", "GET")], None),
        (&[("http_proxy", "a"), ("REQUEST_METHOD", "GET")], Some((Some("a"), None))),
        (&[("HTTPS_PROXY", "a"), ("REQUEST_METHOD", "GET")], Some((None, Some("a")))),
        (&[("ALL_PROXY", "a")], Some((Some("a"), Some("a")))),
        (&[("all_proxy", "a"), ("ALL_PROXY", "b")], Some((Some("a"), Some("a")))),
        (&[("ALL_PROXY", "a"), ("HTTPS_PROXY", "b")], Some((Some("a"), Some("b")))),
        (&[("HTTP_PROXY", "a"), ("ALL_PROXY", "b"), ("REQUEST_METHOD", "")], Some((Some("b"), Some("b")))),
        (&[("HTTP_PROXY", " http://a:80/ ")], Some((Some("a"), None))),
    ];
    for (variables, expected) in rows {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
        let proxy = Proxy::from_variables(get);
        let host = |server: &Option<Arc<ProxyServer>>| server.as_ref().map(|s| s.host.clone());
        let found = proxy.map(|proxy| (host(&proxy.http), host(&proxy.https)));
        let expected = expected.map(|(http, https)| (http.map(String::from), https.map(String::from)));
        assert_eq!(found, expected, "{variables:?}");
    }
}

#[test]
fn a_wrong_variable_fails_what_would_use_it() {
    let get = |name: &str| match name {
        "HTTPS_PROXY" => Some("gopher://me:secret@p".to_owned()),
        "NO_PROXY" => Some("localhost, 10.0.0.0/99,,example.com".to_owned()),
        _ => None,
    };
    let proxy = Proxy::from_variables(get).unwrap();
    assert_eq!(proxy.route(&target("https", "www.example.com", 443)).unwrap(), Route::Direct);
    let error = proxy.route(&target("https", "other.example", 443)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.to_string().contains("secret"));
    let wrong = Proxy::new("http://p").unwrap().bypass(&["10.0.0.0/33"]);
    assert_eq!(wrong.check().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_is_reached_without_a_proxy() {
    #[rustfmt::skip]
    let rows: [(&str, &str, u16, bool); 55] = [
        ("",                  "example.com",       443, false),
        ("*",                 "example.com",       443, true),
        ("*",                 "10.0.0.1",          443, true),
        ("example.com",       "example.com",       443, true),
        ("example.com",       "EXAMPLE.com",       443, true),
        ("Example.COM",       "example.com",       443, true),
        ("example.com",       "example.com.",      443, true),
        ("example.com.",      "example.com",       443, true),
        ("example.com",       "www.example.com",   443, true),
        ("example.com",       "a.www.example.com", 443, true),
        ("example.com",       "notexample.com",    443, false),
        ("example.com",       "example.com.org",   443, false),
        ("example.com",       "com",               443, false),
        (".example.com",      "www.example.com",   443, true),
        (".example.com",      "example.com",       443, true),
        (".example.com",      "notexample.com",    443, false),
        ("*.example.com",     "www.example.com",   443, true),
        ("*.example.com",     "notexample.com",    443, false),
        ("example.com:8080",  "example.com",       8080, true),
        ("example.com:8080",  "www.example.com",   8080, true),
        ("example.com:8080",  "example.com",       443, false),
        ("localhost",         "localhost",         80,  true),
        ("localhost",         "127.0.0.1",         80,  false),
        ("com",               "example.com",       443, true),
        ("10.1.2.3",          "10.1.2.3",          443, true),
        ("10.1.2.3",          "10.1.2.30",         443, false),
        ("10.1.2.3",          "::ffff:10.1.2.3",   443, true),
        ("10.1.2.3:80",       "10.1.2.3",          80,  true),
        ("10.1.2.3:80",       "10.1.2.3",          443, false),
        ("2.3",               "10.1.2.3",          443, false),
        ("10.1.2.3",          "a.10.1.2.3",        443, false),
        ("::1",               "::1",               443, true),
        ("[::1]",             "::1",               443, true),
        ("[::1]",             "0:0:0:0:0:0:0:1",   443, true),
        ("[::1]:80",          "::1",               80,  true),
        ("[::1]:80",          "::1",               443, false),
        ("::ffff:10.1.2.3",   "10.1.2.3",          443, true),
        ("10.0.0.0/8",        "10.255.255.255",    443, true),
        ("10.0.0.0/8",        "11.0.0.0",          443, false),
        ("10.0.0.0/8",        "10.example.com",    443, false),
        ("10.0.0.0/8",        "fd00::1",           443, false),
        ("10.1.2.3/8",        "10.9.9.9",          443, true),
        ("10.1.2.3/32",       "10.1.2.3",          443, true),
        ("10.1.2.3/32",       "10.1.2.2",          443, false),
        ("10.1.2.2/31",       "10.1.2.3",          443, true),
        ("0.0.0.0/0",         "192.0.2.1",         443, true),
        ("0.0.0.0/0",         "::1",               443, false),
        ("0.0.0.0/0",         "example.com",       443, false),
        ("fd00::/8",          "fdff::1",           443, true),
        ("fd00::/8",          "fe80::1",           443, false),
        ("[fd00::]/8",        "fdff::1",           443, true),
        ("::1/128",           "::1",               443, true),
        ("::1/128",           "::2",               443, false),
        ("::/0",              "::2",               443, true),
        (" example.com ",     "example.com",       443, true),
    ];
    for (entry, host, port, expected) in rows {
        let mut bypass = Bypass::default();
        bypass.add(entry).expect(entry);
        assert_eq!(bypass.covers(host, port), expected, "`{entry}` and {host}:{port}");
    }
    let wrong = [
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0.0/",
        "10.0.0.0/x",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "example.com/8",
        "/8",
        "a b",
        "a:b",
        "a:",
        ".",
        "*.",
        "**",
        "a*b",
        "http://a",
        "[::1",
        "user@host",
    ];
    for entry in wrong {
        assert_eq!(Bypass::default().add(entry), Err(()), "{entry}");
    }
}

#[test]
fn routes() {
    let get = |name: &str| match name {
        "http_proxy" => Some("http://h".to_owned()),
        "https_proxy" => Some("http://s".to_owned()),
        "no_proxy" => Some("direct.example,127.0.0.0/8".to_owned()),
        _ => None,
    };
    let proxy = Proxy::from_variables(get).unwrap();
    let to = |scheme, host| proxy.route(&target(scheme, host, 1)).unwrap();
    assert_eq!(to("http", "a.example"), Route::Absolute(Arc::new(server("http://h"))));
    assert_eq!(to("https", "a.example"), Route::Tunnel(Arc::new(server("http://s"))));
    assert_eq!(to("https", "direct.example"), Route::Direct);
    assert_eq!(to("http", "127.0.0.9"), Route::Direct);
    assert!(to("http", "127.0.0.9").proxy().is_none() && to("http", "a").proxy().is_some());
    if cfg!(feature = "socks") {
        let proxy = Proxy::new("socks5://p").unwrap();
        for scheme in ["http", "https"] {
            assert!(matches!(proxy.route(&target(scheme, "a", 1)).unwrap(), Route::Tunnel(_)), "{scheme}");
        }
    }
}

/// What became of a conversation: what was sent after each piece, and how it ended, with what is left in the input.
type Outcome = (Vec<u8>, Result<Option<Vec<u8>>, (ErrorKind, String)>);

/// Asks a proxy that answers with `answers`: one more each time we have said something more.
fn ask(proxy: &str, host: &str, port: u16, answers: &[&[u8]], cuts: &[usize]) -> Outcome {
    let (mut input, mut out, mut sent) = (RecvBuf::new(), Vec::new(), Vec::new());
    let mut asking = Asking::start(&server(proxy), host, port, &mut out).unwrap();
    for answer in answers {
        sent.append(&mut out);
        let mut from = 0;
        for to in cuts.iter().copied().filter(|cut| *cut < answer.len()).chain([answer.len()]) {
            input.extend(&answer[from..to]);
            from = to;
            match asking.advance(&mut input, &mut out) {
                Ok(true) => {
                    input.extend(&answer[to..]);
                    return (sent, Ok(Some(input.peek().to_vec())));
                }
                Ok(false) => {}
                Err(e) => {
                    assert_eq!(e.phase(), Phase::Proxy);
                    return (sent, Err((e.kind(), e.to_string())));
                }
            }
        }
    }
    sent.append(&mut out);
    (sent, Ok(None))
}

/// Asks with every answer whole, cut at every place, and in single bytes; all give the same.
fn ask_in_every_way(proxy: &str, host: &str, port: u16, answers: &[&[u8]]) -> Outcome {
    let whole = ask(proxy, host, port, answers, &[]);
    let longest = answers.iter().map(|a| a.len()).max().unwrap_or(0).min(200);
    for cut in 0..longest {
        assert_eq!(ask(proxy, host, port, answers, &[cut]), whole, "cut at {cut}");
    }
    let all: Vec<usize> = (0..longest).collect();
    assert_eq!(ask(proxy, host, port, answers, &all), whole, "single bytes");
    whole
}

#[test]
fn connect_requests() {
    let rows = [
        ("http://p", "example.com", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"),
        ("http://p", "::1", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"),
        (
            "http://me:it@p",
            "10.0.0.1",
            "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\nProxy-Authorization: Basic bWU6aXQ=\r\n\r\n",
        ),
    ];
    for (proxy, host, expected) in rows {
        let (sent, _) = ask(proxy, host, 443, &[], &[]);
        assert_eq!(String::from_utf8(sent).unwrap(), expected);
    }
    for host in ["", "a b", "a\r\nHost: b", "a\0", "ü"] {
        let error = Asking::start(&server("http://p"), host, 1, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{host:?}");
    }
}

#[test]
fn answers_to_connect() {
    use ErrorKind as K;
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; connect::HEAD_BYTES]].concat();
    type Expected<'a> = Result<Option<&'a [u8]>, (K, &'a str)>;
    #[rustfmt::skip]
    let rows: [(&[u8], Expected); 27] = [
        (b"HTTP/1.1 200 Connection established\r\n\r\n",                          Ok(Some(b""))),
        (b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\n",                                    Ok(Some(b""))),
        (b"HTTP/1.1 200\r\n\r\n",                                                 Ok(Some(b""))),
        (b"HTTP/1.1 204 \r\n\r\n",                                                Ok(Some(b""))),
        (b"HTTP/1.1 299 x\n\n",                                                   Ok(Some(b""))),
        (b"HTTP/1.1 200 OK\n\r\n",                                                Ok(Some(b""))),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03\r\n\r\n",         Ok(Some(b"\x16\x03\r\n\r\n"))),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",                Ok(Some(b"x"))),
        (b"HTTP/1.1 200 OK\r\n",                                                  Ok(None)),
        (b"HTTP/1.1 200 OK\r\n\r",                                                Ok(None)),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n",                                     Ok(None)),
        (b"",                                                                     Ok(None)),
        (b"HTTP/1.",                                                              Ok(None)),
        (b"HTTP/1.1 407 Who\r\nContent-Length: 3\r\n\r\nno!",                     Err((K::Handshake, "407 Proxy Authentication Required"))),
        (b"HTTP/1.1 403 secret reason\r\n\r\n",                                   Err((K::Handshake, "403 Forbidden"))),
        (b"HTTP/1.1 502 x\r\n\r\n",                                               Err((K::Handshake, "502 Bad Gateway"))),
        (b"HTTP/1.1 302 x\r\nLocation: y\r\n\r\n",                                Err((K::Handshake, "302 Found"))),
        (b"HTTP/1.1 101 x\r\n\r\n",                                               Err((K::Handshake, "101 Switching"))),
        (b"HTTP/2.0 200 OK\r\n\r\n",                                              Err((K::PeerViolation, "not HTTP/1"))),
        (b"http/1.1 200 OK\r\n\r\n",                                              Err((K::PeerViolation, "not HTTP/1"))),
        (b"SSH-2.0-OpenSSH",                                                      Err((K::PeerViolation, "not HTTP/1"))),
        (b"\x15\x03\x01\x00\x02\x02\x46",                                         Err((K::PeerViolation, "not HTTP/1"))),
        (b"HTTP/1.1 2000 OK\r\n\r\n",                                             Err((K::PeerViolation, "not HTTP/1"))),
        (b"HTTP/1.1 20 OK\r\n\r\n",                                               Err((K::PeerViolation, "not HTTP/1"))),
        (b"HTTP/1.x 200 OK\r\n\r\n",                                              Err((K::PeerViolation, "not HTTP/1"))),
        (b"HTTP/1.1 099 OK\r\n\r\n",                                              Err((K::PeerViolation, "not HTTP/1"))),
        (&long,                                                                   Err((K::TooLarge, "16384 bytes"))),
    ];
    for (answer, expected) in rows {
        let name = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let (_, found) = ask_in_every_way("http://p", "example.com", 443, &[answer]);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{name}"),
            (Err((kind, text)), Err((expected, part))) => {
                assert_eq!(kind, expected, "{name}");
                assert!(text.contains(part) && !text.contains("secret"), "{name}: {text}");
                assert!(text.contains("http://p:80") && text.contains("example.com:443"), "{name}: {text}");
            }
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn the_status_is_with_the_error() {
    let (mut input, mut out) = (RecvBuf::new(), Vec::new());
    let mut asking = Asking::start(&server("http://p"), "h", 1, &mut out).unwrap();
    input.extend(b"HTTP/1.1 407 x\r\n\r\n");
    let error = asking.advance(&mut input, &mut out).unwrap_err();
    assert_eq!(error.attached::<http::StatusCode>(), Some(&http::StatusCode::PROXY_AUTHENTICATION_REQUIRED));
}

#[test]
fn the_limit_of_an_answer() {
    for (len, expected) in
        [(-1, true), (0, true), (1, false)].map(|(more, ok)| (connect::HEAD_BYTES as isize + more, ok))
    {
        for interim in ["", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 102 x\r\n\r\n"] {
            let front = format!("{interim}HTTP/1.1 200 OK\r\nX: ");
            let fill = len as usize - front.len() - 4;
            let answer = format!("{front}{}\r\n\r\n", "x".repeat(fill));
            for cuts in [&[][..], &[20, 16_000]] {
                let (_, found) = ask("http://p", "h", 1, &[answer.as_bytes()], cuts);
                assert_eq!(found.is_ok(), expected, "{len} {interim:?} {cuts:?}");
            }
        }
    }
}

#[cfg(feature = "socks")]
mod socks {
    use super::*;
    use ErrorKind as K;

    const GRANTED: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    const NAME: &[u8] = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb";

    #[test]
    fn conversations() {
        let request = |before: &[u8]| [before, NAME].concat();
        let plain = request(b"\x05\x01\x00");
        let offered = request(b"\x05\x02\x00\x02");
        let told = request(b"\x05\x02\x00\x02\x01\x02me\x02it");
        // The proxy; what it answers; what it is sent; what is left for the tunnel.
        type Row<'a> = (&'a str, &'a [&'a [u8]], &'a [u8], &'a [u8]);
        #[rustfmt::skip]
        let rows: [Row; 7] = [
            ("socks5://p",       &[b"\x05\x00", GRANTED],                                            &plain,   b""),
            ("socks5://p",       &[b"\x05\x00", b"\x05\x00\x00\x03\x02ax\x00\x01left"],              &plain,   b"left"),
            ("socks5://p",       &[b"\x05\x00", b"\x05\x00\x00\x03\x00\x00\x01"],                    &plain,   b""),
            ("socks5://p",       &[b"\x05\x00", b"\x05\x00\x00\x04aaaabbbbccccdddd\x00\x01l"],       &plain,   b"l"),
            ("socks5://me:it@p", &[b"\x05\x00", GRANTED],                                            &offered, b""),
            ("socks5://me:it@p", &[b"\x05\x02", b"\x01\x00", GRANTED],                               &told,    b""),
            ("socks5://me:it@p", &[b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38\x05"], &told, b"\x05"),
        ];
        for (proxy, answers, sent, left) in rows {
            let found = ask_in_every_way(proxy, "example.com", 443, answers);
            assert_eq!(found, (sent.to_vec(), Ok(Some(left.to_vec()))), "{proxy} {answers:?}");
        }
        let (sent, _) = ask("socks5://p", "10.1.2.3", 80, &[b"\x05\x00"], &[]);
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x01\x0a\x01\x02\x03\x00\x50");
        let (sent, _) = ask("socks5://p", "fd00::1", 80, &[b"\x05\x00"], &[]);
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x04\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50");
    }

    #[test]
    fn refusals_and_nonsense() {
        #[rustfmt::skip]
        let rows: [(&[&[u8]], K, &str); 21] = [
            (&[b"\x05\xff"],                              K::Handshake,     "none of our authentication"),
            (&[b"\x05\x02"],                              K::PeerViolation, "method 2"),
            (&[b"\x05\x01"],                              K::PeerViolation, "method 1"),
            (&[b"\x04\x00"],                              K::PeerViolation, "version 4"),
            (&[b"HTTP/1.1 400 Bad Request\r\n\r\n"],      K::PeerViolation, "version 72"),
            (&[b"\x05\x00", b"\x05\x01\x00\x01"],         K::Connect,       "general failure (code 1)"),
            (&[b"\x05\x00", b"\x05\x02\x00\x01"],         K::Handshake,     "not allowed by its rules (code 2)"),
            (&[b"\x05\x00", b"\x05\x03\x00\x01"],         K::Connect,       "network unreachable (code 3)"),
            (&[b"\x05\x00", b"\x05\x04\x00\x01"],         K::Connect,       "host unreachable (code 4)"),
            (&[b"\x05\x00", b"\x05\x05\x00\x01"],         K::Connect,       "connection refused (code 5)"),
            (&[b"\x05\x00", b"\x05\x06\x00\x01"],         K::Connect,       "TTL expired (code 6)"),
            (&[b"\x05\x00", b"\x05\x07\x00\x01"],         K::Handshake,     "command not supported (code 7)"),
            (&[b"\x05\x00", b"\x05\x08\x00\x01"],         K::Handshake,     "address type not supported (code 8)"),
            (&[b"\x05\x00", b"\x05\x09\x00\x01"],         K::Connect,       "unassigned reply (code 9)"),
            (&[b"\x05\x00", b"\x05\xff\x00\x01"],         K::Connect,       "unassigned reply (code 255)"),
            (&[b"\x05\x00", b"\x04\x00\x00\x01"],         K::PeerViolation, "version 4"),
            (&[b"\x05\x00", b"\x05\x00\x00\x00"],         K::PeerViolation, "type 0"),
            (&[b"\x05\x00", b"\x05\x00\x00\x02"],         K::PeerViolation, "type 2"),
            (&[b"\x05\x00", b"\x05\x00\x00\xff"],         K::PeerViolation, "type 255"),
            (&[b"\x05\x00", b"\x05\x04"],                 K::Connect,       "host unreachable"),
            (&[b"\x00"],                                  K::PeerViolation, "version 0"),
        ];
        for (answers, kind, part) in rows {
            let (_, found) = ask_in_every_way("socks5://p", "example.com", 443, answers);
            let (found, text) = found.unwrap_err();
            assert!(found == kind && text.contains(part), "{answers:?}: {text}");
        }
        for (answer, kind) in
            [(b"\x01\x01", K::Handshake), (b"\x01\xff", K::Handshake), (b"\x05\x00", K::PeerViolation)]
        {
            let (_, found) = ask_in_every_way("socks5://me:it@p", "a", 1, &[b"\x05\x02", answer]);
            let (found, text) = found.unwrap_err();
            assert!(found == kind && !text.contains("it\0"), "{answer:?}: {text}");
        }
    }

    #[test]
    fn lengths() {
        let ok = |len| Asking::start(&server("socks5://p"), &"a".repeat(len), 1, &mut Vec::new()).is_ok();
        assert_eq!([ok(254), ok(255), ok(256)], [true, true, false]);
        let ok = |user, password| {
            ProxyServer::parse(&format!("socks5://{}:{}@p", "u".repeat(user), "p".repeat(password))).is_ok()
        };
        assert_eq!(
            [ok(254, 1), ok(255, 255), ok(256, 1), ok(1, 256), ok(0, 1), ok(1, 0)],
            [true, true, false, false, false, false]
        );
        assert!(ProxyServer::parse("socks5://m%3ae:it@p").is_ok());
    }
}
