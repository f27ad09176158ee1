use super::*;
use crate::error::ErrorKind;

fn parse(text: &str) -> Result<Url> {
    Url::parse(text, Family::Http)
}

/// The base of RFC 3986, section 5.4.
const BASE: &str = "http://a/b/c/d;p?q";

#[test]
fn the_examples_of_rfc_3986() {
    #[rustfmt::skip]
    let table = [
        // Section 5.4.1; a fragment has no place in the result.
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        // Section 5.4.2.
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g"),
        ("g#s/../x", "http://a/b/c/g"),
        ("http:g", "http://a/b/c/g"), // the reading for backward compatibility
    ];
    let base = BASE.parse().unwrap();
    for (reference, expected) in table {
        let resolved = resolve(&base, reference.as_bytes()).unwrap_or_else(|e| panic!("{reference}: {e}"));
        assert_eq!(resolved.uri.to_string(), expected, "{reference}");
    }
    // The first example of 5.4.1 is a URI that we cannot request.
    assert_eq!(resolve(&base, b"g:h").unwrap_err().to_string(), "scheme `g`: http and https are allowed");
}

#[test]
fn locations_as_servers_write_them() {
    #[rustfmt::skip]
    let table: [(&[u8], Result<&str, &str>); 20] = [
        (b" /x ", Ok("https://h.test:8443/x")),
        (b"/a b?c d", Ok("https://h.test:8443/a%20b?c%20d")),
        ("/caf\u{e9}".as_bytes(), Ok("https://h.test:8443/caf%C3%A9")),
        (b"/caf\xe9", Ok("https://h.test:8443/caf%E9")),
        (b"/50%", Ok("https://h.test:8443/50%")),
        (b"/%41%2f", Ok("https://h.test:8443/%41%2f")),
        (b"/\\evil.test", Ok("https://h.test:8443/%5Cevil.test")),
        (b"//other.test", Ok("https://other.test/")),
        (b"//other.test?x", Ok("https://other.test/?x")),
        (b"HTTP://Other.Test:80/", Ok("http://other.test/")),
        (b"https://user:password@other.test/", Ok("https://other.test/")),
        (b"https:/x", Ok("https://h.test:8443/x")),
        (b"a:b", Err("scheme `a`: http and https are allowed")),
        (b"./a:b", Ok("https://h.test:8443/dir/a:b")),
        (b"http:x", Err("the location has no `//` after its scheme")),
        (b"javascript:alert(1)", Err("scheme `javascript`: http and https are allowed")),
        (b"http://", Err("the URL has no host")),
        (b"http://a b/", Err("the host has the character ` `")),
        (b"http://h:x/", Err("port `x` is not between 1 and 65535")),
        (b"/a\rb", Err("the location has the control byte 0x0d")),
    ];
    let base = "https://h.test:8443/dir/page?q".parse().unwrap();
    for (location, expected) in table {
        let resolved = resolve(&base, location).map(|u| u.uri.to_string()).map_err(|e| e.to_string());
        assert_eq!(resolved, expected.map(Into::into).map_err(Into::into), "{}", location.escape_ascii());
    }
    assert!(resolve(&base, b"https://u:p@o.test/").unwrap().authorization.is_none());
    assert!(resolve(&"/only/a/path".parse().unwrap(), b"x").is_err());
}

