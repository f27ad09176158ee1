//! Sharing, limiting and letting go of HTTP/2 connections, against a peer that is written by hand.

mod begun;
mod bodies;
mod bounds;
mod choice;
mod ending;
mod places;
mod table;

use crate::{
    h2client::{builder, get, idle, idle_with, ms, only},
    h2peer::*,
};
use bowline::{
    Batch, Cancel, Client, CloseReason, ConnectionState, ErrorKind, Hook, Pending, Phase, Processed, Response, Result,
    Timeouts, Trace,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier, Mutex},
    time::{Duration, Instant},
};

fn client() -> Client {
    builder().build().unwrap()
}

/// A request that is on its way when this returns.
fn start(client: &Client, peer: &Peer) -> Pending {
    client.get(peer.url("/")).start()
}

/// Looks at what arrived on every connection, as upkeep does; the intervals are far away.
fn look(client: &Client) {
    client.upkeep();
}
