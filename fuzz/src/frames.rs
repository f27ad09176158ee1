//! What a client of HTTP/2 says, in frames that are frames: requests that work, bodies, resets, settings, windows, and what breaks the
//! rules, in any order.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Returns the preface and these frames.
pub fn said(steps: &[Step]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    steps.iter().for_each(|step| step.write(&mut bytes));
    bytes
}

#[derive(Arbitrary, Debug)]
pub enum Step<'a> {
    Ask { stream: u8, path: Path, post: bool, end: bool, cut: Option<u8>, fields: Vec<Field> },
    Data { stream: u8, payload: &'a [u8], end: bool, pad: Option<u8> },
    Long { stream: u8, size: u16, end: bool },
    Trailers { stream: u8, end: bool },
    Reset { stream: u8, code: u8 },
    Settings { id: Setting, value: u32 },
    SettingsAck,
    Window { stream: u8, by: u32 },
    Ping { ack: bool },
    GoAway { last: u8, code: u8 },
    Priority { stream: u8, on: u8 },
    Block { stream: u8, block: &'a [u8], end: bool },
    Any { kind: u8, flags: u8, stream: u8, payload: &'a [u8] },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Path {
    Echo,
    Big,
    Drop,
    Inform,
    Stream,
    Upgrade,
    WebSocket,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Setting {
    Table,
    Window,
    Frame,
    List,
    Streams,
    Other(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Field {
    Length(u8),
    Expect,
    Cookie,
    Protocol,
    Te,
    Wrong,
}

impl Path {
    fn text(self) -> &'static str {
        match self {
            Path::Echo => "/e",
            Path::Big => "/b",
            Path::Drop => "/d",
            Path::Inform => "/i",
            Path::Stream => "/s",
            Path::Upgrade => "/u",
            Path::WebSocket => "/w",
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A literal that goes into the table.
fn field(name: &str, value: &str, block: &mut Vec<u8>) {
    block.push(0x40);
    for text in [name, value] {
        block.push(text.len() as u8);
        block.extend_from_slice(text.as_bytes());
    }
}

fn ask(path: Path, post: bool, fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    let connect = fields.iter().any(|field| matches!(field, Field::Protocol));
    field(
        ":method",
        if connect {
            "CONNECT"
        } else if post {
            "POST"
        } else {
            "GET"
        },
        &mut block,
    );
    field(":scheme", "http", &mut block);
    field(":authority", "x", &mut block);
    field(":path", path.text(), &mut block);
    if connect {
        field(":protocol", "websocket", &mut block);
        field("sec-websocket-version", "13", &mut block);
    }
    for extra in fields {
        match extra {
            Field::Length(n) => field("content-length", &n.to_string(), &mut block),
            Field::Expect => field("expect", "100-continue", &mut block),
            Field::Cookie => field("cookie", "a=b", &mut block),
            Field::Protocol => {}
            Field::Te => field("te", "trailers", &mut block),
            Field::Wrong => field("connection", "close", &mut block),
        }
    }
    block
}

impl Step<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let odd = |stream: u8| u32::from(stream % 8) * 2 + 1;
        let ends = |end: bool| u8::from(end);
        match self {
            Step::Ask { stream, path, post, end, cut, fields } => {
                let block = ask(*path, *post, fields);
                match cut.map(usize::from).filter(|cut| *cut < block.len()) {
                    None => frame(1, 4 | ends(*end), odd(*stream), &block, out),
                    Some(cut) => {
                        frame(1, ends(*end), odd(*stream), &block[..cut], out);
                        frame(9, 4, odd(*stream), &block[cut..], out);
                    }
                }
            }
            Step::Data { stream, payload, end, pad: None } => frame(0, ends(*end), odd(*stream), payload, out),
            Step::Data { stream, payload, end, pad: Some(pad) } => {
                let padded = [&[*pad], *payload, &vec![0; usize::from(*pad)]].concat();
                frame(0, 8 | ends(*end), odd(*stream), &padded, out);
            }
            Step::Long { stream, size, end } => {
                frame(0, ends(*end), odd(*stream), &vec![b'x'; usize::from(*size) % 16_385], out);
            }
            Step::Trailers { stream, end } => {
                let mut block = Vec::new();
                field("x-end", "yes", &mut block);
                frame(1, 4 | ends(*end), odd(*stream), &block, out);
            }
            Step::Reset { stream, code } => frame(3, 0, odd(*stream), &u32::from(*code).to_be_bytes(), out),
            Step::Settings { id, value } => {
                let (id, value) = match id {
                    Setting::Table => (1, *value),
                    Setting::Streams => (3, *value),
                    // Mostly what is allowed.
                    Setting::Window => (4, *value >> 1),
                    Setting::Frame => (5, 16_384 + value % 16_000_000),
                    Setting::List => (6, *value),
                    Setting::Other(id) => (*id, *value),
                };
                frame(4, 0, 0, &[&u16::to_be_bytes(id)[..], &value.to_be_bytes()].concat(), out);
            }
            Step::SettingsAck => frame(4, 1, 0, b"", out),
            Step::Window { stream, by } => {
                let stream = if *stream == 0 { 0 } else { odd(*stream) };
                frame(8, 0, stream, &(by >> 1).to_be_bytes(), out);
            }
            Step::Ping { ack } => frame(6, ends(*ack), 0, b"a number", out),
            Step::GoAway { last, code } => {
                let payload = [u32::from(*last).to_be_bytes(), u32::from(*code).to_be_bytes()].concat();
                frame(7, 0, 0, &payload, out);
            }
            Step::Priority { stream, on } => frame(2, 0, odd(*stream), &[0, 0, 0, *on, 7], out),
            Step::Block { stream, block, end } => frame(1, 4 | ends(*end), odd(*stream), block, out),
            Step::Any { kind, flags, stream, payload } => frame(*kind, *flags, u32::from(*stream), payload, out),
        }
    }
}