#[test]
fn what_a_caller_may_write() {
    #[rustfmt::skip]
    let table = [
        ("http://example.org", "http://example.org/", "example.org", 80),
        ("HTTPS://EXAMPLE.org/Path", "https://example.org/Path", "example.org", 443),
        ("http://example.org:80/", "http://example.org/", "example.org", 80),
        ("http://example.org:/", "http://example.org/", "example.org", 80),
        ("http://example.org:0080/", "http://example.org/", "example.org", 80),
        ("http://example.org:443/", "http://example.org:443/", "example.org", 443),
        ("https://example.org:65535/", "https://example.org:65535/", "example.org", 65535),
        ("http://example.org:1/", "http://example.org:1/", "example.org", 1),
        ("http://example.org?x=1", "http://example.org/?x=1", "example.org", 80),
        ("http://example.org#there", "http://example.org/", "example.org", 80),
        ("http://example.org/a#b?c", "http://example.org/a", "example.org", 80),
        ("http://example.org/?", "http://example.org/?", "example.org", 80),
        ("http://example.org./", "http://example.org./", "example.org.", 80),
        ("http://a_b.test/", "http://a_b.test/", "a_b.test", 80),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/", "127.0.0.1", 8080),
        ("http://[::1]", "http://[::1]/", "::1", 80),
        ("http://[::1]:8080/", "http://[::1]:8080/", "::1", 8080),
        ("http://[2001:DB8:0:0:0:0:0:1]:80/", "http://[2001:db8::1]/", "2001:db8::1", 80),
        ("http://[::FFFF:1.2.3.4]/", "http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", 80),
        ("http://h/a/../b/./c//d", "http://h/b/c//d", "h", 80),
        ("http://h/%2e%2E/x", "http://h/%2e%2E/x", "h", 80),
        ("http://h/\u{fc}\"<>`{}^|\\'[]%", "http://h/%C3%BC%22%3C%3E%60%7B%7D%5E|%5C'[]%", "h", 80),
        ("http://h/?\u{fc}\"<>`{}^|\\'[]%?/", "http://h/?%C3%BC%22%3C%3E`{}^|\\%27[]%?/", "h", 80),
        ("http://h/a@b:c//d", "http://h/a@b:c//d", "h", 80),
        ("http://h?a@b", "http://h/?a@b", "h", 80),
    ];
    for (text, uri, host, port) in table {
        let url = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(url.uri.to_string(), uri, "{text}");
        assert_eq!((&*url.origin.host, url.origin.port), (host, port), "{text}");
        assert_eq!(Origin::of(&url.uri).unwrap(), url.origin, "{text}");
        assert!(uri.starts_with(&url.origin.to_string()), "{text}: {}", url.origin);
        let again = parse(uri).unwrap();
        assert_eq!(again.uri, url.uri, "{text}: a canonical URL stays as it is");
        assert!(url.authorization.is_none(), "{text}");
    }
}

#[test]
fn what_a_caller_may_not_write() {
    #[rustfmt::skip]
    let table = [
        ("", "the URL has no scheme: it must begin with `https://` or another one that is supported"),
        ("example.org/x", "the URL has no scheme: it must begin with `https://` or another one that is supported"),
        ("/x", "the URL has no scheme: it must begin with `https://` or another one that is supported"),
        ("//h/x", "the URL has no scheme: it must begin with `https://` or another one that is supported"),
        ("localhost:8080/x", "scheme `localhost`: http and https are allowed"),
        ("ftp://h/", "scheme `ftp`: http and https are allowed"),
        ("ws://h/", "scheme `ws`: http and https are allowed"),
        ("http:/h", "the URL has no `//` after its scheme"),
        ("http:h", "the URL has no `//` after its scheme"),
        ("http://", "the URL has no host"),
        ("http:///x", "the URL has no host"),
        ("http://:80/", "the URL has no host"),
        ("http://user@/", "the URL has no host"),
        ("http://h/a b", "the URL has a space at byte 10"),
        (" http://h/", "the URL has a space at byte 0"),
        ("http://h/\n", "the URL has the control byte 0x0a at byte 9"),
        ("http://h\0/", "the URL has the control byte 0x00 at byte 8"),
        ("http://h/\u{7f}", "the URL has the control byte 0x7f at byte 9"),
        ("http://caf\u{e9}.test/", "the host has characters beyond ASCII: write its `xn--` form"),
        ("http://%68/", "the host is percent-encoded"),
        ("http://a<b/", "the host has the character `<`"),
        ("http://good.test\\@evil.test/", "the user information has a backslash"),
        ("http://good.test\\.evil.test/", "the host has the character `\\\\`"),
        ("http://::1/", "the host has more than one `:`; an IPv6 address is written in brackets"),
        ("http://[::1/", "the host begins with `[` and has no `]`"),
        ("http://[::1]x/", "only a port may follow the `]` of the host"),
        ("http://[::g]/", "the host `[::g]` is not an IPv6 address"),
        ("http://[]/", "the host `[]` is not an IPv6 address"),
        ("http://[v1.x]/", "the host `[v1.x]` is not an IPv6 address"),
        ("http://[fe80::1%25eth0]/", "the host has a zone identifier, which is not supported"),
        ("http://h:0/", "port `0` is not between 1 and 65535"),
        ("http://h:65536/", "port `65536` is not between 1 and 65535"),
        ("http://h:-1/", "port `-1` is not between 1 and 65535"),
        ("http://h:+1/", "port `+1` is not between 1 and 65535"),
        ("http://a%3Ab:c@h/", "the user name has a colon, which basic authentication cannot carry"),
        ("http://a:%0a@h/", "the user name or password has a control character"),
        ("http://a:%ff@h/", "the user information is not UTF-8"),
    ];
    for (text, expected) in table {
        let error = parse(text).map(|u| u.uri).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, expected), "{text:?}");
    }
}

