//! Content codings and ranges, lengths and limits of what is read.
#![cfg(feature = "gzip")]

mod support;

use bowline::{Body, Error, ErrorKind, Phase, Processed};
use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use std::{
    io::{Read, Write},
    sync::{Mutex, mpsc},
};
use support::{Conn, Pattern, Peer, builder, client, ms, peer};

fn plain(len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Pattern::new(len).read_to_end(&mut bytes).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A peer that answers every request with this body under these fields.
fn sends(fields: &'static str, body: Vec<u8>) -> Peer {
    peer(move |_, mut conn| {
        while conn.request().is_some() {
            head(&mut conn, "200 OK", fields, body.len());
            conn.say(&body);
        }
    })
}

fn head(conn: &mut Conn, status: &str, fields: &str, len: usize) {
    conn.say(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {len}\r\n\r\n"));
}

#[test]
fn codings_are_undone() {
    for len in [0, 1, 100, 100_000, 3_000_000] {
        let text = plain(len);
        for (fields, body) in [
            ("Content-Encoding: gzip\r\n", gzip(&text)),
            ("Content-Encoding: GZIP\r\n", gzip(&text)),
            ("Content-Encoding: x-gzip\r\n", gzip(&text)),
            ("Content-Encoding: deflate\r\n", zlib(&text)),
            ("Content-Encoding: deflate, gzip\r\n", gzip(&zlib(&text))),
            ("Content-Encoding: gzip\r\nContent-Encoding: identity\r\n", gzip(&text)),
        ] {
            let coded = body.len();
            let peer = sends(fields, body);
            let client = client();
            let response = client.get(peer.url("/")).send().unwrap();
            assert_eq!(response.header("content-encoding"), None, "{fields}");
            assert_eq!(response.header("content-length"), None, "{fields}");
            assert_eq!(response.content_length(), None, "{fields}");
            let body = response.bytes().unwrap();
            assert!(body == text, "{fields}: {} of {len} bytes", body.len());
            assert!(client.get(peer.url("/")).send().unwrap().reused(), "{fields}");
            assert!(client.stats().bytes_in > coded as u64);
        }
    }
}

#[test]
fn what_is_offered() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            conn.answer(request.header("accept-encoding").unwrap_or("nothing"));
        }
    });
    let ask = |builder: bowline::ClientBuilder, name: &str, value: &str| {
        let client = builder.build().unwrap();
        client.get(peer.url("/")).header(name, value).send().unwrap().text().unwrap()
    };
    assert_eq!(ask(builder(), "x", "y"), "gzip, deflate");
    assert_eq!(ask(builder(), "Accept-Encoding", "br"), "br");
    assert_eq!(ask(builder(), "Range", "bytes=0-9"), "nothing");
    assert_eq!(ask(builder().no_decompression(), "x", "y"), "nothing");
    assert_eq!(ask(builder().no_decompression(), "Accept-Encoding", "gzip"), "gzip");
}

#[test]
fn what_is_delivered_as_it_came() {
    let coded = gzip(b"hello");
    let len = coded.len().to_string();
    let peer = sends("Content-Encoding: gzip\r\n", coded.clone());
    let response = builder().no_decompression().build().unwrap().get(peer.url("/")).send().unwrap();
    assert_eq!(
        (response.header("content-encoding"), response.header("content-length")),
        (Some("gzip"), Some(len.as_str()))
    );
    assert_eq!(response.content_length(), Some(coded.len() as u64));
    assert_eq!(response.bytes().unwrap(), coded);

    for fields in ["Content-Encoding: br\r\n", "Content-Encoding: gzip, br\r\n", "Content-Encoding: identity\r\n"] {
        let peer = sends(fields, coded.clone());
        let response = client().get(peer.url("/")).send().unwrap();
        assert!(response.headers().contains_key("content-encoding"), "{fields}");
        assert_eq!(response.bytes().unwrap(), coded, "{fields}");
    }
}

/// A part of a coded body cannot be decoded: it is a range of the coded bytes (RFC 9110, section 14.2).
#[test]
fn ranges_are_delivered_as_they_came() {
    let coded = gzip(&plain(10_000));
    let part = coded[10..110].to_vec();
    let sent = part.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            assert_eq!(request.header("range"), Some("bytes=10-109"));
            head(
                &mut conn,
                "206 Partial Content",
                "Content-Encoding: gzip\r\nContent-Range: bytes 10-109/9999\r\n",
                100,
            );
            conn.say(&sent);
        }
    });
    let response = client().get(peer.url("/")).header("Range", "bytes=10-109").send().unwrap();
    assert_eq!((response.status().as_u16(), response.header("content-encoding")), (206, Some("gzip")));
    assert_eq!(response.content_length(), Some(100));
    assert_eq!(response.bytes().unwrap(), part);
}

#[test]
fn answers_without_a_body_keep_their_fields() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            match request.target.as_str() {
                "/304" => conn.say("HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n"),
                _ => head(&mut conn, "200 OK", "Content-Encoding: gzip\r\n", 1000),
            }
        }
    });
    let client = client();
    let response = client.head(peer.url("/")).send().unwrap();
    assert_eq!((response.header("content-encoding"), response.header("content-length")), (Some("gzip"), Some("1000")));
    assert_eq!(response.bytes().unwrap(), b"");
    let response = client.get(peer.url("/304")).send().unwrap();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!((response.reused(), response.bytes().unwrap()), (true, Vec::new()));
}

