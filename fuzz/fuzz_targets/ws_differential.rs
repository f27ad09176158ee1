//! The WebSocket engine and tungstenite over the same bytes: they agree about every message, as long as both go on.
#![no_main]

use bowline::proto::{Role, ws::Kind};
use bowline_fuzz::ws::{MAX_MESSAGE, Said, engine, transcript};
use libfuzzer_sys::fuzz_target;
use std::io::{self, Read, Write};
use tungstenite::{Error, Message, WebSocket, protocol};

/// What the peer says, and nowhere to answer.
struct Script<'a>(&'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the other one ended.
enum End {
    Bytes,
    Closed,
    Refused(String),
}

fn theirs(role: Role, data: &[u8]) -> (Vec<Said>, End) {
    let max = Some(MAX_MESSAGE as usize);
    let config = protocol::WebSocketConfig::default().max_message_size(max).max_frame_size(max);
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let mut socket = WebSocket::from_raw_socket(Script(data), role, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Text(text)) => Said::Message(Kind::Text, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Said::Message(Kind::Binary, bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Said::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Said::Pong(bytes.to_vec()),
            Ok(Message::Close(frame)) => {
                let (code, reason) = match frame {
                    Some(frame) => (Some(frame.code.into()), frame.reason.to_string()),
                    None => (None, String::new()),
                };
                said.push(Said::Closed(code, reason));
                return (said, End::Closed);
            }
            Ok(Message::Frame(_)) => unreachable!("frames are not asked for"),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_)) => {
                return (said, End::Bytes);
            }
            Err(e) => return (said, End::Refused(e.to_string())),
        });
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&role, data)) = data.split_first() else { return };
    let role = if role & 1 == 0 { Role::Client } else { Role::Server };
    // It knows no compression.
    let (mut ours, _) = transcript(&mut engine(role, 0), [data], false);
    let (mut theirs, end) = theirs(role, data);
    if let Some(Said::Within(_)) = ours.last() {
        ours.pop();
    }
    match ours.last() {
        Some(Said::Violation(rule)) => {
            let rule = rule.clone();
            ours.pop();
            // It takes lengths that are not minimal, also of control frames, and judges close codes and text later; until then it saw the same.
            assert!(theirs.starts_with(&ours), "{rule}: {ours:?} {theirs:?}");
            let lenient = ["LengthNotMinimal", "ControlTooLong", "CloseCode", "NotUtf8", "LengthTooLong"];
            let behind = theirs.len() > ours.len();
            assert!(!behind || lenient.iter().any(|name| rule.contains(name)), "{rule}: {ours:?} {theirs:?}");
        }
        // Codes that it does not like are told as another one.
        Some(Said::Closed(..)) => {
            ours.pop();
            if matches!(end, End::Closed) {
                theirs.pop();
            }
            assert_eq!(ours, theirs);
        }
        _ => match end {
            End::Bytes => assert_eq!(ours, theirs),
            End::Closed => panic!("only the other one saw a close: {ours:?} {theirs:?}"),
            End::Refused(why) => panic!("only the other one refuses: {why}: {ours:?} {theirs:?}"),
        },
    }
});
