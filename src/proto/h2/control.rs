//! The frames that carry neither heads nor data (RFC 9113, sections 6.3 to 6.9).

use super::{
    Connection, ErrorCode, Event, Failure, Flood, Role, Violation,
    frame::{self, Header},
    receive::{Progress, Step},
    settings::Settings,
    stream::{Blocked, RecvHalf, SendHalf},
};
use std::time::Instant;

impl Connection {
    /// PRIORITY (RFC 9113, section 6.3): checked and ignored.
    pub(super) fn priority(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        self.guard.count(Flood::Priority, now)?;
        let (stream, length) = (header.stream, header.length);
        let violation = match length {
            5 if frame::dependency(payload) == Some(stream) => Violation::DependsOnItself { stream },
            5 => return Ok(Progress::Moved),
            _ => Violation::FrameLength { kind: header.kind.byte(), length },
        };
        if self.is_idle(stream) {
            // A stream error, but RST_STREAM must not be sent for an idle stream (RFC 9113, section 6.4).
            return Err(violation);
        }
        match self.streams.live(stream) {
            Some(_) => self.violate(now, stream, violation, out),
            None => Ok(Progress::Moved),
        }
    }

    /// RST_STREAM (RFC 9113, section 6.4).
    pub(super) fn rst_stream(&mut self, now: Instant, header: Header, payload: &[u8]) -> Result<Progress, Violation> {
        self.check_not_idle(&header)?;
        let (stream, code) = (header.stream, ErrorCode(frame::u32_at(payload, 0)));
        let Some(live) = self.streams.live(stream) else {
            self.guard.count(Flood::Ignored, now)?;
            return Ok(Progress::Moved);
        };
        let answered = self.role == Role::Client && live.recv == RecvHalf::Ended && live.send != SendHalf::Ended;
        self.finish(stream);
        self.remember_reset(stream);
        if answered && code == ErrorCode::NO_ERROR {
            return Ok(self.give(Event::StopSending { stream }));
        }
        self.count_reset(now)?;
        Ok(self.give(Event::Failed { stream, failure: Failure::Reset(code) }))
    }

    /// SETTINGS (RFC 9113, section 6.5).
    pub(super) fn settings(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        if header.has(frame::ACK) {
            if self.liveness.settings_sent.take().is_none() {
                return Err(Violation::SettingsAckUnexpected);
            }
            if self.config.header_table != Settings::INITIAL.header_table {
                self.decoder.set_max_table(self.config.header_table as usize);
            }
            let early = std::mem::take(&mut self.early);
            if early > 0 {
                let shrunk: Result<(), Violation> = self.streams.try_for_each(|stream| {
                    stream.inlet.shrink(early);
                    Ok(())
                });
                shrunk?;
            }
            return Ok(Progress::Moved);
        }
        self.guard.count(Flood::Settings, now)?;
        let peer_role = if self.role == Role::Client { Role::Server } else { Role::Client };
        let peer = self.peer.apply(peer_role, payload)?;
        self.adopt(peer)?;
        self.confirmed = true;
        self.reply(out, frame::settings_ack);
        Ok(self.give(Event::Settings))
    }

    /// Applies what the peer asked for (RFC 9113, sections 6.5.3 and 6.9.2).
    pub(super) fn adopt(&mut self, peer: Settings) -> Result<(), Violation> {
        let delta = i64::from(peer.initial_window) - i64::from(self.peer.initial_window);
        if delta != 0 {
            let blocked = &mut self.blocked;
            self.streams.try_for_each(|stream| {
                let overflow = |_| Violation::WindowOverflow { stream: stream.id };
                stream.window = stream.window.adjust(delta).map_err(overflow)?;
                if stream.blocked == Blocked::Stream && stream.window.available() > 0 {
                    stream.blocked = Blocked::Connection;
                    blocked.push_back(stream.id);
                }
                Ok(())
            })?;
        }
        // Nothing happens where a size is what it was.
        for size in [peer.smallest_table, peer.header_table] {
            self.encoder.set_max_table(size.min(self.config.header_table) as usize);
        }
        self.peer = peer;
        Ok(())
    }

    /// PING (RFC 9113, section 6.7).
    pub(super) fn pinged(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let payload: [u8; 8] = payload.try_into().expect("the length was checked");
        if !header.has(frame::ACK) {
            self.guard.count(Flood::Ping, now)?;
            self.reply(out, |out| frame::ping(frame::ACK, payload, out));
            return Ok(Progress::Moved);
        }
        let Some(rtt) = self.liveness.answer(payload, now) else {
            self.guard.count(Flood::Ignored, now)?;
            return Ok(Progress::Moved);
        };
        self.held = 0;
        Ok(self.give(Event::PingAcked { payload, rtt }))
    }

    /// GOAWAY (RFC 9113, section 6.8).
    pub(super) fn go_away(&mut self, now: Instant, header: Header, payload: &[u8]) -> Result<Progress, Violation> {
        self.guard.count(Flood::GoAway, now)?;
        let (last_id, code) = (frame::u31(payload, 0), ErrorCode(frame::u32_at(payload, 4)));
        if let Some(before) = self.goaway_in.filter(|before| last_id > *before) {
            return Err(Violation::GoAwayRaised { last: last_id, before });
        }
        self.goaway_in = Some(last_id);
        self.wants_slot = false;
        if self.role == Role::Client {
            self.refusing = Some(last_id);
        }
        Ok(Progress::Step(Step::GoAway { last_id, code, debug: header.length - 8 }))
    }

    /// WINDOW_UPDATE (RFC 9113, section 6.9).
    pub(super) fn window_update(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        self.guard.count(Flood::WindowUpdate, now)?;
        let (stream, increment) = (header.stream, frame::u31(payload, 0));
        if stream == 0 {
            if increment == 0 {
                return Err(Violation::IncrementZero { stream });
            }
            let overflow = |_| Violation::WindowOverflow { stream };
            self.window = self.window.adjust(increment.into()).map_err(overflow)?;
            return Ok(Progress::Moved);
        }
        self.check_not_idle(&header)?;
        let Some(live) = self.streams.live(stream) else { return Ok(Progress::Moved) };
        if increment == 0 {
            return self.violate(now, stream, Violation::IncrementZero { stream }, out);
        }
        match live.window.adjust(increment.into()) {
            Ok(window) => live.window = window,
            Err(_) => return self.violate(now, stream, Violation::WindowOverflow { stream }, out),
        }
        if live.blocked == Blocked::Stream && live.window.available() > 0 {
            live.blocked = Blocked::Connection;
            self.blocked.push_back(stream);
        }
        Ok(Progress::Moved)
    }
}
