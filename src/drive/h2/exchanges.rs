//! What the owners of exchanges, and those who watch over the connection, want of the engine.

use super::{
    super::{
        carrier::{Exchanges, Opened, Opening, Refused},
        duplex::Position,
        fault::{CANCEL, Cause, Fault, GIVEN_UP, INTERNAL_ERROR, NO_ERROR},
        info::{CloseReason, UpkeepAction},
        next_id,
        slot::{Receiving, Sending, Slot, Wakes},
        slots::InLine,
    },
    Calm, H2, misuse,
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    net::Waker,
    proto::{End, Role, h1::Length, h2},
};
use http::{HeaderMap, Response, Version};
use std::time::{Duration, Instant};

impl Exchanges for H2 {
    const VERSION: Version = Version::HTTP_2;

    fn slot(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots.get(id)
    }

    fn open(&mut self, opening: &Opening<'_>, at: Position, now: Instant, out: &mut Vec<u8>) -> Result<Opened, Fault> {
        let end = if is_empty(opening.length) { End::Last } else { End::More };
        match self.engine.open(opening.head, end, now, out).map_err(misuse)? {
            h2::Opened::Blocked => Ok(Opened::Blocked),
            h2::Opened::Closed => Ok(Opened::Closed),
            h2::Opened::Stream(id) => {
                let mut slot = Box::new(Slot::new(at));
                if end == End::Last {
                    slot.sending = Sending::Ended;
                }
                self.slots.insert(id, slot);
                self.requests += 1;
                Ok(Opened::Stream(id))
            }
        }
    }

    fn slept(&mut self, asleep: impl FnOnce() -> Duration) {
        self.engine.slept(asleep());
    }

    fn wait_to_open(&mut self, waker: &Waker) {
        if !self.line.iter().any(|w| w.same(waker)) {
            self.line.push_back(waker.clone());
        }
    }

    fn queue(&mut self, opening: &Opening<'_>) -> Option<u64> {
        let end = if is_empty(opening.length) { End::Last } else { End::More };
        let ticket = next_id();
        self.queue.waiting.insert(ticket, InLine { head: opening.head.clone(), end, waker: None, attended: false });
        Some(ticket)
    }

    fn wait_in_line(&mut self, ticket: u64, waker: &Waker) {
        if let Some(in_line) = self.queue.waiting.get_mut(&ticket) {
            (in_line.waker, in_line.attended) = (Some(waker.clone()), true);
        }
    }

    fn take_queued(&mut self, ticket: u64) -> Option<Result<Opened, Fault>> {
        self.queue.called.remove(&ticket)
    }

    fn rest_in_line(&mut self, ticket: u64) {
        if let Some(in_line) = self.queue.waiting.get_mut(&ticket) {
            in_line.attended = false;
        }
    }

    fn follows_in_line(&self, ticket: u64, waker: &Waker) -> bool {
        let before = self.queue.waiting.range(..ticket).next_back();
        before.is_some_and(|(_, before)| before.attended && before.waker.as_ref().is_some_and(|w| w.same(waker)))
    }

    fn in_line(&self) -> Wakes {
        let mut wakes = Wakes::new();
        wakes.extend(self.queue.waiting.values().filter_map(|in_line| in_line.waker.clone()));
        wakes
    }

    fn leave_queue(&mut self, ticket: u64) {
        self.queue.waiting.remove(&ticket);
    }

    fn accept(&mut self) -> Option<u32> {
        self.incoming.pop_front()
    }

    fn take_refused(&mut self) -> Option<Refused> {
        self.refused.pop_front()
    }

    fn is_over_for_new(&self) -> bool {
        self.role == Role::Client && self.engine.is_draining()
    }

    fn is_idle(&self) -> bool {
        self.engine.open_streams() == 0
    }

    fn awaits_since(&self) -> Option<Instant> {
        self.idle
    }

    fn take_calm(&mut self) -> bool {
        let asked = self.calm == Calm::Asked;
        if asked {
            self.calm = Calm::Told;
        }
        asked
    }

    fn is_clogged(&self) -> bool {
        self.engine.is_clogged()
    }

    fn has_room(&self) -> bool {
        !self.engine.is_draining() && self.engine.has_slot()
    }

    fn served(&self) -> u64 {
        self.requests
    }

    fn extended_connect(&self) -> Option<bool> {
        self.engine.is_confirmed().then(|| self.engine.extended_connect())
    }

    fn is_suspect(&self, now: Instant) -> bool {
        self.engine.is_suspect() || self.engine.is_ping_late(now)
    }

    fn upkeep(&mut self, interval: Duration, used: Option<Instant>, now: Instant, out: &mut Vec<u8>) -> UpkeepAction {
        if self.engine.ping_outstanding().is_some() {
            return UpkeepAction::AwaitingAck;
        }
        if now.saturating_duration_since(self.last_activity(used)) < interval {
            return UpkeepAction::NotDue;
        }
        let payload = self.engine.ping_payload();
        match self.engine.ping(payload, now, out) {
            Ok(()) => {
                self.kept = true;
                UpkeepAction::Pinged
            }
            Err(_) => UpkeepAction::NotDue,
        }
    }

