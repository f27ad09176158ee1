//! Raw bytes both ways, after an upgrade or CONNECT.

use super::{cancel::Limits, carrier::Sent, stream::Stream, wait::block_on};
use crate::{
    error::{Error, ErrorKind, Phase, Result},
    net::{Cx, Interest, Wire},
    proto::End,
    recv::Recv,
    time::Deadline,
};
use http::HeaderMap;
use std::{
    io::{self, Read, Write},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How much a relay moves at a time in each direction.
const PIECE: usize = 64 * 1024;

/// Raw bytes both ways, after an upgrade or CONNECT, in either role, over HTTP/1 or one HTTP/2 stream.
///
/// There is no read limit: it is silent as long as both ends are. Dropping it ends both directions.
#[derive(Debug)]
pub struct Tunnel {
    stream: Stream,
    headers: HeaderMap,
    limits: Limits,
    ended: bool,
}

impl Tunnel {
    pub(crate) fn new(stream: Stream, headers: HeaderMap, limits: Limits) -> Self {
        Tunnel { stream, headers, limits, ended: false }
    }

    /// Returns the head of the 101 or 2xx (client) or of the request (server).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let tunnel = bowline::get("https://example.org/talk").upgrade("talk/1")?;
    /// println!("{:?}", tunnel.headers());
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Waits at most so long for bytes; a timeout loses none.
    ///
    /// # Errors
    ///
    /// If the connection failed, or a [`Cancel`](crate::Cancel) token ended the wait.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut tunnel = bowline::get("https://example.org/talk").upgrade("talk/1")?;
    /// let mut piece = [0; 4096];
    /// println!("{:?}", tunnel.read_timeout(&mut piece, Duration::from_secs(1))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_timeout(&mut self, buf: &mut [u8], timeout: Duration) -> Result<Recv<usize>> {
        match self.read_until(buf, Deadline::after(timeout)) {
            None => Ok(Recv::TimedOut),
            Some(Ok(0)) if !buf.is_empty() => Ok(Recv::Ended),
            Some(result) => result.map(Recv::Item),
        }
    }

    fn read_until(&mut self, buf: &mut [u8], deadline: Deadline) -> Option<Result<usize>> {
        read_until(&self.stream, &mut self.limits, buf, deadline)
    }

    /// Ends our direction: the peer reads an end. Reading goes on.
    ///
    /// # Errors
    ///
    /// If the connection failed.
    pub fn finish(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.ended, true) {
            finish(&self.stream, &mut self.limits)?;
        }
        Ok(())
    }

    /// Returns two halves for two threads.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let tunnel = bowline::get("https://example.org/talk").upgrade("talk/1")?;
    /// let (mut reader, mut writer) = tunnel.split();
    /// std::thread::spawn(move || writer.write_all(b"from another thread"));
    /// let mut piece = [0; 4096];
    /// let n = reader.read(&mut piece)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(self) -> (TunnelReader, TunnelWriter) {
        let reader = TunnelReader { stream: self.stream.clone(), limits: self.limits.clone() };
        (reader, TunnelWriter { stream: self.stream, limits: self.limits, ended: self.ended })
    }

    /// Copies both ways until both ends are done or nothing moved for `idle`; returns the bytes that came (out of the tunnel, into it).
    ///
    /// # Errors
    ///
    /// If either side failed. Silence for `idle` is an end, not an error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::net::Tcp;
    /// use std::{net::TcpStream, time::Duration};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let tunnel = bowline::get("https://example.org/talk").upgrade("talk/1")?;
    /// let other = Tcp::new(TcpStream::connect("127.0.0.1:22")?)?;
    /// let (out, into) = tunnel.relay(other, Duration::from_secs(300))?;
    /// println!("{out} bytes came, {into} went");
    /// # Ok(())
    /// # }
    /// ```
    pub fn relay(mut self, other: impl Wire + 'static, idle: Duration) -> Result<(u64, u64)> {
        let wire: Arc<dyn Wire> = Arc::new(other);
        let mut relay = Relay { out: Direction::new(), into: Direction::new(), moved: Instant::now() };
        let Tunnel { stream, limits, .. } = &mut self;
        let result = block_on(Deadline::NEVER, |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e));
            }
            relay.step(stream, &wire, idle, cx)
        });
        wire.shutdown();
        result.unwrap_or(Ok(()))?;
        Ok((relay.out.moved, relay.into.moved))
    }
}

fn read_until(stream: &Stream, limits: &mut Limits, buf: &mut [u8], deadline: Deadline) -> Option<Result<usize>> {
    block_on(deadline, |cx| {
        if let Err(e) = limits.check(cx) {
            return Poll::Ready(Err(e.in_phase(Phase::Receive)));
        }
        stream.poll_data(buf, cx).map(|r| r.map_err(|fault| fault.to_error().in_phase(Phase::Receive)))
    })
}

fn write(stream: &Stream, limits: &mut Limits, bytes: &[u8], end: End) -> Result<usize> {
    let sent = block_on(Deadline::NEVER, |cx| {
        if let Err(e) = limits.check(cx) {
            return Poll::Ready(Err(e.in_phase(Phase::Send)));
        }
        stream.poll_send(bytes, end, cx).map(|r| r.map_err(|fault| fault.to_error().in_phase(Phase::Send)))
    });
    match sent {
        Some(Ok(Sent::Some(n))) => Ok(n),
        Some(Err(e)) => Err(e),
        Some(Ok(Sent::Stopped)) | None => {
            Err(Error::with(ErrorKind::Closed, "the peer reads no more").in_phase(Phase::Send))
        }
    }
}

