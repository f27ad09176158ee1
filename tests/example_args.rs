//! What the examples share: their command lines, JSON, filler.

#[path = "../examples/support/fetch_args.rs"]
mod fetch_args;
#[path = "../examples/support/filler.rs"]
mod filler;
#[path = "../examples/support/json.rs"]
mod json;
#[path = "../examples/support/serve_args.rs"]
mod serve_args;
#[path = "../examples/support/watch_args.rs"]
mod watch_args;
#[path = "../examples/support/words.rs"]
mod words;
#[path = "../examples/support/ws_args.rs"]
mod ws_args;

use fetch_args::{Body, FETCH_USAGE, Fetch, Version};
use serve_args::{Only, SERVE_USAGE, Serve, ServeTls};
use std::{io::Read, time::Duration};
use watch_args::{WATCH_USAGE, Watch};
use words::{Usage, Words};
use ws_args::{WS_USAGE, Ws};

/// The words of a line; quotes are not needed here.
fn split(line: &str) -> impl Iterator<Item = String> {
    line.split(' ').filter(|w| !w.is_empty()).map(|w| w.replace('_', " "))
}

fn fetch(line: &str) -> Result<Fetch, Usage> {
    Fetch::parse(split(line))
}

fn serve(line: &str) -> Result<Serve, Usage> {
    Serve::parse(split(line))
}

#[test]
fn one_url_is_enough() {
    let expected = Fetch { urls: vec!["http://h/".into()], ..Fetch::default() };
    assert_eq!((expected.repeat, expected.threads, expected.in_flight), (1, 1, 1));
    assert_eq!(fetch("http://h/"), Ok(expected));
}

#[test]
fn every_option_in_both_forms() {
    let apart = "--http2 -X PUT -H A:_b -H C:d:e --body-bytes 10 --cacert ca.pem --insecure --connect-timeout 0.25 \
                 --timeout 3 --repeat 4 --gap-ms 5 --threads 6 --in-flight 7 --linger-ms 8 -i -o out -v --report u1 u2";
    let joined = "u1 --report -v -oout -i --linger-ms=8 --in-flight=7 --threads=6 --gap-ms=5 --repeat=4 --timeout=3 \
                  --connect-timeout=.25 --insecure --cacert=ca.pem --body-bytes=10 -HA:b -HC:d:e -XPUT --http2 -- u2";
    let expected = Fetch {
        version: Version::Http2,
        method: Some("PUT".into()),
        headers: vec![("A".into(), "b".into()), ("C".into(), "d:e".into())],
        body: Body::Bytes(10),
        cacert: Some("ca.pem".into()),
        insecure: true,
        connect_timeout: Some(Duration::from_millis(250)),
        timeout: Some(Duration::from_secs(3)),
        repeat: 4,
        gap: Duration::from_millis(5),
        threads: 6,
        in_flight: 7,
        linger: Duration::from_millis(8),
        include_head: true,
        output: Some("out".into()),
        verbose: true,
        report: true,
        urls: vec!["u1".into(), "u2".into()],
    };
    assert_eq!(fetch(apart), Ok(expected.clone()));
    assert_eq!(fetch(joined), Ok(expected));
}

#[test]
fn versions_and_bodies() {
    for (line, version) in [
        ("u", Version::Auto),
        ("--http1 u", Version::Http1),
        ("--http1 --http1 u", Version::Http1),
        ("--h2c-upgrade u", Version::H2cUpgrade),
    ] {
        assert_eq!(fetch(line).map(|f| f.version), Ok(version), "{line}");
    }
    for (line, body) in [
        ("-d text u", Body::Text("text".into())),
        ("-d -x u", Body::Text("-x".into())),
        ("--body-file a/b u", Body::File("a/b".into())),
        ("--body-bytes 0 u", Body::Bytes(0)),
    ] {
        assert_eq!(fetch(line).map(|f| f.body), Ok(body), "{line}");
    }
    // A single dash and whatever follows two are not options.
    assert_eq!(fetch("- -- -v --").map(|f| f.urls), Ok(vec!["-".into(), "-v".into(), "--".into()]));
}