#[test]
fn a_coded_body_that_is_cut_is_an_error() {
    let coded = gzip(b"hello world");
    for cut in 1..coded.len() {
        // Complete for HTTP, cut inside.
        let peer = sends("Content-Encoding: gzip\r\n", coded[..cut].to_vec());
        let error = client().get(peer.url("/")).send().unwrap().bytes().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Content, Phase::Body), "cut at {cut}");
        assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false), "cut at {cut}");
    }
    for cut in 0..coded.len() {
        // Cut for HTTP as well: that is the error to tell.
        let (part, len) = (coded[..cut].to_vec(), coded.len());
        let peer = peer(move |_, mut conn| {
            conn.request();
            head(&mut conn, "200 OK", "Content-Encoding: gzip\r\n", len);
            conn.say(&part);
        });
        let error = client().get(peer.url("/")).send().unwrap().bytes().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::Body), "cut at {cut}");
    }
    for at in [0, 3, coded.len() - 8, coded.len() - 1] {
        let mut spoiled = coded.clone();
        spoiled[at] ^= 0xff;
        let peer = sends("Content-Encoding: gzip\r\n", spoiled);
        let mut response = client().get(peer.url("/")).send().unwrap();
        for _ in 0..2 {
            let error = Error::from(response.body().read_to_end(&mut Vec::new()).unwrap_err());
            assert_eq!(error.kind(), ErrorKind::Content, "byte {at} is wrong: {error}");
        }
    }
}

#[test]
fn a_chunked_body_ends_with_its_last_chunk() {
    let coded = gzip(b"hello");
    for (end, whole) in [("0\r\n\r\n", true), ("0\r\nx-sum: 5\r\n\r\n", true), ("0\r\n", false), ("", false)] {
        let coded = coded.clone();
        let (next, go) = mpsc::channel::<()>();
        let go = Mutex::new(go);
        let peer = peer(move |n, mut conn| {
            if n > 0 {
                return conn.serve();
            }
            conn.request();
            conn.say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
            conn.say(format!("{:x}\r\n", coded.len()));
            conn.say(&coded);
            conn.say("\r\n");
            go.lock().unwrap().recv().unwrap();
            conn.say(end);
            if whole {
                conn.serve();
            }
        });
        let client = client();
        let mut response = client.get(peer.url("/")).send().unwrap();
        let mut five = [0; 5];
        response.body().read_exact(&mut five).unwrap();
        assert_eq!(&five, b"hello");
        next.send(()).unwrap();
        let rest = response.body().read(&mut five).map_err(Error::from);
        assert_eq!(rest.as_ref().map_err(Error::kind), if whole { Ok(&0) } else { Err(ErrorKind::Closed) }, "{end:?}");
        if end.contains("sum") {
            assert_eq!(response.body().trailers().unwrap()["x-sum"], "5");
        }
        drop(response);
        assert_eq!(client.get(peer.url("/")).send().unwrap().reused(), whole, "{end:?}");
    }
}

#[test]
fn decoded_bodies_have_limits() {
    // A thousand times as large inside.
    let peer = sends("Content-Encoding: gzip\r\n", gzip(&vec![0; 10_000_000]));
    let client = client();
    let read = |limit: u64| {
        let mut body = client.get(peer.url("/")).send().unwrap().into_body().limit(limit);
        let mut got = Vec::new();
        body.read_to_end(&mut got).map(|n| n as u64).map_err(|e| (Error::from(e).kind(), got.len() as u64))
    };
    assert_eq!(read(10_000_000), Ok(10_000_000));
    assert_eq!(read(10_000_001), Ok(10_000_000));
    let (kind, got) = read(9_999_999).unwrap_err();
    assert!(kind == ErrorKind::TooLarge && got <= 9_999_999);

    let plain = sends("", vec![b'x'; 100]);
    for (limit, allowed) in [(99, false), (100, true), (101, true), (0, false)] {
        let mut body = client.get(plain.url("/")).send().unwrap().into_body().limit(limit);
        let read = body.read_to_end(&mut Vec::new()).map_err(|e| Error::from(e).kind());
        assert_eq!(read, if allowed { Ok(100) } else { Err(ErrorKind::TooLarge) }, "{limit}");
    }
}

#[test]
fn a_coded_body_that_drips_is_delivered_as_it_comes() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"first ").unwrap();
    encoder.flush().unwrap();
    let first = encoder.get_ref().clone();
    encoder.write_all(b"second").unwrap();
    let second = encoder.finish().unwrap()[first.len()..].to_vec();
    let (next, go) = mpsc::channel::<()>();
    let go = Mutex::new(go);
    let peer = peer(move |_, mut conn| {
        conn.request();
        head(&mut conn, "200 OK", "Content-Encoding: gzip\r\n", first.len() + second.len());
        conn.say(&first);
        go.lock().unwrap().recv().unwrap();
        conn.drip(&second, ms(1));
    });
    let mut response = client().get(peer.url("/")).send().unwrap();
    let mut six = [0; 6];
    response.body().read_exact(&mut six).unwrap();
    assert_eq!(&six, b"first ");
    assert!(matches!(response.body().read_timeout(&mut six, ms(5)).unwrap(), bowline::Recv::TimedOut));
    next.send(()).unwrap();
    assert_eq!(response.text().unwrap(), "second");
}

#[test]
fn text_has_to_be_utf8() {
    let peer = sends("", b"abc\xffdef".to_vec());
    let error = client().get(peer.url("/")).send().unwrap().text().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Content, Processed::Yes));
    assert!(!error.to_string().contains("abc"), "a body is in an error: {error}");
    let mut copy = Vec::new();
    assert_eq!(client().get(peer.url("/")).send().unwrap().copy_to(&mut copy).unwrap(), 7);
    assert_eq!(copy, b"abc\xffdef");
    let _ = Body::empty();
}
