//! HTTP/2 and its faults: what frames mean, and when what happens.
//!
//! One thread reads, and does what is due; nothing of the library is used but HPACK, for what requests say.

mod fault;
mod frame;

use super::{
    Peer,
    wire::{Got, Wire},
};
use crate::{
    Random,
    fate::{Fate, Seen},
    plan::Plan,
};
use bowline::proto::h2::hpack::Decoder;
use fault::{End, Fault};
use frame::Frame;
use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

/// How long a connection may be idle before the peer closes it.
const IDLE: Duration = Duration::from_secs(5);

/// One connection.
struct Connection<'a> {
    peer: &'a Peer,
    wire: Wire,
    random: Random,
    hpack: Decoder,
    streams: BTreeMap<u32, Stream>,
    /// What will be done, and when, in the order in which it was decided.
    due: Vec<(Instant, Action)>,
    /// What may be sent on the connection.
    window: i64,
    /// The highest stream of the client's.
    highest: u32,
    /// The highest stream that something was done about.
    touched: u32,
    /// The last id of our GOAWAY.
    last: Option<u32>,
    /// We said something that is no HTTP/2.
    nonsense: bool,
    first: bool,
    heard: Instant,
    out: Vec<u8>,
}

struct Stream {
    plan: Plan,
    body: Vec<u8>,
    /// What is left of the answer; `None`: its head was not sent.
    answer: Option<Vec<u8>>,
    unlucky: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// Sends the head, or a piece of the body, and goes on after this pause.
    Answer(u32, Duration),
    Do(Fault, u32),
    /// GOAWAY with this last stream and code.
    GoAway(u32, u32),
    End(End),
}

pub fn serve(peer: &Peer, wire: Wire, random: Random) -> io::Result<()> {
    let mut connection = Connection {
        peer,
        wire,
        random,
        hpack: Decoder::new(4096),
        streams: BTreeMap::new(),
        due: Vec::new(),
        window: 65_535,
        highest: 0,
        touched: 0,
        last: None,
        nonsense: false,
        first: true,
        heard: Instant::now(),
        out: Vec::new(),
    };
    let end = connection.run();
    // Whatever ended it: an answer that has not come will not come.
    for (id, stream) in std::mem::take(&mut connection.streams) {
        let fate = match (&end, stream.answer) {
            _ if connection.nonsense => Fate::Garbage,
            _ if connection.last.is_some_and(|last| id > last) => Fate::Refused,
            (_, Some(_)) => Fate::Partial,
            (Ok(end), None) => end.fate(),
            (Err(_), None) => Fate::Open,
        };
        peer.book.settle(stream.plan.id, fate);
    }
    end.map(|end| end.carry_out(connection.wire))
}

