//! The client over HTTP/1 against scripted peers: framings, reuse, interim answers, uploads.

mod answers;
mod cap;
mod dropped;
mod expect;
mod reuse;
#[path = "../support/mod.rs"]
mod support;
mod uploads;

use bowline::{Attempt, Body, Error, ErrorKind, Hook, Phase, Processed, Recv, Response, Timeouts, Trace, Verdict};
use std::{
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};
use support::{Conn, Pattern, Peer, builder, client, ms, pass, peer, prompt, timed};

/// A peer that gives this answer to the first request, then closes.
fn says(answer: &'static [u8]) -> Peer {
    peer(move |_, mut conn| {
        conn.request();
        conn.say(answer);
    })
}

/// Reads a body to its end, or its error.
fn whole(response: Response) -> Result<Vec<u8>, Error> {
    response.bytes()
}
