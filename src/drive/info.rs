//! What is known of a connection: the rows of the connection table.

use http::Version;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// One row of the connection table: a snapshot.
///
/// # Examples
///
/// ```
/// # fn main() -> bowline::Result<()> {
/// let client = bowline::Client::new();
/// for row in client.connections() {
///     println!("#{} {} {:?}: {} bytes in, {} out", row.id, row.origin, row.state, row.bytes_in, row.bytes_out);
/// }
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Unique in the process, in the order of connecting.
    pub id: u64,
    /// Scheme, host and port it leads to.
    pub origin: String,
    /// The address at the other end; `None` on a wire of the caller's.
    pub peer: Option<SocketAddr>,
    /// What is spoken on it; while it is [`Connecting`](ConnectionState::Connecting) that is not known yet, and HTTP/1.1.
    pub version: Version,
    /// What ALPN selected, if TLS was used and the peer chose.
    pub alpn: Option<String>,
    /// Version and cipher of TLS.
    pub tls: Option<String>,
    /// What it is doing.
    pub state: ConnectionState,
    /// When it was made.
    pub created: Instant,
    /// When the last bytes arrived.
    pub last_in: Instant,
    /// When the last bytes were taken by the kernel.
    pub last_out: Instant,
    /// Exchanges open on it; over HTTP/2 also those that were given up before anything was heard of them, until the peer answers the PING
    /// that went with that: they count against `max_streams`.
    pub open_streams: u32,
    /// How many the peer allows at once (HTTP/2, once its SETTINGS arrived).
    pub max_streams: Option<u32>,
    /// Bytes we may still send on the connection (HTTP/2).
    pub send_window: i64,
    /// Bytes the peer may still send on the connection (HTTP/2).
    pub recv_window: i64,
    /// Requests begun on it.
    pub requests: u64,
    /// Bytes received, as the application protocol counts them (inside TLS).
    pub bytes_in: u64,
    /// Bytes sent, counted in the same way.
    pub bytes_out: u64,
    /// The last round trip time measured by a PING.
    pub rtt: Option<Duration>,
    /// PINGs sent.
    pub pings_sent: u64,
    /// PINGs answered.
    pub pings_acked: u64,
    /// The last GOAWAY received.
    pub goaway: Option<GoAway>,
}

impl ConnectionInfo {
    /// The row of a connection that is being made.
    pub(crate) fn connecting(id: u64, origin: String, since: Instant) -> Self {
        ConnectionInfo {
            id,
            origin,
            peer: None,
            version: Version::HTTP_11,
            alpn: None,
            tls: None,
            state: ConnectionState::Connecting,
            created: since,
            last_in: since,
            last_out: since,
            open_streams: 0,
            max_streams: None,
            send_window: 0,
            recv_window: 0,
            requests: 0,
            bytes_in: 0,
            bytes_out: 0,
            rtt: None,
            pings_sent: 0,
            pings_acked: 0,
            goaway: None,
        }
    }
}

/// A GOAWAY as received (RFC 9113, section 6.8).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The error code.
    pub code: u32,
    /// The last stream the peer may have acted on.
    pub last_id: u32,
    /// What it said besides, at most 256 bytes.
    pub debug: Vec<u8>,
}

/// What a connection is doing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not usable yet: TCP, proxy or TLS.
    Connecting,
    /// Nothing open on it.
    Idle,
    /// Exchanges are open on it.
    Active,
    /// Late with an answer: gets nothing new until it is heard from.
    Suspect,
    /// Finishes what it has, takes nothing new: GOAWAY, stream ids used up, or too old.
    Draining,
    /// Over, and why.
    Closed(CloseReason),
}

/// Why a connection ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nobody used it for the idle limit, or the program asked for it.
    Idle,
    /// It reached its lifetime.
    TooOld,
    /// The peer closed it.
    ByPeer,
    /// A PING stayed unanswered and not one byte came.
    PingUnanswered,
    /// The peer took no bytes for too long.
    WriteStalled,
    /// The peer broke a rule of the protocol.
    Violation,
    /// An error of the operating system.
    Error,
    /// It served its last exchange, as either end had said.
    Finished,
    /// The program shut it down.
    Shutdown,
}

impl CloseReason {
    /// Returns what `upkeep` says about a connection that ended for this reason.
    pub(crate) fn to_action(self) -> UpkeepAction {
        match self {
            Self::PingUnanswered | Self::WriteStalled => UpkeepAction::ClosedDead,
            Self::Idle | Self::TooOld | Self::Shutdown => UpkeepAction::ClosedIdle,
            Self::ByPeer | Self::Violation | Self::Error | Self::Finished => UpkeepAction::ClosedByPeer,
        }
    }
}

/// What `upkeep` did about one connection.
///
/// # Examples
///
/// ```
/// use bowline::{Client, UpkeepAction};
///
/// let client = Client::new();
/// for row in client.upkeep() {
///     if row.action == UpkeepAction::ClosedDead {
///         println!("{} had gone", row.origin);
///     }
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// The connection.
    pub id: u64,
    /// Where it leads.
    pub origin: String,
    /// What it is doing now.
    pub state: ConnectionState,
    /// What was done.
    pub action: UpkeepAction,
    /// The last round trip time measured.
    pub rtt: Option<Duration>,
}

/// What was done; `NotDue` is the usual answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpkeepAction {
    /// Nothing: bytes went out not long ago.
    NotDue,
    /// A PING was sent, or on HTTP/1 the request of upkeep: the kernel has it.
    Pinged,
    /// A PING, or that request, is on its way, and time is left for its answer.
    AwaitingAck,
    /// The answer came while `upkeep_wait` waited.
    Acked,
    /// A PING is due and could not be handed to the kernel: it goes out first thing.
    Blocked,
    /// It was closed: a PING was not answered, and not one byte came.
    ClosedDead,
    /// It was closed: nobody used it for the idle limit, or it was too old.
    ClosedIdle,
    /// It was closed: the peer had ended it, or broke the protocol.
    ClosedByPeer,
    /// HTTP/1, which has no PING: it was looked at, and is alive as far as can be seen. See also
    /// [`upkeep_request`](crate::ClientBuilder::upkeep_request).
    Http1Checked,
}