#[test]
fn user_information_becomes_credentials() {
    let table = [
        ("http://user:pass@h/", Some("Basic dXNlcjpwYXNz")),
        ("http://user@h/", Some("Basic dXNlcjo=")),
        ("http://:pass@h/", Some("Basic OnBhc3M=")),
        ("http://us%65r:p%40ss%@h/", Some("Basic dXNlcjpwQHNzJQ==")),
        ("http://user:p:a@s@h/", Some("Basic dXNlcjpwOmFAcw==")),
        ("http://@h/", None),
        ("http://h/", None),
    ];
    for (text, expected) in table {
        let url = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(url.uri, "http://h/", "{text}");
        assert_eq!(url.authorization.as_ref().map(|v| v.to_str().unwrap()), expected, "{text}");
        assert!(!format!("{url:?}").contains("Basic"), "{text}");
    }
}

#[test]
fn websocket_schemes() {
    for (text, expected) in [
        ("ws://h/", "http://h/"),
        ("WSS://h/x", "https://h/x"),
        ("wss://h:443", "https://h/"),
        ("ws://h:443/", "http://h:443/"),
        ("https://h/", "https://h/"),
    ] {
        assert_eq!(Url::parse(text, Family::WebSocket).unwrap().uri, expected, "{text}");
    }
    let error = Url::parse("ftp://h/", Family::WebSocket).unwrap_err();
    assert_eq!(error.to_string(), "scheme `ftp`: ws, wss, http and https are allowed");
}

#[test]
fn the_longest_url() {
    let base = "http://h/";
    for (len, fits) in [(65_533, true), (65_534, true), (65_535, false)] {
        let text = base.to_owned() + &"a".repeat(len - base.len());
        assert_eq!(parse(&text).is_ok(), fits, "{len}");
        // The same limit holds for what encoding and adding make longer.
        let short: Uri = text[..len - 4].parse().unwrap();
        assert_eq!(append_query(&short, [("b", "c")]).is_ok(), fits, "{len} with a query");
    }
    let error = parse(&(base.to_owned() + &"\u{e9}".repeat(11_000))).unwrap_err();
    assert!(error.to_string().starts_with("a URL of 66009 bytes: "), "{error}");
}

