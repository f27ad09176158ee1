//! What a connection may be doing when its peer is lost.

use crate::{Ground, LATE, PING_ACK_TIMEOUT, PROBE_AFTER_IDLE, PROBE_TIMEOUT, READ_IDLE_PING, UPKEEP_INTERVAL};
use bowline::{Body, Client, CloseReason, ConnectionInfo, ErrorKind, Processed};
use std::{
    error::Error,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

type Outcome<T = String> = Result<T, Box<dyn Error>>;
type Case = fn(&Ground) -> Outcome;

pub const ALL: [(&str, Case); 6] = [
    ("idle, a POST", idle_post),
    ("idle, a GET", idle_get),
    ("idle, a thread keeps it", kept),
    ("waiting", waiting),
    ("waiting beside an upload", beside_an_upload),
    ("an upload", upload),
];

/// Bytes that the peer has got before it is lost: an upload is well under way.
const UNDER_WAY: u64 = 4 << 20;

/// A connection that has answered.
fn connected(ground: &Ground, client: &Client) -> Outcome<ConnectionInfo> {
    ground.peer.answer(true);
    let response = client.get(&ground.url).send()?;
    Ok(response.connection().clone())
}

/// Asks again once there is a network: on another connection.
fn afterwards(ground: &Ground, client: &Client, lost: u64) -> Outcome<()> {
    ground.heal()?;
    ground.peer.answer(true);
    let response = client.post(&ground.url).send()?;
    is("a connection that was lost is used again", response.connection().id != lost)?;
    is("the first request behind it needs one attempt", response.attempts() == 1)
}

fn is(what: &str, fine: bool) -> Outcome<()> {
    if fine { Ok(()) } else { Err(format!("not so: {what}").into()) }
}

/// Whether something took as long as it should.
fn took(what: &str, took: Duration, least: Duration, most: Duration) -> Outcome {
    let report = format!("{what} after {took:.0?} ({least:?} to {most:?})");
    if took < least || took > most { Err(report.into()) } else { Ok(report) }
}

/// Whether it is the error of a connection that was found dead, and why that was closed.
fn dead(ground: &Ground, e: &bowline::Error, connection: u64) -> Outcome<()> {
    // Another thread may be about to say so.
    let (_, reason) = closed(ground, connection)?;
    let fine = e.kind() == ErrorKind::Closed
        && e.processed() == Processed::Maybe
        && e.attempts() == 1
        && reason == CloseReason::PingUnanswered;
    if fine { Ok(()) } else { Err(format!("{e:?}, closed {reason:?}").into()) }
}

/// The connection is idle for so long that a request on it carries a PING.
fn idle_post(ground: &Ground) -> Outcome {
    let client = ground.client(false)?;
    let lost = connected(ground, &client)?.id;
    sleep(PROBE_AFTER_IDLE + PROBE_AFTER_IDLE / 4);
    let cut = ground.cut()?;
    let e = client.post(&ground.url).send().err().ok_or("it was answered")?;
    let report = took("probed", cut.elapsed(), PROBE_TIMEOUT, PROBE_TIMEOUT + LATE)?;
    dead(ground, &e, lost)?;
    afterwards(ground, &client, lost)?;
    Ok(report)
}

/// The same, with a request that may be sent again: it is, on a connection of its own.
fn idle_get(ground: &Ground) -> Outcome {
    let client = ground.client(false)?;
    let lost = connected(ground, &client)?.id;
    sleep(PROBE_AFTER_IDLE + PROBE_AFTER_IDLE / 4);
    let cut = ground.cut()?;
    let asked = {
        let (client, url) = (client.clone(), ground.url.clone());
        thread::spawn(move || client.get(url).send())
    };
    let (closed, reason) = closed(ground, lost)?;
    let report = took("probed", closed - cut, PROBE_TIMEOUT, PROBE_TIMEOUT + LATE)?;
    is("closed because the PING was not answered", reason == CloseReason::PingUnanswered)?;
    ground.heal()?;
    let response = join(asked)??;
    is(
        "answered at the second attempt, on another connection",
        response.attempts() == 2 && response.connection().id != lost,
    )?;
    afterwards(ground, &client, lost)?;
    Ok(report)
}

/// Nobody asks for anything; a thread of the client's keeps the connection alive.
fn kept(ground: &Ground) -> Outcome {
    let client = ground.client(true)?;
    let lost = connected(ground, &client)?.id;
    let cut = ground.cut()?;
    let last_in = last_in(&client, lost).unwrap_or(cut);
    let (closed, reason) = closed(ground, lost)?;
    is("closed because the PING was not answered", reason == CloseReason::PingUnanswered)?;
    took("closed since the last byte", closed - last_in, PING_ACK_TIMEOUT, Duration::MAX)?;
    let report = took("closed", closed - cut, Duration::ZERO, UPKEEP_INTERVAL + PING_ACK_TIMEOUT + LATE)?;
    afterwards(ground, &client, lost)?;
    Ok(report)
}

/// Threads wait for answers.
fn waiting(ground: &Ground) -> Outcome {
    let client = ground.client(false)?;
    let lost = connected(ground, &client)?.id;
    let waiters = wait_for_answers(ground, &client)?;
    found_dead(ground, &client, lost, waiters)
}

/// As [`waiting`], and another thread is blocked in a write.
fn beside_an_upload(ground: &Ground) -> Outcome {
    let client = ground.client(false)?;
    let lost = connected(ground, &client)?.id;
    let mut threads = wait_for_answers(ground, &client)?;
    threads.push(begin_upload(ground, &client)?);
    found_dead(ground, &client, lost, threads)
}

/// Nobody but the thread that is blocked in a write is there.
fn upload(ground: &Ground) -> Outcome {
    let client = ground.client(false)?;
    let lost = connected(ground, &client)?.id;
    ground.peer.answer(false);
    let uploader = begin_upload(ground, &client)?;
    found_dead(ground, &client, lost, vec![uploader])
}

/// How a request ended, and when; for an upload also when its last bytes were taken.
struct End {
    error: Option<bowline::Error>,
    at: Instant,
    stuck_since: Option<Instant>,
}

fn wait_for_answers(ground: &Ground, client: &Client) -> Outcome<Vec<JoinHandle<End>>> {
    ground.peer.answer(false);
    let before = ground.peer.seen().requests;
    let waiters = (0..4)
        .map(|_| {
            let (client, url) = (client.clone(), ground.url.clone());
            thread::spawn(move || {
                let error = client.post(url).send().err();
                End { error, at: Instant::now(), stuck_since: None }
            })
        })
        .collect();
    is("the peer has the requests", ground.peer.until(|seen| seen.requests == before + 4))?;
    Ok(waiters)
}

fn begin_upload(ground: &Ground, client: &Client) -> Outcome<JoinHandle<End>> {
    let before = ground.peer.seen().uploaded;
    let (client, url) = (client.clone(), ground.url.clone());
    let uploader = thread::spawn(move || {
        let begin = Instant::now();
        let taken = Arc::new(AtomicU64::new(0));
        let body = Endless { begin, taken: taken.clone() };
        let error = client.post(url).body(Body::from_reader(body)).send().err();
        let stuck = begin + Duration::from_micros(taken.load(Ordering::SeqCst));
        End { error, at: Instant::now(), stuck_since: Some(stuck) }
    });
    is("the upload is under way", ground.peer.until(|seen| seen.uploaded >= before + UNDER_WAY))?;
    Ok(uploader)
}

/// A body without an end, which notes when bytes of it were last taken, in microseconds since it began.
struct Endless {
    begin: Instant,
    taken: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        piece.fill(b'x');
        self.taken.store(self.begin.elapsed().as_micros() as u64, Ordering::SeqCst);
        Ok(piece.len())
    }
}

