//! Drivers: an engine, a wire, and the threads that wait.
//!
//! | file | what |
//! |---|---|
//! | `wait` | the one blocking loop |
//! | `turn` | who reads a connection now, independent of any protocol |
//! | `setup` | what a connection is from its beginning, besides its protocol |
//! | `shared` | a connection: one lock, the read and the write role, flushing |
//! | `core` | what is behind the lock: dispatching, deadlines, the end |
//! | `receive` | reading without the lock |
//! | `keep` | what the keeper of a server's connections does with one that nobody waits on |
//! | `duplex` | bytes framed, sealed and not yet sent, and how far the wire has taken them |
//! | `slot` | one exchange as its users see it |
//! | `slots` | those of an HTTP/2 connection, and the line for a stream |
//! | `h1`, `h2` | what the events of an engine do to the slots |
//! | `carrier` | what a connection is to those who own exchanges on it |
//! | `exchange` | that, for every protocol |
//! | `begin`, `sending` | its longer methods: how an exchange begins, how our half of it is sent |
//! | `steps` | what several of its methods do |
//! | `liveness` | PINGs, since when it is unused, the row of the table |
//! | `stream` | the handle of one exchange |
//! | `through` | reading and writing past the buffers, for the owner of a whole connection |
//! | `body` | one body, whatever the protocol below |
//! | `writer`, `upload` | a body that is sent: piece by piece by the program, or from where it comes from |
//! | `inflate` | content codings |
//! | `tunnel` | raw bytes both ways |
//! | `upgrade` | streams that begin otherwise than with a request of ours |
//! | `cancel`, `backoff` | what ends a wait from outside; how long to wait between attempts |
//! | `fault` | why an exchange or a connection ended before its time |
//! | `info`, `record` | the rows of the connection table; what happens, for those who ask later |
//! | `pace` | the least rate at which a peer has to take what it is sent |
//! | `quota` | what the connections of a server have together: how many exchanges, and how much that is unsent or unread |
//!
//! # The rules of waiting and locking
//!
//! 1. The core of a connection is its only lock. It is never held during a read, a write, a wait, a wake or a caller's code.
//! 2. Reading and writing are flags in the core, not locks, so nobody waits for them.
//! 3. Of the threads that wait on a connection one polls its wire and dispatches for all; a follower sleeps on its own
//!    waker with its own deadline.
//! 4. Wakes are sticky. A thread checks its own condition under the core's lock, where it leaves its waker, before every
//!    wait; whoever changes the condition afterwards wakes it.
//! 5. Whoever leaves bytes unsent, or makes an earlier deadline, wakes the reader, which then polls for what is needed now.
//! 6. Whoever stops waiting gives its role back and wakes one waiter if nobody reads any more.
//! 7. A server's connection has a keeper besides: a waker that calls a function of the server. It is woken under the same
//!    rules when a request waits to be accepted, when there is something to watch and nobody does, and when the connection is over.

mod backoff;
mod begin;
mod body;
mod cancel;
mod carrier;
mod core;
mod duplex;
mod exchange;
mod fault;
mod h1;
mod h2;
#[cfg(feature = "gzip")]
mod inflate;
mod info;
mod keep;
mod liveness;
mod pace;
mod quota;
mod receive;
mod record;
mod sending;
mod setup;
mod shared;
mod slot;
mod slots;
mod steps;
mod stream;
mod through;
mod tunnel;
mod turn;
mod upgrade;
mod upload;
mod wait;
mod writer;

pub use backoff::Backoff;
pub use body::{Body, IntoBody};
pub use cancel::{Cancel, Flow};
pub use info::{CloseReason, ConnectionInfo, ConnectionState, GoAway, Upkeep, UpkeepAction};
pub use tunnel::{Tunnel, TunnelReader, TunnelWriter};
pub use writer::BodyWriter;

pub(crate) use body::{Source, WHOLE};
pub(crate) use cancel::{Interrupt, Limits};
pub(crate) use carrier::{
    Accepted, Answer, Begun, Carrier, Ended, Lease, Missing, Opening, Progress, Queued, Refused, Sent as SentPart,
    Tally,
};
pub(crate) use fault::{CANCEL, Cause, Fault, HTTP_1_1_REQUIRED, Http1Status, INTERNAL_ERROR, REFUSED_STREAM, Reused};
pub(crate) use h1::H1;
pub(crate) use h2::H2;
#[cfg(feature = "gzip")]
pub(crate) use inflate::Inflate;
pub(crate) use keep::{Closing, Patience, Rule};
pub(crate) use pace::Pace;
pub(crate) use quota::Quota;
pub(crate) use record::{Happened, Owner, Record};
pub(crate) use setup::Setup;
pub(crate) use shared::Shared;
pub(crate) use stream::{Stream, given_up};
pub(crate) use through::{Passed, Room, Watch, Written, recycle, spare};
pub(crate) use upgrade::{are_h2_settings, raw, serve_h2, to_h2};
pub(crate) use upload::{Stopped, Upload};
pub(crate) use wait::{Waits, block_on, step_once, tell_waits, wait_readable};
pub(crate) use writer::{Asked, keeps_up, overran};

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Returns a number that was not used before in this process: of a connection, a request, a configuration.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns an unpredictable number: the operating system's randomness, as the standard library keys its hash maps with it.
pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(next_id());
    hasher.finish()
}
