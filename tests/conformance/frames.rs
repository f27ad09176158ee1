//! RFC 9113, sections 6 and 7: the frames one by one, and codes of errors. 44 cases.

use super::{Case, case};
use crate::client::*;

const UNKNOWN_SETTING: u16 = 0x99;
const UNKNOWN_CODE: u32 = 0xff;
const MAX_WINDOW: u32 = (1 << 31) - 1;

fn more() -> Vec<u8> {
    block(&[("x-test", "ok")])
}

pub const CASES: &[Case] = &[
    case("http2/6.1", "DATA without a stream", |c| {
        c.frame(DATA, END_STREAM, 0, b"body").connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.1", "DATA on a stream that is not open", |c| {
        let block = c.post();
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).frame(DATA, END_STREAM, 1, b"body");
        c.stream_error(1, &[STREAM_CLOSED])
    }),
    case("http2/6.1", "DATA with more padding than payload", |c| {
        c.begin(1).frame(DATA, END_STREAM | PADDED, 1, b"\x06Test").connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.2", "HEADERS without END_HEADERS, then PRIORITY", |c| {
        let block = c.get();
        c.frame(HEADERS, END_STREAM, 1, &block).frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255]);
        c.frame(CONTINUATION, END_HEADERS, 1, &more()).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.2", "HEADERS without END_HEADERS, then HEADERS of another stream", |c| {
        let block = c.get();
        c.frame(HEADERS, 0, 1, &block).ask(3);
        c.frame(CONTINUATION, END_HEADERS, 1, &more()).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.2", "HEADERS without a stream", |c| c.ask(0).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.2", "HEADERS with more padding than payload", |c| {
        let mut payload = c.get();
        payload.insert(0, payload.len() as u8 + 2);
        c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &payload).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.3", "PRIORITY without a stream", |c| {
        c.frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 255]).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.3", "PRIORITY of four bytes", |c| {
        c.frame(PRIORITY, 0, 1, &[0, 0, 0, 0]).stream_error(1, &[FRAME_SIZE_ERROR])
    }),
    case("http2/6.4", "RST_STREAM without a stream", |c| c.reset(0, CANCEL).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.4", "RST_STREAM on an idle stream", |c| c.reset(1, CANCEL).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.4", "RST_STREAM of three bytes", |c| {
        c.begin(1).frame(RST_STREAM, 0, 1, &[0; 3]).connection_error(&[FRAME_SIZE_ERROR])
    }),
    case("http2/6.5", "an ACK with a payload", |c| {
        c.frame(SETTINGS, ACK, 0, b"\0").connection_error(&[FRAME_SIZE_ERROR])
    }),
    case("http2/6.5", "SETTINGS on a stream", |c| {
        c.frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100]).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.5", "SETTINGS whose length is no multiple of six", |c| {
        c.frame(SETTINGS, 0, 0, &[0, 3, 0]).connection_error(&[FRAME_SIZE_ERROR])
    }),
    case("http2/6.5.2", "ENABLE_PUSH 2", |c| c.settings(&[(ENABLE_PUSH, 2)]).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.5.2", "INITIAL_WINDOW_SIZE 2^31", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)]).connection_error(&[FLOW_CONTROL_ERROR])
    }),
    case("http2/6.5.2", "MAX_FRAME_SIZE 2^14 - 1", |c| {
        c.settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)]).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.5.2", "MAX_FRAME_SIZE 2^24", |c| {
        c.settings(&[(MAX_FRAME_SIZE, 1 << 24)]).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.5.2", "an unknown setting", |c| c.settings(&[(UNKNOWN_SETTING, 1)]).lives()),
    case("http2/6.5.3", "INITIAL_WINDOW_SIZE twice: the second one counts", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)]).acked()?;
        c.ask(1).data(1, 1)
    }),
    case("http2/6.5.3", "SETTINGS are acknowledged", |c| c.settings(&[]).acked()),
    case("http2/6.7", "PING", |c| c.frame(PING, 0, 0, b"a number").pong(b"a number")),
    case("http2/6.7", "PING with ACK is not answered", |c| {
        c.frame(PING, ACK, 0, b"no sense").frame(PING, 0, 0, b"a number").pong(b"a number")
    }),
    case("http2/6.7", "PING on a stream", |c| c.frame(PING, 0, 1, b"a number").connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.7", "PING of six bytes", |c| c.frame(PING, 0, 0, b"six is").connection_error(&[FRAME_SIZE_ERROR])),
    case("http2/6.8", "GOAWAY on a stream", |c| c.frame(GOAWAY, 0, 1, &[0; 8]).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.9", "WINDOW_UPDATE by nothing", |c| c.window_update(0, 0).connection_error(&[PROTOCOL_ERROR])),
    case("http2/6.9", "WINDOW_UPDATE of a stream by nothing", |c| {
        c.begin(1).window_update(1, 0).stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/6.9", "WINDOW_UPDATE of three bytes", |c| {
        c.frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]).connection_error(&[FRAME_SIZE_ERROR])
    }),
    case("http2/6.9.1", "a window of one byte", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, 1)]).acked()?;
        c.ask(1).data(1, 1)
    }),
    case("http2/6.9.1", "WINDOW_UPDATE above 2^31 - 1", |c| {
        c.window_update(0, MAX_WINDOW).window_update(0, MAX_WINDOW).connection_error(&[FLOW_CONTROL_ERROR])
    }),
    case("http2/6.9.1", "WINDOW_UPDATE of a stream above 2^31 - 1", |c| {
        c.begin(1).window_update(1, MAX_WINDOW).window_update(1, MAX_WINDOW).stream_error(1, &[FLOW_CONTROL_ERROR])
    }),
    case("http2/6.9.2", "INITIAL_WINDOW_SIZE changes streams that are open", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, 0)]).acked()?;
        c.ask(1).answered(1)?;
        c.settings(&[(INITIAL_WINDOW_SIZE, 1)]).data(1, 1)
    }),
    case("http2/6.9.2", "a window below zero", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, 3)]).acked()?;
        c.ask(1).data(1, 3)?;
        c.settings(&[(INITIAL_WINDOW_SIZE, 2)]).acked()?;
        c.window_update(1, 2).data(1, 1)
    }),
    case("http2/6.9.2", "INITIAL_WINDOW_SIZE 2^32 - 1", |c| {
        c.settings(&[(INITIAL_WINDOW_SIZE, u32::MAX)]).connection_error(&[FLOW_CONTROL_ERROR])
    }),
    case("http2/6.10", "HEADERS and two CONTINUATION", |c| {
        let block = c.get();
        c.frame(HEADERS, END_STREAM, 1, &block).frame(CONTINUATION, 0, 1, &more());
        c.frame(CONTINUATION, END_HEADERS, 1, &more()).answered(1)
    }),
    case("http2/6.10", "CONTINUATION without END_HEADERS, then DATA", |c| {
        let block = c.post();
        c.frame(HEADERS, 0, 1, &block).frame(CONTINUATION, 0, 1, &more()).frame(DATA, END_STREAM, 1, b"body");
        c.connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.10", "CONTINUATION without a stream", |c| {
        let block = c.get();
        c.frame(HEADERS, END_STREAM, 1, &block).frame(CONTINUATION, END_HEADERS, 0, &more());
        c.connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.10", "HEADERS with END_HEADERS, then CONTINUATION", |c| {
        c.ask(1).frame(CONTINUATION, END_HEADERS, 1, &more()).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.10", "CONTINUATION with END_HEADERS, then CONTINUATION", |c| {
        let block = c.get();
        c.frame(HEADERS, END_STREAM, 1, &block).frame(CONTINUATION, END_HEADERS, 1, &more());
        c.frame(CONTINUATION, END_HEADERS, 1, &more()).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/6.10", "HEADERS, DATA, then CONTINUATION", |c| {
        let block = c.post();
        c.frame(HEADERS, 0, 1, &block).frame(DATA, END_STREAM, 1, b"body");
        c.frame(CONTINUATION, END_HEADERS, 1, &more()).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/7", "GOAWAY with an unknown code", |c| {
        c.frame(GOAWAY, 0, 0, &[&[0; 4][..], &UNKNOWN_CODE.to_be_bytes()].concat());
        c.lives().or_else(|_| c.end())
    }),
    case("http2/7", "RST_STREAM with an unknown code", |c| c.begin(1).reset(1, UNKNOWN_CODE).lives()),
];