#[test]
fn what_is_wrong_with_a_line() {
    for (line, expected) in [
        ("", "no URL"),
        ("-v", "no URL"),
        ("--nothing u", "unknown option --nothing"),
        ("-z u", "unknown option -z"),
        ("-vi u", "unknown option -vi"),
        ("--insecure=yes u", "--insecure takes no value"),
        ("u -X", "-X needs a value"),
        ("u --timeout", "--timeout needs a value"),
        ("--timeout abc u", "--timeout needs seconds, not `abc`"),
        ("--timeout -1 u", "--timeout needs seconds, not `-1`"),
        ("--timeout=inf u", "--timeout needs seconds, not `inf`"),
        ("--timeout= u", "--timeout needs seconds, not ``"),
        ("--timeout 1e19 u", "--timeout needs seconds, not `1e19`"),
        ("--repeat 0 u", "--repeat needs a whole number from 1 on, not `0`"),
        ("--repeat +1 u", "--repeat needs a whole number from 1 on, not `+1`"),
        ("--threads 4294967296 u", "--threads needs a whole number from 1 on, not `4294967296`"),
        ("--gap-ms -5 u", "--gap-ms needs a whole number from 0 on, not `-5`"),
        ("--http1 --http2 u", "more than one version"),
        ("-d a --body-bytes 1 u", "more than one body"),
        ("-H novalue u", "a header is `Name: value`, not `novalue`"),
        ("-H :x u", "a header is `Name: value`, not `:x`"),
    ] {
        assert_eq!(fetch(line), Err(Usage::Wrong(expected.into())), "{line}");
    }
}

#[test]
fn serving() {
    let plain = Serve { listen: "127.0.0.1:8080".into(), tls: ServeTls::None, only: None, root: None };
    let files = ServeTls::Files { cert: "c.pem".into(), key: "k.pem".into() };
    for (line, expected) in [
        ("", plain.clone()),
        ("--listen [::1]:0 --http1", Serve { listen: "[::1]:0".into(), only: Some(Only::Http1), ..plain.clone() }),
        ("--tls c.pem k.pem --root=dir", Serve { tls: files.clone(), root: Some("dir".into()), ..plain.clone() }),
        ("--tls=c.pem k.pem", Serve { tls: files, ..plain.clone() }),
        ("--self-signed --http2", Serve { tls: ServeTls::SelfSigned, only: Some(Only::Http2), ..plain.clone() }),
    ] {
        assert_eq!(serve(line), Ok(expected), "{line}");
    }
    for (line, expected) in [
        ("dir", "unexpected word dir"),
        ("--tls c.pem", "--tls needs a value"),
        ("--tls c k --self-signed", "more than one certificate"),
        ("--http1 --http2", "more than one version"),
        ("--h2c-upgrade", "unknown option --h2c-upgrade"),
        ("--self-signed=x", "--self-signed takes no value"),
    ] {
        assert_eq!(serve(line), Err(Usage::Wrong(expected.into())), "{line}");
    }
}

#[test]
fn talking() {
    let ws = |line: &str| Ws::parse(split(line));
    let all = Ws {
        echo: true,
        deflate: true,
        http2: true,
        timeout: Some(Duration::from_millis(1500)),
        cacert: Some("ca.pem".into()),
        headers: vec![("A".into(), "b".into())],
        url: "u".into(),
    };
    assert_eq!(ws("--echo --deflate --http2 --timeout=1.5 --cacert ca.pem -HA:b u"), Ok(all));
    assert_eq!(ws("u"), Ok(Ws { url: "u".into(), ..Ws::default() }));
    for (line, expected) in [
        ("", "one URL is needed, not 0"),
        ("u v", "one URL is needed, not 2"),
        ("--http1 u", "unknown option --http1"),
        ("--echo=1 u", "--echo takes no value"),
    ] {
        assert_eq!(ws(line), Err(Usage::Wrong(expected.into())), "{line}");
    }
}

