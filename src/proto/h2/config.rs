//! What can be set, with the reasons for the defaults.

use super::{Role, frame, settings};
use std::time::Duration;

/// What can be set. Values that the protocol does not allow are brought to the nearest that it does.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How much of one body the peer may send before some of it is released.
    ///
    /// 1 MiB for clients: a body flows at 100 Mbit/s over 80 ms. 256 KiB for servers, whose peers are many.
    pub stream_window: u32,
    /// How much of all bodies together may be on its way; at least 65,535, below which no SETTINGS can bring it.
    ///
    /// 16 MiB for clients, 1 MiB for servers.
    pub connection_window: u32,
    /// Above how many bytes that were delivered and not released, of all streams together, the window of the connection is
    /// credited by what is released only, and as far as a stream is waited for ([`Connection::want`](super::Connection::want)). Without
    /// such waits the most that can be unread is this and `connection_window`.
    ///
    /// 32 MiB for clients, 2 MiB for servers.
    pub unread_limit: usize,
    /// Server: how many streams a client may have open at a time. 128: what nginx and h2o allow.
    pub max_streams: u32,
    /// Client: how many streams are taken to be allowed until the peer's first SETTINGS. 100: the least that a peer should
    /// allow (RFC 9113, section 6.5.2).
    pub streams_before_settings: u32,
    /// The largest header list that is taken (RFC 9113, section 6.5.2). 64 KiB.
    pub header_list: u32,
    /// The most bytes of the tables of header compression, ours and the peer's. 4096, the protocol's default.
    pub header_table: u32,
    /// The largest frame that is taken. 16,384, the protocol's default: larger ones keep others waiting.
    pub max_frame: u32,
    /// Server: whether the extended CONNECT (RFC 8441) is announced.
    pub extended_connect: bool,
    /// How many informational responses to one request are taken. 100: one in 20 seconds for half an hour.
    pub max_informational: u16,
    /// How many CONTINUATION frames a block may have. 32: half a megabyte in frames of the usual size.
    pub max_continuations: u16,
    /// After how long a silence, while streams are open, a PING is sent. 30 s for clients, never for servers.
    pub read_idle_ping: Option<Duration>,
    /// How long nothing may come in while a PING is not answered. 15 s.
    pub ping_ack_timeout: Duration,
    /// Client: after how long a silence a request takes a PING along. 10 s.
    pub probe_after_idle: Option<Duration>,
    /// How long nothing may come in after such a PING. 5 s.
    pub probe_timeout: Duration,
    /// How long the peer may take to acknowledge our SETTINGS. 30 s.
    pub settings_timeout: Option<Duration>,
    /// How many PINGs nobody asked for are sent without HEADERS or DATA either way. 2: some peers cut the connection at the third
    /// (RFC 9113, section 10.5; gRPC's "too_many_pings").
    pub max_unasked_pings: u8,
    /// What the payloads of PINGs are made from: should differ from connection to connection and be hard to guess.
    pub seed: u64,
}

impl Config {
    /// Returns the defaults of a role.
    pub fn new(role: Role) -> Self {
        let client = Config {
            stream_window: 1 << 20,
            connection_window: 16 << 20,
            unread_limit: 32 << 20,
            max_streams: 128,
            streams_before_settings: 100,
            header_list: 64 << 10,
            header_table: 4096,
            max_frame: frame::MIN_MAX_FRAME,
            extended_connect: false,
            max_informational: 100,
            max_continuations: 32,
            read_idle_ping: Some(Duration::from_secs(30)),
            ping_ack_timeout: Duration::from_secs(15),
            probe_after_idle: Some(Duration::from_secs(10)),
            probe_timeout: Duration::from_secs(5),
            settings_timeout: Some(Duration::from_secs(30)),
            max_unasked_pings: 2,
            seed: 0,
        };
        match role {
            Role::Client => client,
            Role::Server => Config {
                stream_window: 256 << 10,
                connection_window: 1 << 20,
                unread_limit: 2 << 20,
                read_idle_ping: None,
                probe_after_idle: None,
                ..client
            },
        }
    }

    /// Returns what a client that asks for an upgrade puts into HTTP2-Settings, before base64url (RFC 7540, section 3.2.1).
    pub fn upgrade_payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        settings::payload(Role::Client, &self.clone().clamped(), &mut payload);
        payload
    }

    /// Returns the configuration with every value in its range.
    pub(super) fn clamped(mut self) -> Self {
        self.stream_window = self.stream_window.min(frame::MAX_31);
        self.connection_window = self.connection_window.clamp(super::Window::INITIAL, frame::MAX_31);
        self.max_frame = self.max_frame.clamp(frame::MIN_MAX_FRAME, frame::MAX_MAX_FRAME);
        self
    }

    /// Returns how many bytes of a compressed block are held: twice what the list may have, for blocks that are refused by
    /// their size and have to be decoded nevertheless, and two frames.
    pub(super) fn block_limit(&self) -> usize {
        2 * self.header_list as usize + 2 * self.max_frame as usize
    }
}

impl Default for Config {
    /// The defaults of a client.
    fn default() -> Self {
        Self::new(Role::Client)
    }
}
