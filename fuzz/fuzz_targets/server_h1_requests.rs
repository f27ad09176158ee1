//! The server over requests that are in order, pipelined: its handler sees these and no others, with exactly these bodies, whatever
//! they look like.
#![no_main]

use bowline_fuzz::server::{Seen, serve};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use std::fmt::Write;

#[derive(Arbitrary, Debug)]
struct Ask<'a> {
    post: bool,
    target: u16,
    framing: Framing,
    /// What looks like a request goes before the body's own bytes.
    looks: Looks,
    body: &'a [u8],
    fields: Vec<Extra>,
}

#[derive(Arbitrary, Debug)]
enum Framing {
    Length,
    /// Chunks of so many bytes and one, with extensions and trailers.
    Chunked {
        size: u8,
        extension: bool,
        trailers: bool,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Looks {
    Innocent,
    Request,
    LastChunk,
    Preface,
}

#[derive(Arbitrary, Debug)]
enum Extra {
    Long(u8),
    Empty,
    Padded,
    Connection,
    Odd,
}

impl Ask<'_> {
    fn body(&self) -> Vec<u8> {
        let looks: &[u8] = match self.looks {
            Looks::Innocent => b"",
            Looks::Request => b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            Looks::LastChunk => b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            Looks::Preface => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        };
        if self.post { [looks, self.body].concat() } else { Vec::new() }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let method = if self.post { "POST" } else { "GET" };
        let mut head = format!("{method} /x{} HTTP/1.1\r\nHost: x\r\n", self.target);
        for extra in &self.fields {
            let _ = match extra {
                Extra::Long(n) => write!(head, "x-long: {}\r\n", "y".repeat(usize::from(*n))),
                Extra::Empty => write!(head, "x-empty:\r\n"),
                Extra::Padded => write!(head, "x-padded: \t a b \t\r\n"),
                Extra::Connection => write!(head, "Connection: keep-alive, x-other\r\n"),
                Extra::Odd => write!(head, "!#$%&'*+-.^_`|~: \"a\\\"b\"\r\n"),
            };
        }
        let body = self.body();
        match (&self.framing, self.post) {
            (_, false) => head.push_str("\r\n"),
            (Framing::Length, true) => head += &format!("Content-Length: {}\r\n\r\n", body.len()),
            (Framing::Chunked { .. }, true) => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        }
        out.extend_from_slice(head.as_bytes());
        match &self.framing {
            Framing::Length => out.extend(body),
            Framing::Chunked { .. } if !self.post => {}
            Framing::Chunked { size, extension, trailers } => {
                for (n, chunk) in body.chunks(1 + usize::from(*size)).enumerate() {
                    // A server bounds those of one body.
                    let extension = if *extension && n < 50 { ";a=\"b;c\"" } else { "" };
                    out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(if *trailers { b"0\r\nx-end: yes\r\n\r\n" } else { b"0\r\n\r\n" });
            }
        }
    }
}

fuzz_target!(|input: (u8, Vec<Ask>)| {
    let (mood, asks) = input;
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for ask in &asks {
        // A head above the server's limit is a 431 and the end.
        if ask.fields.len() > 40 {
            return;
        }
        ask.write(&mut bytes);
        let method = if ask.post { "POST" } else { "GET" }.to_owned();
        expected.push(Seen { method, target: format!("/x{}", ask.target), body: Some(ask.body()) });
    }
    let (seen, answers) = serve(u64::from(mood), &bytes);
    assert_eq!(seen, expected);
    assert_eq!(count(&answers, b"x-version: h1\r\n"), expected.len() + echoes(&expected));
});

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

/// How often bodies, which come back, look like what is counted.
fn echoes(seen: &[Seen]) -> usize {
    seen.iter().map(|seen| count(seen.body.as_deref().unwrap_or_default(), b"x-version: h1\r\n")).sum()
}
