//! WebSockets that block: receive with a time limit, send from any thread.
//!
//! | file | what |
//! |---|---|
//! | `websocket`, `sender`, `receiver` | what a user holds: whole, or in two halves |
//! | `inbound` | the receiving half, as both have it; what it lends |
//! | `outbox` | messages that the peer may not have received |
//! | `parts` | messages in parts, for those who do not want to hold them whole |
//! | `reopen` | opening it again when it breaks |
//! | `socket` | what the halves share: a lock, two roles, the steps of sending and closing |
//! | `out` | what is framed and on its way to the stream, and waiting until it has gone |
//! | `arrive` | how what arrives on the stream becomes what a call wants |
//! | `core`, `stage` | what is behind the lock; how far it is, and the words for what is asked of it |
//! | `config`, `message` | settings; messages, close codes, counters |
//!
//! A socket runs on one stream of a driver: a whole HTTP/1 connection behind a 101, a stream of HTTP/2, or any wire. There is no
//! thread: whoever waits to receive answers PINGs, sends heartbeats and what senders left; whoever sends writes.

mod arrive;
mod config;
mod core;
mod inbound;
mod message;
mod out;
mod outbound;
mod outbox;
mod parts;
mod receiver;
mod reopen;
mod sender;
mod socket;
mod stage;
mod websocket;

pub use crate::proto::Role;
pub use config::Config;
pub use message::{CloseCode, Closed, Message, MessageRef, Sent, WsStats};
pub use parts::{MessageReader, MessageWriter};
pub use receiver::WsReceiver;
pub use reopen::Opened;
pub(crate) use reopen::{OnOpen, Open, Opening, Reopen};
pub use sender::WsSender;
pub use websocket::WebSocket;
