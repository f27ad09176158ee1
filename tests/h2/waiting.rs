//! Threads that wait on one HTTP/2 connection: one reads for all, and nothing that one of them does hurts the others.

mod answers;
mod batch;
mod bodies;
mod crowds;
mod leaders;
mod uploads;

use crate::{
    h2client::{builder, get, idle, idle_with, ms},
    h2peer::*,
};
use bowline::{
    Batch, Body, Cancel, Client, Connection, ConnectionState, ErrorKind, Exchange, Hook, Phase, Processed, Protocol,
    Recv, Response, Result, Server, Timeouts, Trace, UpkeepAction,
    http::{HeaderMap, HeaderValue, Version},
    net::{PairEnd, Wire, pair},
};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// The window of a stream, and of the connection, unless something else is said.
const WINDOW: usize = 65_535;

const HUGE: u32 = i32::MAX as u32;

fn client() -> Client {
    builder().build().unwrap()
}

fn post(client: &Client, peer: &Peer, body: Vec<u8>) -> Task<Result<Response>> {
    let request = client.post(peer.url("/")).body(body);
    task(|| request.send())
}

/// A request that nobody answers for now: its thread reads for all.
fn leader(client: &Client, peer: &Peer, link: &mut Link) -> (Task<Result<Response>>, u32) {
    let asked = get(client, peer);
    let head = link.request();
    // It sleeps: whatever it has framed was sent.
    link.assert_quiet(ms(20));
    (asked, head.stream)
}

fn finish(link: &mut Link, asked: Task<Result<Response>>, stream: u32) {
    link.answer(stream, 200, b"bye");
    let answered = Instant::now();
    let (answer, at) = asked.join_at();
    assert_eq!(answer.unwrap().text().unwrap(), "bye");
    assert!(at <= answered + LATE, "late: {:?}", at - answered);
}

const LARGE: u64 = 64 << 20;
