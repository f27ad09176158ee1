//! SETTINGS: what each side asks of the other (RFC 9113, section 6.5).

use super::{Config, Role, Violation, Window, frame};

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
/// RFC 8441, section 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;

/// What the peer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) header_table: u32,
    /// The smallest that `header_table` was since the SETTINGS before.
    pub(super) smallest_table: u32,
    pub(super) max_streams: Option<u32>,
    pub(super) initial_window: u32,
    pub(super) max_frame: u32,
    pub(super) max_header_list: Option<u32>,
    pub(super) extended_connect: bool,
}

impl Settings {
    /// What holds before anything was said (RFC 9113, section 6.5.2).
    pub(super) const INITIAL: Self = Settings {
        header_table: 4096,
        smallest_table: 4096,
        max_streams: None,
        initial_window: Window::INITIAL,
        max_frame: frame::MIN_MAX_FRAME,
        max_header_list: None,
        extended_connect: false,
    };

    /// Returns the settings after a payload from `peer`: all of it or, if one value is not allowed, nothing. Settings that
    /// are not known are ignored, and of several for one thing the last counts (RFC 9113, section 6.5.3). Of the sizes of the
    /// header table the smallest counts too: the peer's decoder has been there (RFC 7541, section 4.2).
    ///
    /// # Errors
    ///
    /// A [`Violation`] of the connection for a length that is no multiple of six and for values that are not allowed.
    pub(super) fn apply(mut self, peer: Role, payload: &[u8]) -> Result<Self, Violation> {
        if payload.len() % 6 != 0 {
            return Err(Violation::FrameLength { kind: frame::Kind::Settings.byte(), length: payload.len() });
        }
        self.smallest_table = self.header_table;
        for setting in payload.chunks_exact(6) {
            let value = frame::u32_at(setting, 2);
            match u16::from_be_bytes([setting[0], setting[1]]) {
                HEADER_TABLE_SIZE => {
                    self.header_table = value;
                    self.smallest_table = self.smallest_table.min(value);
                }
                ENABLE_PUSH if value > 1 || (value == 1 && peer == Role::Server) => {
                    return Err(Violation::EnablePushValue(value));
                }
                MAX_CONCURRENT_STREAMS => self.max_streams = Some(value),
                INITIAL_WINDOW_SIZE if value > frame::MAX_31 => return Err(Violation::InitialWindowValue(value)),
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(frame::MIN_MAX_FRAME..=frame::MAX_MAX_FRAME).contains(&value) => {
                    return Err(Violation::MaxFrameValue(value));
                }
                MAX_FRAME_SIZE => self.max_frame = value,
                MAX_HEADER_LIST_SIZE => self.max_header_list = Some(value),
                ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Violation::ConnectProtocolValue(value)),
                ENABLE_CONNECT_PROTOCOL if value == 0 && self.extended_connect => {
                    return Err(Violation::ConnectProtocolWithdrawn);
                }
                ENABLE_CONNECT_PROTOCOL => self.extended_connect = value == 1,
                _ => {}
            }
        }
        Ok(self)
    }
}

/// Appends our SETTINGS, and what takes the window of the connection to its size.
pub(super) fn announce(role: Role, config: &Config, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; frame::HEADER]);
    payload(role, config, out);
    let length = out.len() - start - frame::HEADER;
    let header = frame::Header { length, kind: frame::Kind::Settings, flags: 0, stream: 0 };
    out[start..start + frame::HEADER].copy_from_slice(&header.bytes());
    let more = config.connection_window - Window::INITIAL;
    if more > 0 {
        frame::window_update(0, more, out);
    }
}

