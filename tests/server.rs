//! The server over real sockets: scripted clients that speak HTTP/1 byte by byte, and the client of this crate.

#[cfg(feature = "tls")]
#[path = "../src/net/tls/certs.rs"]
mod certs;
#[path = "server/raw.rs"]
mod raw;

#[path = "server/backlog.rs"]
mod backlog;
#[path = "server/basics.rs"]
mod basics;
#[path = "server/bounds.rs"]
mod bounds;
#[path = "server/crowds.rs"]
mod crowds;
#[path = "server/dawdlers.rs"]
mod dawdlers;
#[path = "server/files.rs"]
mod files;
#[path = "server/h2.rs"]
mod h2;
#[path = "server/lengths.rs"]
mod lengths;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/load.rs"]
mod load;
#[path = "server/ours.rs"]
mod ours;
#[cfg(target_os = "linux")]
#[path = "server/peers.rs"]
mod peers;
#[path = "server/queue.rs"]
mod queue;
#[path = "server/record.rs"]
mod record;
#[path = "server/shutdown.rs"]
mod shutdown;
#[path = "server/smuggling.rs"]
mod smuggling;
#[path = "server/strict.rs"]
mod strict;
#[path = "server/times.rs"]
mod times;
#[cfg(feature = "tls")]
#[path = "server/tls.rs"]
mod tls;
#[path = "server/unread.rs"]
mod unread;