#[test]
fn a_base_is_a_prefix() {
    #[rustfmt::skip]
    let table = [
        ("http://h", "/x", "http://h/x"),
        ("http://h/", "/x?y#z", "http://h/x?y"),
        ("http://h/v1", "/x", "http://h/v1/x"),
        ("http://h/v1/", "/", "http://h/v1/"),
        ("http://h/v1/", "/x//y", "http://h/v1/x//y"),
        ("http://h/v1", "//evil.test/x", "http://h/v1//evil.test/x"),
        ("http://h/v1", "/..", "http://h/"),
        ("http://h/v1", "/\u{e9}", "http://h/v1/%C3%A9"),
    ];
    for (base, path, expected) in table {
        let base = Base::parse(base).unwrap();
        assert_eq!(base.join(path).unwrap().uri, expected, "{base:?} {path}");
    }
    let base = Base::parse("https://user:pass@h/").unwrap();
    assert!(base.join("/x").unwrap().authorization.is_some());
    for path in ["", "x", "?x", "https://h/", "/a b", "/\r\n"] {
        assert_eq!(base.join(path).unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
    }
    for base in ["http://h/?x", "http://h/#x", "/v1", "ftp://h/"] {
        assert_eq!(Base::parse(base).unwrap_err().kind(), ErrorKind::InvalidInput, "{base}");
    }
}

#[test]
fn pairs_are_encoded_as_a_form() {
    #[rustfmt::skip]
    let table: [(&str, &[(&str, &str)], &str); 7] = [
        ("http://h/", &[], "http://h/"),
        ("http://h/", &[("a", "b")], "http://h/?a=b"),
        ("http://h/?", &[("a", "b")], "http://h/?a=b"),
        ("http://h/x?y", &[("a", ""), ("", "b")], "http://h/x?y&a=&=b"),
        ("http://h/?y=1&", &[("a", "b")], "http://h/?y=1&a=b"),
        ("http://h/?y=%20", &[("a b", "c+d&e=f")], "http://h/?y=%20&a+b=c%2Bd%26e%3Df"),
        ("http://h/", &[("*-._~", "\u{20ac}\n%")], "http://h/?*-._%7E=%E2%82%AC%0A%25"),
    ];
    for (uri, pairs, expected) in table {
        let appended = append_query(&uri.parse().unwrap(), pairs.iter().copied()).unwrap();
        assert_eq!(appended.to_string(), expected, "{uri} {pairs:?}");
    }
    assert_eq!(form([("q", "a b"), ("r", "\u{e9}/")]), "q=a+b&r=%C3%A9%2F");
    assert_eq!(form([]), "");
}

#[test]
fn percent_decoding() {
    #[rustfmt::skip]
    let table: [(&[u8], &[u8]); 8] = [
        (b"", b""), (b"%41%7a", b"Az"), (b"%", b"%"), (b"%4", b"%4"),
        (b"%zz", b"%zz"), (b"%%41", b"%A"), (b"a%00", b"a\0"), (b"%+1", b"%+1"),
    ];
    for (encoded, expected) in table {
        assert_eq!(percent_decode(encoded), expected, "{}", encoded.escape_ascii());
    }
}

#[test]
fn an_origin_says_where_to_connect() {
    let url = parse("https://[::1]:8443/x").unwrap();
    assert_eq!(url.origin.to_string(), "https://[::1]:8443");
    assert_eq!(url.origin.target(), Target { scheme: "https".into(), host: "::1".into(), port: 8443 });
    for uri in ["/x", "h:80", "*"] {
        assert!(Origin::of(&uri.parse().unwrap()).is_err(), "{uri}");
    }
    let with_user: Uri = "http://user:pass@H:8080/".parse().unwrap();
    assert_eq!(Origin::of(&with_user).unwrap(), parse("http://h:8080/").unwrap().origin);
}

#[test]
fn a_canonical_url_comes_out_as_it_is() {
    #[rustfmt::skip]
    let canonical = [
        "http://h/", "https://h/", "http://h.test:8080/a/b", "https://h:4443/x", "https://h:80/", "http://h:443/", "https://h:65535/",
        "http://127.0.0.1:1/x?y=z&a=/../.", "http://h/?", "http://h/?a?b", "http://h/%41%2f%zz", "http://h/a;b,c=d@e:f!$&'()*+~|[]",
        "http://h//", "http://h//x", "http://a-b_c.d~e!$&'()*+,;=/", "https://h/a.b/c..d/e.", "http://h/?q=`{}|[]\\^",
    ];
    #[rustfmt::skip]
    let other = [
        "http://h", "http://h?x", "http://h#x", "http://h/#x", "http://h/?x#y", "http://h:80/", "https://h:443/", "http://h:080/", "http://h:0/",
        "http://h:/", "http://h:65536/", "http://h:1x/", "http://h:+1/", "http://H/", "HTTP://h/", "http:/h/", "http:h/", "ftp://h/", "ws://h/",
        "httpss://h/", "http://u@h/", "http://u:p@h/", "http://[::1]/", "http:///", "http://h/./", "http://h/..", "http://h/a/.b/..", "http://h/.a",
        "http://h/a b", "http://h/\t", "http://h/\u{7f}", "http://h/\u{e9}", "http://\u{e9}/", "http://h%41/", "http://h/\\x", "http://h\\x/",
        "http://h/`", "http://h/?'", "http://h/?\"", "http://h/?a b", "http://h/\"", "",
    ];
    for text in canonical {
        let url = canonical::parse(text).unwrap_or_else(|| panic!("{text} is canonical")).unwrap();
        let looked_at = Url::parse_any(text, Family::Http).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((url.uri.to_string(), url.origin), (text.to_owned(), looked_at.origin), "{text}");
        assert_eq!(looked_at.uri, url.uri, "{text}");
    }
    for text in other.into_iter().filter(|text| !canonical.contains(text)) {
        if let Some(Ok(url)) = canonical::parse(text) {
            let looked_at = Url::parse_any(text, Family::Http).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((url.uri.to_string(), url.origin), (looked_at.uri.to_string(), looked_at.origin), "{text}");
            panic!("{text} needs a closer look");
        }
    }
    // Whatever stands where: both looks agree about each byte.
    for b in 0..=0x7f_u8 {
        for text in ["http://hBh/", "http://h:1B1/", "http://h/aBc", "http://h/a/Bc", "http://h/?aBc"] {
            let text = text.replace('B', &char::from(b).to_string());
            if let Some(url) = canonical::parse(&text) {
                let looked_at = Url::parse_any(&text, Family::Http).unwrap_or_else(|e| panic!("{text:?}: {e}"));
                let url = url.unwrap();
                assert_eq!(
                    (url.uri.to_string(), url.origin),
                    (looked_at.uri.to_string(), looked_at.origin),
                    "{text:?}"
                );
            }
        }
    }
}
