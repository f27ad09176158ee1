//! HTTP/1.1 and its faults.

use super::{
    Peer, SILENCE,
    wire::{Got, Wire},
};
use crate::{
    Random,
    fate::{Fate, Seen},
    plan::Plan,
};
use std::{
    io,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a connection may be idle before the peer closes it.
const IDLE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
enum Fault {
    AbortAtOnce,
    Announced,
    Busy,
    CloseAfter,
    Cut,
    CutBody,
    CutHead,
    Drip,
    Early,
    Garbage,
    Reset,
    Silent,
    ToTheEnd,
}

const FAULTS: &[(u64, Fault)] = &[
    (20, Fault::AbortAtOnce),
    (60, Fault::Announced),
    (50, Fault::Busy),
    (120, Fault::CloseAfter),
    (80, Fault::Cut),
    (60, Fault::CutBody),
    (50, Fault::CutHead),
    (80, Fault::Drip),
    (40, Fault::Early),
    (30, Fault::Garbage),
    (80, Fault::Reset),
    (8, Fault::Silent),
    (50, Fault::ToTheEnd),
];

pub fn serve(peer: &Peer, mut wire: Wire, mut random: Random) -> io::Result<()> {
    let mut first = true;
    loop {
        let fault = peer.is_unlucky(&mut random).then(|| random.pick(FAULTS));
        if matches!(fault, Some(Fault::AbortAtOnce)) {
            // Whatever the client is sending is not looked at.
            sleep(Duration::from_millis(random.below(20)));
            wire.abort();
            return Ok(());
        }
        let Some((plan, framing)) = head(peer, &mut wire)? else { return Ok(()) };
        peer.book.enter(&plan, Seen { fate: Fate::Open, is_h2: false, first });
        first = false;
        let seen = body(peer, &mut wire, &plan, framing, matches!(fault, Some(Fault::Early)));
        let rest = if seen? { act(peer, wire, &plan, fault, &mut random)? } else { None };
        match rest {
            Some(rest) => wire = rest,
            None => return Ok(()),
        }
    }
}

/// Answers in some way; returns the wire if it can go on.
fn act(
    peer: &Peer,
    mut wire: Wire,
    plan: &Plan,
    fault: Option<Fault>,
    random: &mut Random,
) -> io::Result<Option<Wire>> {
    let (id, answer) = (plan.id, plan.answer());
    let settle = |fate| peer.book.settle(id, fate);
    let whole = |more: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\n{more}content-length: {}\r\n\r\n", answer.len());
        [head.as_bytes(), &answer].concat()
    };
    let Some(fault) = fault else {
        settle(Fate::Answered);
        match random.once_in(3) {
            true => wire.send(&chunked(id, &answer, random))?,
            false => wire.send(&whole(""))?,
        }
        return Ok(Some(wire));
    };
    match fault {
        Fault::AbortAtOnce | Fault::Reset => {
            settle(Fate::Cut);
            wire.abort();
        }
        Fault::Announced | Fault::Early => {
            settle(Fate::Answered);
            wire.send(&whole("connection: close\r\n"))?;
            wire.close();
        }
        Fault::Busy => {
            settle(Fate::Busy);
            wire.send(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
            wire.close();
        }
        Fault::CloseAfter => {
            settle(Fate::Answered);
            wire.send(&whole(""))?;
            sleep(Duration::from_millis(random.below(10)));
            match random.below(3) {
                0 => wire.abort(),
                1 => wire.cut(),
                _ => wire.close(),
            }
        }
        Fault::Cut => {
            settle(Fate::Cut);
            if random.once_in(2) { wire.cut() } else { wire.close() }
        }
        Fault::CutBody | Fault::CutHead => {
            settle(Fate::Partial);
            let bytes = if random.once_in(2) { whole("") } else { chunked(id, &answer, random) };
            let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head ends") + 4;
            let at = match (fault, bytes.len() - head) {
                (Fault::CutBody, body) if body > 0 => head + random.below(body as u64) as usize,
                _ => 1 + random.below(head as u64 - 1) as usize,
            };
            wire.send(&bytes[..at])?;
            if random.once_in(2) { wire.cut() } else { wire.close() }
        }
        Fault::Drip => {
            settle(Fate::Answered);
            let bytes = if random.once_in(2) { whole("") } else { chunked(id, &answer, random) };
            let piece = (bytes.len() / 40).max(7);
            for bytes in bytes.chunks(piece) {
                wire.send(bytes)?;
                sleep(Duration::from_millis(random.below(5)));
            }
            return Ok(Some(wire));
        }
        Fault::Garbage => {
            settle(Fate::Garbage);
            let head = format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\n");
            let lengths = format!("{head}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd");
            let chunks = format!("{head}transfer-encoding: chunked\r\n\r\nxyz\r\n");
            wire.send(random.pick(&[
                (1, &b"HTTP/1.1 200\0OK\r\n\r\n"[..]),
                (1, b"SSH-2.0-dropbear\r\n"),
                (1, lengths.as_bytes()),
                (1, chunks.as_bytes()),
            ]))?;
            wire.close();
        }
        Fault::Silent => {
            settle(Fate::Silent);
            if quiet(&mut wire, Instant::now() + SILENCE)? == Got::Nothing {
                // A client that began to wait late, since the limit for the first byte counts from there, is still here.
                settle(Fate::Cut);
            }
        }
        Fault::ToTheEnd => {
            settle(Fate::Answered);
            let head = format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\nconnection: close\r\n\r\n");
            wire.send(&[head.as_bytes(), &answer].concat())?;
            wire.close();
        }
    }
    Ok(None)
}

/// Reads and says nothing, until the client goes (`End`) or this is over.
fn quiet(wire: &mut Wire, until: Instant) -> io::Result<Got> {
    while Instant::now() < until {
        if wire.read_until(until)? == Got::End {
            return Ok(Got::End);
        }
        wire.input.clear();
    }
    Ok(Got::Nothing)
}

fn chunked(id: u64, answer: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in answer.chunks(1 + random.below(5_000) as usize) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads the head of a request; `None` if none comes.
fn head(peer: &Peer, wire: &mut Wire) -> io::Result<Option<(Plan, Framing)>> {
    let until = Instant::now() + IDLE;
    let end = loop {
        if let Some(at) = wire.input.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if wire.read_until(until)? != Got::Bytes {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&wire.input[..end]).to_ascii_lowercase();
    wire.input.drain(..end);
    let mut words = head.split([' ', '\r']);
    let method = words.next().unwrap_or_default().to_ascii_uppercase();
    let id = words.next().and_then(|path| path.strip_prefix('/')?.parse().ok());
    let Some(id) = id else {
        peer.book.complain(format!("not a request: {head}"));
        return Ok(None);
    };
    let plan = Plan::of(id);
    if plan.method != method || plan.has_key != head.contains("\nidempotency-key:") {
        peer.book.complain(format!("{plan:?} came as {head}"));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let framing = match head.contains("\ntransfer-encoding: chunked") {
        true => Framing::Chunked,
        false => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Some((plan, framing)))
}

/// Reads the body of a request and compares; `Ok(false)`: the client has gone.
fn body(peer: &Peer, wire: &mut Wire, plan: &Plan, framing: Framing, early: bool) -> io::Result<bool> {
    if early {
        return Ok(true);
    }
    let until = Instant::now() + Duration::from_secs(20);
    let mut body = Vec::new();
    loop {
        let complete = match framing {
            Framing::Length(n) => {
                wire.input.len() >= n && {
                    body.extend(wire.input.drain(..n));
                    true
                }
            }
            Framing::Chunked => take_chunks(&mut wire.input, &mut body)?,
        };
        if complete {
            break;
        }
        if wire.read_until(until)? != Got::Bytes {
            return Ok(false);
        }
    }
    if body != plan.request_body() {
        peer.book.complain(format!("{plan:?} came with another body of {} bytes", body.len()));
    }
    Ok(true)
}

/// Takes whole chunks; whether the last was among them.
fn take_chunks(input: &mut Vec<u8>, body: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let Some(line) = input.windows(2).position(|w| w == b"\r\n") else { return Ok(false) };
        let size = std::str::from_utf8(&input[..line]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("not the size of a chunk"))?;
        if input.len() < line + 2 + size + 2 {
            return Ok(false);
        }
        body.extend_from_slice(&input[line + 2..line + 2 + size]);
        input.drain(..line + 2 + size + 2);
        if size == 0 {
            return Ok(true);
        }
    }
}