/// The peer is lost; all of these have to learn it in time, and none too early.
fn found_dead(ground: &Ground, client: &Client, lost: u64, threads: Vec<JoinHandle<End>>) -> Outcome {
    let cut = ground.cut()?;
    // What had arrived may still have to be read.
    sleep(READ_IDLE_PING / 2);
    let last_in = last_in(client, lost).ok_or("the connection is gone already")?;
    let (least, most) = (READ_IDLE_PING + PING_ACK_TIMEOUT, READ_IDLE_PING + PING_ACK_TIMEOUT + LATE);
    let mut report = String::new();
    for (number, thread) in threads.into_iter().enumerate() {
        let end = join(thread)?;
        took("since the last byte", end.at - last_in, least, Duration::MAX)?;
        report = took("found dead", end.at - cut, Duration::ZERO, most).map_err(|e| format!("thread {number}: {e}"))?;
        if let Some(since) = end.stuck_since {
            is("the upload was blocked in a write", end.at - since > PING_ACK_TIMEOUT / 2)?;
            report = format!("{report}, blocked for {:.0?}", end.at - since);
        }
        dead(ground, &end.error.ok_or("it was answered")?, lost)?;
    }
    afterwards(ground, client, lost)?;
    Ok(report)
}

fn last_in(client: &Client, id: u64) -> Option<Instant> {
    client.connections().into_iter().find(|row| row.id == id).map(|row| row.last_in)
}

/// Waits until that connection is closed.
fn closed(ground: &Ground, id: u64) -> Outcome<(Instant, CloseReason)> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(closed) = ground.log.closed(id) {
            return Ok(closed);
        }
        is("it is closed in the end", Instant::now() < until)?;
        sleep(Duration::from_millis(1));
    }
}

fn join<T>(thread: JoinHandle<T>) -> Outcome<T> {
    thread.join().map_err(|_| "a thread has panicked".into())
}