#[test]
fn watching() {
    let watch = |line: &str| Watch::parse(split(line));
    let watched = watch("--seconds 2.5 --threads 1000 --http2 --insecure u").unwrap();
    assert_eq!((watched.seconds, watched.threads), (Duration::from_millis(2500), 1000));
    assert!(watched.http2 && watched.insecure && watched.url.as_deref() == Some("u"));
    for (line, expected) in [
        ("--threads 1001", "--threads: 1001 are too many, 1000 are allowed"),
        ("--threads 0", "--threads needs a whole number from 1 on, not `0`"),
        ("--seconds 1e19", "--seconds needs seconds, not `1e19`"),
        ("u v", "unexpected word v"),
        ("--second 1", "unknown option --second"),
    ] {
        assert_eq!(watch(line), Err(Usage::Wrong(expected.into())), "{line}");
    }
}

#[test]
fn without_options() {
    let words = |line: &str| Words::new(split(line), &[]);
    assert_eq!(words("").none(), Ok(()));
    assert_eq!(words("x").none(), Err(Usage::Wrong("unexpected word x".into())));
    assert_eq!(words("a -- -b").plain(), Ok(vec!["a".into(), "-b".into()]));
    assert_eq!(words("a -b").plain(), Err(Usage::Wrong("unknown option -b".into())));
}

/// Wherever it stands, but not as the value of an option.
#[test]
fn help_is_no_mistake() {
    for line in ["--help", "-h", "u --help", "--report -h u"] {
        assert_eq!(fetch(line), Err(Usage::Help), "{line}");
    }
    assert_eq!(serve("--help"), Err(Usage::Help));
    assert_eq!(Words::new(split("-h"), &[]).none(), Err(Usage::Help));
    assert_eq!(fetch("-d --help u").map(|f| f.body), Ok(Body::Text("--help".into())));
    assert_eq!(fetch("-- -h").map(|f| f.urls), Ok(vec!["-h".into()]));
    assert_eq!(fetch("--help=x"), Err(Usage::Help));
}

#[test]
fn the_usage_names_every_option() {
    for (text, options) in [
        (
            FETCH_USAGE,
            "--http1 --http2 --h2c-upgrade -X -H -d --body-file --body-bytes --cacert --insecure --connect-timeout \
             --timeout --repeat --gap-ms --threads --in-flight --linger-ms -i -o -v --report",
        ),
        (SERVE_USAGE, "--listen --tls --self-signed --http1 --http2 --root"),
        (WS_USAGE, "--echo --deflate --http2 --timeout --cacert -H"),
        (WATCH_USAGE, "--seconds --threads --http2 --insecure"),
    ] {
        for option in split(options) {
            assert!(text.split([' ', ',', '\n']).any(|w| w == option), "{option}");
        }
    }
}

#[test]
fn json_is_escaped() {
    let object = json::Object::new()
        .string("plain", "a/b é \u{1F600}")
        .string("q\"uote", "\\ \" \n\r\t\0\u{1b}\u{7f}\u{2028}")
        .raw("number", 7)
        .raw("nested", json::Object::new().end());
    let expected = "{\"plain\":\"a/b é \u{1F600}\",\"q\\\"uote\":\"\\\\ \\\" \\n\\r\\t\\u0000\\u001b\\u007f\\u2028\",\"number\":7,\"nested\":{}}";
    assert_eq!(object.end(), expected);
}

#[test]
fn filler_is_the_same_however_it_is_read() {
    let expected: Vec<u8> = (0..1000u32).map(|n| (n % 251) as u8).collect();
    for piece in [1, 7, 250, 251, 252, 999, 1000, 1001] {
        let (mut all, mut filler, mut buf) = (Vec::new(), filler::Filler::new(1000), vec![0; piece]);
        loop {
            let n = filler.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            all.extend_from_slice(&buf[..n]);
        }
        assert!(all == expected, "in pieces of {piece}");
    }
}