/// Appends the payload of our SETTINGS.
pub(super) fn payload(role: Role, config: &Config, out: &mut Vec<u8>) {
    let mut put = |id: u16, value: u32| {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    };
    if config.header_table != Settings::INITIAL.header_table {
        put(HEADER_TABLE_SIZE, config.header_table);
    }
    match role {
        Role::Client => put(ENABLE_PUSH, 0),
        Role::Server => put(MAX_CONCURRENT_STREAMS, config.max_streams),
    }
    put(INITIAL_WINDOW_SIZE, config.stream_window);
    if config.max_frame != frame::MIN_MAX_FRAME {
        put(MAX_FRAME_SIZE, config.max_frame);
    }
    put(MAX_HEADER_LIST_SIZE, config.header_list);
    if role == Role::Server && config.extended_connect {
        put(ENABLE_CONNECT_PROTOCOL, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    #[test]
    fn every_value_at_its_limits() {
        let known = |f: fn(&mut Settings)| {
            let mut settings = Settings::INITIAL;
            f(&mut settings);
            Ok(settings)
        };
        let table: [(Role, u16, u32, Result<Settings, Violation>); 19] = [
            (Role::Client, 1, 0, known(|s| (s.header_table, s.smallest_table) = (0, 0))),
            (Role::Client, 1, u32::MAX, known(|s| s.header_table = u32::MAX)),
            (Role::Client, 2, 0, known(|_| {})),
            (Role::Client, 2, 1, known(|_| {})),
            (Role::Client, 2, 2, Err(Violation::EnablePushValue(2))),
            (Role::Server, 2, 0, known(|_| {})),
            (Role::Server, 2, 1, Err(Violation::EnablePushValue(1))),
            (Role::Server, 3, 0, known(|s| s.max_streams = Some(0))),
            (Role::Client, 4, (1 << 31) - 1, known(|s| s.initial_window = (1 << 31) - 1)),
            (Role::Client, 4, 1 << 31, Err(Violation::InitialWindowValue(1 << 31))),
            (Role::Client, 5, 16_383, Err(Violation::MaxFrameValue(16_383))),
            (Role::Client, 5, 16_384, known(|_| {})),
            (Role::Client, 5, 16_777_215, known(|s| s.max_frame = 16_777_215)),
            (Role::Client, 5, 16_777_216, Err(Violation::MaxFrameValue(16_777_216))),
            (Role::Client, 6, 0, known(|s| s.max_header_list = Some(0))),
            (Role::Server, 8, 0, known(|_| {})),
            (Role::Server, 8, 1, known(|s| s.extended_connect = true)),
            (Role::Server, 8, 2, Err(Violation::ConnectProtocolValue(2))),
            (Role::Server, 0xaaaa, 7, known(|_| {})),
        ];
        for (peer, id, value, expected) in table {
            assert_eq!(Settings::INITIAL.apply(peer, &one(id, value)), expected, "{peer:?} {id} {value}");
        }
    }

    #[test]
    fn the_last_of_several_counts_and_a_bad_one_spoils_all() {
        let twice = [one(4, 1), one(4, 2)].concat();
        assert_eq!(Settings::INITIAL.apply(Role::Client, &twice).unwrap().initial_window, 2);
        let tables = [one(1, 10), one(1, 5), one(1, 7)].concat();
        let tables = Settings::INITIAL.apply(Role::Client, &tables).unwrap();
        assert_eq!((tables.header_table, tables.smallest_table), (7, 5));
        let tables = tables.apply(Role::Client, &one(1, 8)).unwrap();
        assert_eq!((tables.header_table, tables.smallest_table), (8, 7));
        let spoilt = [one(4, 1), one(5, 0)].concat();
        assert_eq!(Settings::INITIAL.apply(Role::Client, &spoilt), Err(Violation::MaxFrameValue(0)));
        let withdrawn = [one(8, 1), one(8, 0)].concat();
        assert_eq!(Settings::INITIAL.apply(Role::Server, &withdrawn), Err(Violation::ConnectProtocolWithdrawn));
        let cut = Settings::INITIAL.apply(Role::Client, &one(4, 1)[..5]);
        assert_eq!(cut, Err(Violation::FrameLength { kind: 4, length: 5 }));
    }
}
