//! How long an answer is: what its handler says, and what it gives.

use crate::{
    h2::{connect_to, get, h2peer::*},
    raw::Raw,
};
use bowline::{Body, Exchange, Result, Server, ServerHandle, http};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, channel},
};

/// Gives some bytes and panics.
struct Panics(&'static [u8]);

impl Read for Panics {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "on purpose");
        self.0.read(buf)
    }
}

/// A server, and what its handler was told.
fn server() -> (ServerHandle, Receiver<std::result::Result<(), String>>) {
    let (tell, told) = channel();
    let handler = move |mut exchange: Exchange| -> Result<()> {
        let path = exchange.path().to_owned();
        let says = |len: &str| Response::builder().header(header::CONTENT_LENGTH, len).body(());
        let field = |name: HeaderName| HeaderMap::from_iter([(name, HeaderValue::from_static("5"))]);
        let result = match path.as_str() {
            // Nobody but the head says how long these are.
            "/exact" => exchange.respond(says("5")?.map(|()| Body::from_reader(&b"12345"[..]))),
            "/short" => exchange.respond(says("5")?.map(|()| Body::from_reader(&b"123"[..]))),
            "/long" => exchange.respond(says("5")?.map(|()| Body::from_reader(&b"1234567"[..]))),
            "/none" => exchange.respond_streaming(says("0")?).and_then(|(_, mut writer)| {
                writer.flush()?;
                writer.finish()
            }),
            "/some" => exchange.respond_streaming(says("0")?).and_then(|(_, mut writer)| {
                writer.write_all(b"1")?;
                writer.finish()
            }),
            "/twice" => {
                let mut head = says("2")?.map(|()| "12");
                head.headers_mut().append(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
                exchange.respond(head)
            }
            "/informs" => {
                let informed = exchange.inform(StatusCode::PROCESSING, field(header::CONTENT_LENGTH));
                exchange.reply(200, "12345")?;
                informed
            }
            "/panics" => exchange.reply(200, Body::from_reader(Panics(b"12"))),
            "/trailers" | "/host" => {
                let name = if path == "/host" { header::HOST } else { header::CONTENT_LENGTH };
                let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
                writer.write_all(b"12345")?;
                writer.finish_with_trailers(field(name))
            }
            _ => exchange.reply(404, ()),
        };
        let _ = tell.send(result.map_err(|e| e.to_string()));
        Ok(())
    };
    (Server::bind("127.0.0.1:0").unwrap().spawn(handler).unwrap(), told)
}

#[test]
fn over_http1() {
    let (server, told) = server();
    // The path, the status, what comes of the body, whether the connection goes on, whether the handler hears of an error.
    for (path, status, body, goes_on, fails) in [
        ("/exact", 200, "12345", true, false),
        ("/short", 200, "123", false, true),
        ("/long", 200, "", false, true),
        ("/none", 200, "", true, false),
        ("/some", 200, "", true, true),
        ("/twice", 500, "", true, true),
        ("/informs", 200, "12345", true, true),
        ("/trailers", 200, "5\r\n12345\r\n", false, true),
        ("/host", 200, "5\r\n12345\r\n", false, true),
    ] {
        let mut raw = Raw::connect(server.local_addr());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let answer = if goes_on { raw.answer() } else { raw.head() };
        assert_eq!(answer.status(), status, "{path}");
        let came = if goes_on { answer.body } else { raw.rest() };
        assert_eq!(String::from_utf8(came).unwrap(), body, "{path}");
        // The next handler may run before this one has come to its end.
        let result = told.recv().unwrap();
        assert_eq!(result.is_err(), fails, "{path}: {result:?}");
        if goes_on {
            assert_eq!(raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer().status(), 404, "{path}");
            told.recv().unwrap().unwrap();
        }
    }
}

#[test]
fn over_http2() {
    let (server, told) = server();
    // The path, what comes of the body, how the stream ends, and whether the handler hears of an error.
    for (path, body, reset, fails) in [
        ("/exact", "12345", None, Some(false)),
        ("/short", "123", Some(INTERNAL_ERROR), Some(true)),
        ("/long", "", Some(INTERNAL_ERROR), Some(true)),
        ("/none", "", None, Some(false)),
        ("/some", "", None, Some(true)),
        ("/twice", "", None, Some(true)),
        ("/informs", "12345", None, Some(true)),
        ("/panics", "12", Some(INTERNAL_ERROR), None),
        ("/trailers", "12345", Some(INTERNAL_ERROR), Some(true)),
        ("/host", "12345", Some(INTERNAL_ERROR), Some(true)),
    ] {
        let mut link = connect_to(server.local_addr(), &[]);
        link.send(&[get(1, path)]);
        let (mut got, mut heads) = (Vec::new(), 0);
        let ended = loop {
            let frame = link.next();
            if frame.stream != 1 {
                continue;
            }
            match frame.kind {
                DATA => got.extend_from_slice(&frame.payload),
                RST_STREAM => break Some(frame.code()),
                _ => heads += 1,
            }
            if frame.flags & END_STREAM != 0 {
                break None;
            }
        };
        assert_eq!((String::from_utf8(got).unwrap().as_str(), ended, heads), (body, reset, 1), "{path}");
        if let Some(fails) = fails {
            let result = told.recv().unwrap();
            assert_eq!(result.is_err(), fails, "{path}: {result:?}");
        }
    }
}