    fn upkeep_due(&self, interval: Duration, used: Option<Instant>) -> Option<Instant> {
        match self.engine.ping_outstanding() {
            Some(_) => self.engine.deadline(),
            None => self.last_activity(used).checked_add(interval),
        }
    }

    fn ping(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<Option<u64>, Fault> {
        if self.engine.ping_outstanding().is_none() {
            let payload = self.engine.ping_payload();
            self.engine.ping(payload, now, out).map_err(misuse)?;
        }
        Ok(Some(self.engine.pings_acked() + 1))
    }

    fn pinged(&mut self, acked: u64, waker: &Waker) -> Option<Duration> {
        if self.engine.pings_acked() >= acked {
            return self.engine.rtt();
        }
        if !self.pinging.iter().any(|w| w.same(waker)) {
            self.pinging.push(waker.clone());
        }
        None
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        self.engine.drain(out);
    }

    fn respond(&mut self, id: u32, head: &Response<()>, length: Length, out: &mut Vec<u8>) -> Result<(), Fault> {
        let end = if is_empty(length) { End::Last } else { End::More };
        let Some(slot) = self.slots.get(id) else { return Err(gone()) };
        if let Receiving::Failed(fault) = &slot.receiving {
            return Err(fault.clone());
        }
        self.engine.respond(id, head, end, out).map_err(misuse)?;
        if end == End::Last {
            slot.sending = Sending::Ended;
        }
        Ok(())
    }

    fn inform(&mut self, id: u32, head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.engine.inform(id, head, out).map_err(misuse)
    }

    fn window(&self, id: u32) -> usize {
        self.engine.send_window_of(id)
    }

    fn send_data(&mut self, id: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let n = self.engine.send_data(id, data, end, out).map_err(misuse)?;
        if n == 0 && !data.is_empty() && self.heard_all {
            // Nobody will open the windows any more.
            return Err(Fault::Over(Cause::closed_by_peer()));
        }
        if end == End::Last && n == data.len() {
            self.on(id, |slot| slot.sending = Sending::Ended);
        }
        Ok(n)
    }

    fn send_trailers(&mut self, id: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.engine.send_trailers(id, trailers, out).map_err(misuse)?;
        self.on(id, |slot| slot.sending = Sending::Ended);
        Ok(())
    }

    fn took(&mut self, id: u32, n: usize, out: &mut Vec<u8>) {
        if self.role == Role::Server {
            self.limit_unread();
        }
        // A stream that is over in the meantime needs no credit.
        let _ = self.engine.release(id, n, out);
    }

    fn wants(&mut self, id: u32, out: &mut Vec<u8>) {
        if self.role == Role::Server {
            self.limit_unread();
        }
        self.engine.want(id, out);
    }

    fn reset(&mut self, id: u32, code: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause> {
        // A stream that is over already is not reset.
        let _ = self.cancel(id, code, now, out);
        let fault = match self.role {
            Role::Client => Fault::Failed(ErrorKind::Cancelled, GIVEN_UP.into()),
            Role::Server => Fault::Reset(code),
        };
        self.on(id, |slot| slot.fail(&fault, wakes));
        None
    }

    fn drop_slot(&mut self, id: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause> {
        let mut slot = self.slots.remove(id)?;
        if self.role == Role::Server {
            self.taken.give_back();
            if self.slots.list.is_empty() {
                self.idle = Some(now);
            }
        }
        if !slot.is_complete() && !matches!(slot.receiving, Receiving::Failed(_)) {
            // Our message is complete and only the peer's is not wanted, or the other way round, as the RFC has it for answers
            // that came before the end of the request (RFC 9113, section 8.1).
            let done = match self.role {
                Role::Client => matches!(slot.receiving, Receiving::Ended),
                Role::Server => slot.sending == Sending::Ended,
            };
            let code = match self.role {
                _ if done => NO_ERROR,
                // A part of an answer: its body panicked, for one.
                Role::Server if !slot.tunnel => INTERNAL_ERROR,
                Role::Client | Role::Server => CANCEL,
            };
            let _ = self.cancel(id, code, now, out);
            slot.fail(&Fault::Reset(CANCEL), wakes);
        } else if !slot.body.is_empty() {
            // A reset credits what is unread by itself, and not the stream.
            let _ = self.engine.release(id, slot.body.len(), out);
        }
        (self.heard_all && self.slots.list.is_empty()).then(|| {
            self.engine.close(out);
            Cause::new(ErrorKind::Closed, CloseReason::Finished, "the connection served its last exchange")
        })
    }

    fn discard_body(&mut self, _id: u32) -> bool {
        false
    }

    fn wants_continue(&self, _id: u32) -> bool {
        false
    }

    fn take_tunnel(&mut self) -> RecvBuf {
        RecvBuf::new()
    }

    fn is_tunnel(&self, _id: u32) -> bool {
        false
    }
}

fn is_empty(length: Length) -> bool {
    matches!(length, Length::Empty | Length::Known(0))
}

fn gone() -> Fault {
    Fault::Misuse("the exchange is over".into())
}
