//! What the owners of exchanges, and those who watch over the connection, want of the engine.

use super::{
    super::{
        carrier::{Exchanges, Forgone, Opened, Opening, Refused},
        duplex::Position,
        fault::{Cause, Fault, GIVEN_UP},
        info::{CloseReason, UpkeepAction},
        slot::{Sending, Slot, Wakes},
    },
    H1, Mode, Waiting,
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    net::Waker,
    proto::{
        End, Role,
        h1::{Length, Misuse},
    },
};
use http::{HeaderMap, Response, Version};
use std::time::{Duration, Instant};

/// How much of a request nobody reads is waited for when it was answered: less costs little, and for more a new connection does. As much
/// as a client reads of an answer.
const MUCH: u64 = 64 * 1024;

impl Exchanges for H1 {
    const VERSION: Version = Version::HTTP_11;

    fn slot(&mut self, id: u32) -> Option<&mut Slot> {
        self.slot.as_deref_mut().filter(|_| id == self.cycle)
    }

    fn open(&mut self, opening: &Opening<'_>, at: Position, _now: Instant, out: &mut Vec<u8>) -> Result<Opened, Fault> {
        if self.slot.is_some() && !self.draining {
            return Ok(Opened::Blocked);
        }
        if !self.is_free() {
            return Ok(Opened::Closed);
        }
        if self.cycle > 0 {
            self.engine.next_cycle().map_err(|m| misuse(&m))?;
        }
        self.engine.send_request(opening.head, opening.form, opening.length, out).map_err(|m| misuse(&m))?;
        self.cycle = self.cycle.wrapping_add(1);
        self.ahead = self.usual;
        let mut slot = self.spare.take().unwrap_or_else(|| Box::new(Slot::new(at)));
        (slot.head_at, slot.end_at) = (at, at);
        if self.engine.is_sent() {
            slot.sending = Sending::Ended;
        }
        self.slot = Some(slot);
        Ok(Opened::Stream(self.cycle))
    }

    fn wait_to_open(&mut self, waker: &Waker) {
        if !self.line.iter().any(|w| w.same(waker)) {
            self.line.push_back(waker.clone());
        }
    }

    fn accept(&mut self) -> Option<u32> {
        std::mem::take(&mut self.incoming).then_some(self.cycle)
    }

    fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    fn is_over_for_new(&self) -> bool {
        match self.role {
            Role::Client => self.slot.is_none() && !self.is_free(),
            Role::Server => {
                let goes_on = self.engine.persists() || matches!(self.waiting, Waiting::Rest(_));
                self.mode != Mode::Messages || self.slot.is_none() && self.cycle > 0 && !goes_on
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.slot.is_none()
    }

    fn awaits_since(&self) -> Option<Instant> {
        match self.waiting {
            Waiting::Begin(since) | Waiting::Head(since) | Waiting::Rest(since) => Some(since),
            Waiting::Nothing => None,
        }
    }

    fn has_room(&self) -> bool {
        self.is_free()
    }

    fn served(&self) -> u64 {
        u64::from(self.cycle)
    }

    fn is_suspect(&self, _now: Instant) -> bool {
        false
    }

    fn upkeep(
        &mut self,
        _interval: Duration,
        _used: Option<Instant>,
        _now: Instant,
        _out: &mut Vec<u8>,
    ) -> UpkeepAction {
        UpkeepAction::Http1Checked
    }

    fn upkeep_due(&self, _interval: Duration, _used: Option<Instant>) -> Option<Instant> {
        None
    }

    fn ping(&mut self, _now: Instant, _out: &mut Vec<u8>) -> Result<Option<u64>, Fault> {
        Ok(None)
    }

    fn pinged(&mut self, _acked: u64, _waker: &Waker) -> Option<Duration> {
        None
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        self.draining = true;
        self.engine.close(out);
    }

    fn respond(&mut self, id: u32, head: &Response<()>, length: Length, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(slot) = self.slot.as_mut().filter(|_| id == self.cycle) else { return Err(gone()) };
        self.engine.send_response(head, length, out).map_err(|m| misuse(&m))?;
        if self.engine.is_sent() {
            slot.sending = Sending::Ended;
        }
        Ok(())
    }

    fn inform(&mut self, id: u32, head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Fault> {
        if id != self.cycle {
            return Err(gone());
        }
        self.engine.send_informational(head, out).map_err(|m| misuse(&m))
    }

    fn send_data(&mut self, id: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let Some(slot) = self.slot.as_mut().filter(|_| id == self.cycle) else { return Err(gone()) };
        if matches!(self.mode, Mode::Tunnel | Mode::TunnelEnded) {
            out.extend_from_slice(data);
            if end == End::Last {
                slot.sending = Sending::Ended;
            }
            return Ok(data.len());
        }
        let n = self.engine.send_data(data, end, out).map_err(|m| misuse(&m))?;
        if end == End::Last && n == data.len() {
            slot.sending = Sending::Ended;
        }
        Ok(n)
    }

    fn send_trailers(&mut self, id: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(slot) = self.slot.as_mut().filter(|_| id == self.cycle) else { return Err(gone()) };
        self.engine.send_trailers(trailers, out).map_err(|m| misuse(&m))?;
        slot.sending = Sending::Ended;
        Ok(())
    }

    fn took(&mut self, _id: u32, _n: usize, _out: &mut Vec<u8>) {}

    fn read_ahead(&mut self, id: u32, n: usize) {
        if id == self.cycle {
            // Behind so much is its end.
            self.ahead = n.max(self.usual).saturating_add(1);
        }
    }

    fn reset(&mut self, id: u32, _code: u32, _now: Instant, _out: &mut Vec<u8>, _wakes: &mut Wakes) -> Option<Cause> {
        if id != self.cycle || self.slot.is_none() {
            return None;
        }
        Some(Cause::new(ErrorKind::Cancelled, CloseReason::Shutdown, GIVEN_UP))
    }

    fn drop_slot(&mut self, id: u32, now: Instant, _out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause> {
        if id != self.cycle {
            return None;
        }
        let mut slot = self.slot.take()?;
        // Also when it is over: who waits in line has to be told.
        wakes.extend(self.line.drain(..));
        let little = self.engine.rest().is_some_and(|left| left > 0 && left <= MUCH);
        if self.role == Role::Server && self.mode == Mode::Messages && slot.sending == Sending::Ended && little {
            self.waiting = Waiting::Rest(now);
            return None;
        }
        if self.mode != Mode::Messages || !slot.is_complete() || !self.engine.is_received() {
            // What was answered has still to arrive, even if nobody wants the rest of what was asked.
            let reason = if self.role == Role::Server && slot.sending == Sending::Ended {
                CloseReason::Finished
            } else {
                CloseReason::Shutdown
            };
            return Some(Cause::new(ErrorKind::Closed, reason, "an exchange was given up before its end"));
        }
        if !self.engine.persists() {
            let text = "the connection served its last exchange";
            return Some(Cause::new(ErrorKind::Closed, CloseReason::Finished, text));
        }
        match self.role {
            Role::Server if self.engine.next_cycle().is_err() => Some(Cause::violation("the connection cannot go on")),
            Role::Server => {
                self.waiting = Waiting::Begin(now);
                None
            }
            Role::Client => {
                *slot = Slot::new(Position::MAX);
                self.spare = Some(slot);
                None
            }
        }
    }

    fn discard_body(&mut self, id: u32) -> bool {
        let Some(slot) = self.slot.as_mut().filter(|_| id == self.cycle) else { return false };
        slot.body.clear();
        let unwanted = slot.sending == Sending::Ended || self.forgone;
        self.mode == Mode::Messages && unwanted && !self.engine.is_received()
    }

    fn forgo(&mut self, id: u32) -> Forgone {
        if id != self.cycle || self.role != Role::Server || self.mode != Mode::Messages || !self.engine.persists() {
            return Forgone::Settled;
        }
        self.forgone = true;
        match self.engine.rest() {
            Some(left) if left <= MUCH => Forgone::Settled,
            Some(_) => Forgone::TooMuch,
            None if self.engine.wants_continue() => Forgone::Settled,
            None => Forgone::Unknown,
        }
    }

    fn left_of_body(&self, id: u32) -> Option<u64> {
        if id == self.cycle { self.engine.expects() } else { None }
    }

    fn wants_continue(&self, id: u32) -> bool {
        id == self.cycle && self.engine.wants_continue()
    }

    fn take_tunnel(&mut self) -> RecvBuf {
        self.slot.as_mut().map(|slot| std::mem::take(&mut slot.body)).unwrap_or_default()
    }

    fn is_clear(&self, id: u32) -> bool {
        let empty = self.slot.as_ref().is_some_and(|slot| slot.body.is_empty() && slot.sending == Sending::Open);
        id == self.cycle && self.mode == Mode::Tunnel && empty
    }

    fn is_tunnel(&self, id: u32) -> bool {
        id == self.cycle && matches!(self.mode, Mode::Tunnel | Mode::TunnelEnded)
    }
}

fn gone() -> Fault {
    Fault::Misuse("the exchange is over".into())
}

fn misuse(misuse: &Misuse) -> Fault {
    Fault::Misuse(misuse.to_string().into())
}