impl Connection<'_> {
    fn run(&mut self) -> io::Result<End> {
        Frame::settings(&[(3, 100)]).write(&mut self.out);
        self.flush()?;
        let mut preface = false;
        loop {
            let now = Instant::now();
            if let Some(end) = self.act(now)? {
                return Ok(end);
            }
            self.flush()?;
            let until = self.due.iter().map(|(when, _)| *when).min().unwrap_or(self.heard + IDLE);
            match self.wire.read_until(until)? {
                Got::End => return Ok(End::Gone),
                Got::Nothing if self.due.is_empty() && self.streams.is_empty() && self.heard + IDLE <= now => {
                    return Ok(End::Close);
                }
                Got::Nothing => {}
                Got::Bytes => self.heard = now,
            }
            if !preface && self.wire.input.len() >= frame::PREFACE.len() {
                preface = self.wire.input.drain(..frame::PREFACE.len()).eq(frame::PREFACE.iter().copied());
                if !preface {
                    self.peer.book.complain("a connection began with something else than the preface".into());
                    return Ok(End::Close);
                }
            }
            while let Some(frame) = if preface { Frame::parse(&mut self.wire.input) } else { None } {
                self.take(&frame, now)?;
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.wire.send(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// Does what is due.
    fn act(&mut self, now: Instant) -> io::Result<Option<End>> {
        while let Some(at) = self.due.iter().position(|(when, _)| *when <= now) {
            match self.due.remove(at).1 {
                Action::Answer(id, pause) => self.answer(id, pause, now),
                Action::Do(fault, id) => self.strike(fault, id, now),
                Action::GoAway(last, code) => {
                    let last = last.max(self.touched).min(self.last.unwrap_or(u32::MAX));
                    // What is above will not be answered; the client may learn that from now on.
                    let dropped: Vec<_> = self.streams.keys().copied().filter(|id| *id > last).collect();
                    for id in dropped {
                        self.settle(id, Fate::Refused);
                    }
                    self.last = Some(last);
                    Frame::goaway(last, code, b"").write(&mut self.out);
                }
                Action::End(End::Finished) if !self.streams.is_empty() => {
                    self.due.push((now + Duration::from_millis(5), Action::End(End::Finished)));
                }
                Action::End(end) => {
                    self.flush()?;
                    return Ok(Some(end));
                }
            }
        }
        Ok(None)
    }

    fn after(&mut self, pause: Duration, action: Action) {
        self.due.push((Instant::now() + pause, action));
    }

    fn settle(&mut self, id: u32, fate: Fate) {
        // Behind nonsense nothing means anything.
        let fate = if self.nonsense { Fate::Garbage } else { fate };
        if let Some(stream) = self.streams.remove(&id) {
            if fate != Fate::Refused {
                self.touched = self.touched.max(id);
            }
            self.peer.book.settle(stream.plan.id, fate);
        }
    }

    /// Sends the head of an answer, or as much of its body as may be sent.
    fn answer(&mut self, id: u32, pause: Duration, now: Instant) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(rest) = &mut stream.answer else {
            let body = stream.plan.answer();
            let end = body.is_empty();
            frame::head(id, stream.plan.id, body.len(), end).write(&mut self.out);
            stream.answer = Some(body);
            self.touched = self.touched.max(id);
            match end {
                true => self.settle(id, Fate::Answered),
                false => self.due.push((now + pause, Action::Answer(id, pause))),
            }
            return;
        };
        let size = if pause.is_zero() { 1 + self.random.below(16_000) as usize } else { (rest.len() / 20).max(9) };
        let size = size.min(rest.len());
        // Padding is a byte of its length and at most 255 more.
        if self.window < size as i64 + 256 {
            return self.due.push((now + Duration::from_millis(2), Action::Answer(id, pause)));
        }
        let padding = self.random.once_in(10).then(|| self.random.below(256) as u8);
        let piece: Vec<_> = rest.drain(..size).collect();
        let end = rest.is_empty();
        let frame = frame::data(id, &piece, padding, end);
        self.window -= frame.payload.len() as i64;
        frame.write(&mut self.out);
        match end {
            true => self.settle(id, Fate::Answered),
            false => self.due.push((now + pause, Action::Answer(id, pause))),
        }
    }

    /// Takes a frame of the client's.
    fn take(&mut self, frame: &Frame, now: Instant) -> io::Result<()> {
        match frame.kind {
            frame::HEADERS => self.request(frame, now)?,
            frame::DATA => {
                let len = frame.payload.len() as u32;
                if len > 0 {
                    Frame::window_update(0, len).write(&mut self.out);
                }
                if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.body.extend_from_slice(&frame.payload);
                    if len > 0 && !frame.ends() {
                        Frame::window_update(frame.stream, len).write(&mut self.out);
                    }
                }
            }
            frame::RST_STREAM => {
                let fate = match self.streams.get(&frame.stream) {
                    Some(Stream { answer: Some(_), .. }) => Fate::Partial,
                    Some(Stream { unlucky: Some(Fault::Silent), .. }) => Fate::Silent,
                    _ => Fate::Open,
                };
                self.settle(frame.stream, fate);
            }
            frame::SETTINGS if !frame.is_ack() => Frame::settings_ack().write(&mut self.out),
            frame::PING if !frame.is_ack() => {
                Frame::ping_ack(&frame.payload).write(&mut self.out);
            }
            frame::WINDOW_UPDATE if frame.stream == 0 => self.window += i64::from(frame.try_number(0).unwrap_or(0)),
            frame::GOAWAY => {
                let code = frame.try_code().unwrap_or(0);
                if code != 0 && !self.nonsense {
                    self.peer.book.complain(format!("GOAWAY {code}: {}", frame.payload[8..].escape_ascii()));
                }
            }
            _ => {}
        }
        if frame.ends() {
            self.complete(frame.stream, now);
        }
        Ok(())
    }

    fn request(&mut self, frame: &Frame, now: Instant) -> io::Result<()> {
        let mut fields = Vec::new();
        let decoded = self.hpack.decode(&frame.payload, |f| fields.push((f.name.to_vec(), f.value.to_vec())));
        decoded.map_err(|e| io::Error::other(format!("{e:?}")))?;
        if frame.flags & frame::END_HEADERS == 0 {
            return Err(io::Error::other("requests of this client have small heads"));
        }
        if frame.stream <= self.highest {
            // Trailers, which these requests have not.
            self.peer.book.complain(format!("a head on stream {} after {}", frame.stream, self.highest));
        }
        self.highest = frame.stream;
        let field = |name: &[u8]| fields.iter().find(|(n, _)| n == name).map(|(_, v)| &v[..]);
        let path = String::from_utf8_lossy(field(b":path").unwrap_or_default()).into_owned();
        let Some(id) = path.strip_prefix('/').and_then(|path| path.parse().ok()) else {
            self.peer.book.complain(format!("not a request: {path}"));
            return Ok(());
        };
        let plan = Plan::of(id);
        if Some(plan.method.as_bytes()) != field(b":method") || plan.has_key != field(b"idempotency-key").is_some() {
            self.peer.book.complain(format!("{plan:?} came as {fields:?}"));
        }
        let refused = self.last.is_some_and(|last| frame.stream > last);
        let fate = if refused && !self.nonsense { Fate::Refused } else { Fate::Open };
        self.peer.book.enter(&plan, Seen { fate, is_h2: true, first: self.first });
        self.first = false;
        if refused {
            return Ok(());
        }
        let unlucky = self.peer.is_unlucky(&mut self.random).then(|| fault::pick(&mut self.random));
        let stream = Stream { plan, body: Vec::new(), answer: None, unlucky };
        let early = unlucky.is_some_and(Fault::is_early);
        self.streams.insert(frame.stream, stream);
        if early && !frame.ends() {
            self.due.push((now, Action::Do(unlucky.expect("it is early"), frame.stream)));
        }
        Ok(())
    }

    /// A request is complete: its answer begins, or something else.
    fn complete(&mut self, id: u32, now: Instant) {
        let Some(stream) = self.streams.get(&id) else { return };
        if stream.body != stream.plan.request_body() {
            let (plan, len) = (&stream.plan, stream.body.len());
            self.peer.book.complain(format!("{plan:?} came with another body of {len} bytes"));
        }
        let action = match stream.unlucky {
            None => Action::Answer(id, Duration::ZERO),
            Some(fault) => Action::Do(fault, id),
        };
        self.due.push((now, action));
    }
}