fn finish(stream: &Stream, limits: &mut Limits) -> Result<()> {
    if stream.is_sending() {
        write(stream, limits, &[], End::Last)?;
    }
    Ok(())
}

fn flush(stream: &Stream, limits: &mut Limits) -> Result<()> {
    let flushed = block_on(Deadline::NEVER, |cx| {
        if let Err(e) = limits.check(cx) {
            return Poll::Ready(Err(e.in_phase(Phase::Send)));
        }
        stream.poll_flushed(cx).map(|r| r.map_err(|fault| fault.to_error().in_phase(Phase::Send)))
    });
    flushed.unwrap_or(Ok(()))
}

/// One direction of a relay.
struct Direction {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    state: Going,
    moved: u64,
}

/// How far a direction is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    /// Bytes may come.
    Open,
    /// None will; what was read is still to be written.
    Ending,
    /// The other side was told.
    Ended,
}

impl Direction {
    fn new() -> Self {
        Direction { bytes: vec![0; PIECE], at: 0, end: 0, state: Going::Open, moved: 0 }
    }
}

struct Relay {
    out: Direction,
    into: Direction,
    moved: Instant,
}

impl Relay {
    fn step(&mut self, stream: &Stream, wire: &Arc<dyn Wire>, idle: Duration, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        loop {
            let out = self.out_of(stream, wire, cx)?;
            let into = self.into(stream, wire, cx)?;
            if self.out.state == Going::Ended && self.into.state == Going::Ended {
                return Poll::Ready(Ok(()));
            }
            if !(out || into) {
                break;
            }
            self.moved = Instant::now();
        }
        let until = Deadline::from(self.moved.checked_add(idle));
        if until.has_passed(cx.now) {
            return Poll::Ready(Ok(()));
        }
        cx.wait_until(until);
        Poll::Pending
    }

    /// From the tunnel to the wire; returns whether anything moved.
    fn out_of(&mut self, stream: &Stream, wire: &Arc<dyn Wire>, cx: &mut Cx<'_>) -> Result<bool> {
        let d = &mut self.out;
        if d.at == d.end && d.state == Going::Open {
            match stream.poll_data(&mut d.bytes, cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => d.state = Going::Ending,
                Poll::Ready(Ok(n)) => (d.at, d.end) = (0, n),
                Poll::Ready(Err(fault)) => return Err(fault.to_error().in_phase(Phase::Receive)),
            }
        }
        if d.at < d.end {
            return match wire.try_write(&d.bytes[d.at..d.end]) {
                Ok(n) => {
                    d.at += n;
                    d.moved += n as u64;
                    Ok(true)
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    cx.wait_wire(wire, Interest::Write);
                    Ok(false)
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(true),
                Err(e) => Err(e.into()),
            };
        }
        if d.state == Going::Ending {
            d.state = Going::Ended;
            // It may have gone already.
            let _ = wire.finish();
            return Ok(true);
        }
        Ok(false)
    }

    /// From the wire into the tunnel; returns whether anything moved.
    fn into(&mut self, stream: &Stream, wire: &Arc<dyn Wire>, cx: &mut Cx<'_>) -> Result<bool> {
        let d = &mut self.into;
        if d.at == d.end && d.state == Going::Open {
            match wire.try_read(&mut d.bytes) {
                Ok(0) => d.state = Going::Ending,
                Ok(n) => (d.at, d.end) = (0, n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    cx.wait_wire(wire, Interest::Read);
                    return Ok(false);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(true),
                Err(e) => return Err(e.into()),
            }
        }
        if d.state == Going::Ended {
            return Ok(false);
        }
        let end = if d.state == Going::Ending { End::Last } else { End::More };
        match stream.poll_send(&d.bytes[d.at..d.end], end, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(Sent::Some(n))) => {
                d.at += n;
                d.moved += n as u64;
                if d.at == d.end && end == End::Last {
                    d.state = Going::Ended;
                }
                Ok(true)
            }
            Poll::Ready(Ok(Sent::Stopped)) => {
                (d.state, d.at) = (Going::Ended, d.end);
                Ok(true)
            }
            Poll::Ready(Err(fault)) => Err(fault.to_error().in_phase(Phase::Send)),
        }
    }
}

impl Read for Tunnel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_until(buf, Deadline::NEVER).unwrap_or(Ok(0))?)
    }
}

impl Write for Tunnel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        Ok(write(&self.stream, &mut self.limits, buf, End::More)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(flush(&self.stream, &mut self.limits)?)
    }
}

/// The reading half of a [`Tunnel`].
#[derive(Debug)]
pub struct TunnelReader {
    stream: Stream,
    limits: Limits,
}

impl Read for TunnelReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(read_until(&self.stream, &mut self.limits, buf, Deadline::NEVER).unwrap_or(Ok(0))?)
    }
}

/// The writing half of a [`Tunnel`]. Dropping it ends this direction only.
#[derive(Debug)]
pub struct TunnelWriter {
    stream: Stream,
    limits: Limits,
    ended: bool,
}

impl Write for TunnelWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        Ok(write(&self.stream, &mut self.limits, buf, End::More)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(flush(&self.stream, &mut self.limits)?)
    }
}

impl Drop for TunnelWriter {
    fn drop(&mut self) {
        if !self.ended && self.stream.is_sending() {
            // Without waiting: where there is no room at all, the end follows when the other half is dropped.
            super::wait::step_once(|cx| match self.stream.poll_send(&[], End::Last, cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            });
        }
    }
}
