//! WebSockets: against scripted peers with a framing of their own, in memory, and against the server.

#[path = "websocket/ends.rs"]
mod ends;
#[path = "websocket/opening.rs"]
mod opening;
#[path = "websocket/parts.rs"]
mod parts;
#[path = "websocket/races.rs"]
mod races;
#[path = "websocket/raw.rs"]
mod raw;
#[path = "websocket/receiving.rs"]
mod receiving;
#[path = "websocket/reopening.rs"]
mod reopening;
#[path = "websocket/sending.rs"]
mod sending;
#[path = "websocket/served.rs"]
mod served;
mod support;
#[cfg(feature = "tls")]
#[path = "websocket/tls.rs"]
mod tls;
#[path = "support/wires.rs"]
mod wires;
