//! The record of exchanges that are over: counters, and a hook of the program, which is called on a thread of its own.

use crate::{
    drive::{Carrier, Ended, Refused, Stream, Tally, next_id},
    fields::Fields,
    proto::RequestHead,
};
use http::{Method, StatusCode, Uri, Version};
use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How many records wait for the hook; more are left out, and counted.
const KEPT: usize = 1024;

/// How long a server that stops waits for the hook.
const FLUSH: Duration = Duration::from_secs(1);

/// One exchange that is over: a line of an access log. See [`Server::on_exchange`](crate::Server::on_exchange).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ExchangeInfo {
    /// The id of its connection, as in [`ServerHandle::connections`](crate::ServerHandle::connections).
    pub connection: u64,
    /// The client's address; `None` on a Unix socket or a wire of the caller's.
    pub peer: Option<SocketAddr>,
    /// The method; `-` of a request that was refused before that was understood.
    pub method: Method,
    /// The target as it was sent; `-` as the method.
    pub target: Uri,
    /// The version.
    pub version: Version,
    /// The status of the answer; `None` if there was none.
    pub status: Option<StatusCode>,
    /// When the head of the request was complete.
    pub began: SystemTime,
    /// How long it took from there to the end of the answer.
    pub took: Duration,
    /// Bytes of the request's body that arrived; of a tunnel or WebSocket all that did.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were sent, or are about to be; of a tunnel or WebSocket all.
    pub bytes_out: u64,
    /// How it ended.
    pub end: ExchangeEnd,
    /// How many records were left out before this one, because the hook was too slow for them.
    pub missed: u64,
}

/// How an exchange ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeEnd {
    /// The whole answer was handed to the connection.
    Complete,
    /// The server ended it before that: the handler failed behind the head, a time limit passed, or the client broke a rule.
    GivenUp,
    /// The client closed the connection or reset the stream.
    Left,
    /// No handler saw it: too many requests were waiting, or its head was too large, not valid or not complete in time.
    Refused,
}

/// What a server has done so far. See [`ServerHandle::stats`](crate::ServerHandle::stats).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections that are open.
    pub connections: usize,
    /// Connections that were accepted, those among them that were closed at once.
    pub accepted: u64,
    /// Connections that were closed at once, because their client had too many, or too many waited for a place.
    pub turned_away: u64,
    /// Connections that were closed because others needed their places.
    pub evicted: u64,
    /// Exchanges that are not over.
    pub active: usize,
    /// Exchanges whose answer was complete.
    pub complete: u64,
    /// Exchanges the server ended before that.
    pub given_up: u64,
    /// Exchanges the client ended before that.
    pub left: u64,
    /// Requests that no handler saw: because too many were waiting, or because of their heads.
    pub refused: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Bytes of bodies that arrived, of exchanges that are over.
    pub bytes_in: u64,
    /// Bytes of bodies that were sent, of exchanges that are over.
    pub bytes_out: u64,
    /// Requests that wait for a thread.
    pub queued: usize,
    /// Threads that run handlers, or wait for work.
    pub threads: usize,
    /// Those of them that wait inside a handler, for their client or for another server.
    pub waiting: usize,
    /// Records of exchanges that the hook was too slow for.
    pub missed: u64,
}

/// What the program wants to be called for every exchange that is over.
#[derive(Clone)]
pub(super) struct Hook(pub(super) Arc<dyn Fn(&ExchangeInfo) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Hook {
    /// Calls it; a panic is the program's own and ends nothing of ours.
    pub(super) fn call(&self, info: &ExchangeInfo) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.0)(info)));
    }
}

/// What is known of an exchange at its beginning.
pub(super) struct Entry {
    connection: u64,
    peer: Option<SocketAddr>,
    method: Method,
    target: Uri,
    version: Version,
    began: (SystemTime, Instant),
    /// It was written down.
    noted: AtomicBool,
}

impl Entry {
    pub(super) fn new(connection: u64, peer: Option<SocketAddr>, head: &RequestHead, now: Instant) -> Box<Self> {
        let (method, target, version) = (head.method.clone(), head.uri.clone(), head.version);
        Box::new(Entry {
            connection,
            peer,
            method,
            target,
            version,
            began: (SystemTime::now(), now),
            noted: AtomicBool::new(false),
        })
    }

    /// What is known of a request that is no exchange, and what it came to.
    pub(super) fn refused(
        connection: u64,
        peer: Option<SocketAddr>,
        refused: Refused,
        now: Instant,
    ) -> (Box<Self>, Tally) {
        let Refused { version, line, status } = refused;
        let (method, uri) = line.unwrap_or_else(|| {
            let method = Method::from_bytes(b"-").expect("a hyphen is a token");
            (method, Uri::from_static("-"))
        });
        let head = RequestHead { method, uri, version, fields: Fields::new(), protocol: None };
        let tally = Tally { status: Some(status), received: 0, sent: 0, end: Ended::Refused };
        (Entry::new(connection, peer, &head, now), tally)
    }

    pub(super) fn finish(&self, tally: &Tally) -> ExchangeInfo {
        ExchangeInfo {
            connection: self.connection,
            peer: self.peer,
            method: self.method.clone(),
            target: self.target.clone(),
            version: self.version,
            status: tally.status,
            began: self.began.0,
            took: self.began.1.elapsed(),
            bytes_in: tally.received,
            bytes_out: tally.sent,
            end: match tally.end {
                Ended::Complete => ExchangeEnd::Complete,
                Ended::GivenUp => ExchangeEnd::GivenUp,
                Ended::Left => ExchangeEnd::Left,
                Ended::Refused => ExchangeEnd::Refused,
            },
            missed: 0,
        }
    }
}

/// What a server writes down.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) accepted: AtomicU64,
    pub(super) turned_away: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) panics: AtomicU64,
    complete: AtomicU64,
    given_up: AtomicU64,
    left: AtomicU64,
    refusals: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    missed: AtomicU64,
    records: Option<SyncSender<Record>>,
    /// Exchanges that are not over, of which a record is wanted, by a number of their own.
    open: Mutex<HashMap<u64, Open>>,
}

/// An exchange that is not over.
struct Open {
    entry: Arc<Entry>,
    carrier: Arc<dyn Carrier>,
    stream: u32,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("stream", &self.stream).finish_non_exhaustive()
    }
}

enum Record {
    Over(Box<ExchangeInfo>),
    /// Everything before this was dealt with.
    Flush(SyncSender<()>),
}

impl Journal {
    /// A journal that calls `hook`, if there is one, on a thread that ends with the journal.
    ///
    /// # Errors
    ///
    /// If the thread cannot be made.
    pub(super) fn new(hook: Option<Hook>) -> io::Result<Self> {
        let Some(hook) = hook else { return Ok(Journal::default()) };
        let (sender, records) = mpsc::sync_channel(KEPT);
        thread::Builder::new().name("bowline-journal".into()).spawn(move || dictate(&records, &hook))?;
        Ok(Journal { records: Some(sender), ..Journal::default() })
    }

    /// Whether records are wanted.
    pub(super) fn is_read(&self) -> bool {
        self.records.is_some()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes notice of an exchange that begins; returns what is to be given back when it is over.
    pub(super) fn begin(&self, entry: Box<Entry>, stream: &Stream) -> (u64, Arc<Entry>) {
        let (id, entry) = (next_id(), Arc::<Entry>::from(entry));
        let (carrier, stream) = (stream.carrier().clone(), stream.id());
        self.open().insert(id, Open { entry: entry.clone(), carrier, stream });
        (id, entry)
    }

    /// Writes down an exchange that has begun, and is over.
    pub(super) fn end(&self, begun: Option<&(u64, Arc<Entry>)>, tally: &Tally) {
        let Some((id, entry)) = begun else { return self.note(None, tally) };
        drop(self.open().remove(id));
        self.note(Some(entry), tally);
    }

    /// Writes down a request that is no exchange.
    pub(super) fn refused(&self, connection: u64, peer: Option<SocketAddr>, refused: Refused, now: Instant) {
        let (entry, tally) = Entry::refused(connection, peer, refused, now);
        self.note(Some(&entry), &tally);
    }

    /// Writes down those that were cut: their handlers may go on for as long as they like.
    pub(super) fn cut(&self) {
        let cut: Vec<_> = self.open().drain().map(|(_, open)| open).collect();
        for Open { entry, carrier, stream } in cut {
            // One that ends just now is written down by whoever ends it.
            if let Some(tally) = carrier.tally(stream) {
                self.note(Some(&entry), &tally);
            }
        }
    }

    /// Writes down an exchange that is over, once. Never waits: what there is no room for is left out.
    fn note(&self, entry: Option<&Entry>, tally: &Tally) {
        if entry.is_some_and(|entry| entry.noted.swap(true, Relaxed)) {
            return;
        }
        let counter = match tally.end {
            Ended::Complete => &self.complete,
            Ended::GivenUp => &self.given_up,
            Ended::Left => &self.left,
            Ended::Refused => &self.refusals,
        };
        counter.fetch_add(1, Relaxed);
        self.bytes_in.fetch_add(tally.received, Relaxed);
        self.bytes_out.fetch_add(tally.sent, Relaxed);
        if let (Some(records), Some(entry)) = (&self.records, entry) {
            let mut info = Box::new(entry.finish(tally));
            info.missed = self.missed.load(Relaxed);
            if records.try_send(Record::Over(info)).is_err() {
                self.missed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Waits until the hook was called for what is written down, but not for long.
    pub(super) fn flush(&self) {
        let Some(records) = &self.records else { return };
        let (done, flushed) = mpsc::sync_channel(1);
        let until = Instant::now() + FLUSH;
        let mut record = Record::Flush(done);
        loop {
            match records.try_send(record) {
                Ok(()) => break,
                Err(mpsc::TrySendError::Full(back)) if Instant::now() < until => record = back,
                Err(_) => return,
            }
            thread::sleep(Duration::from_millis(5));
        }
        // A hook that takes longer goes on by itself.
        let _ = flushed.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    pub(super) fn stats(&self) -> ServerStats {
        ServerStats {
            accepted: self.accepted.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            complete: self.complete.load(Relaxed),
            given_up: self.given_up.load(Relaxed),
            left: self.left.load(Relaxed),
            refused: self.refusals.load(Relaxed),
            panics: self.panics.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            missed: self.missed.load(Relaxed),
            ..ServerStats::default()
        }
    }
}

/// Calls the hook for each record, one after the other.
fn dictate(records: &Receiver<Record>, hook: &Hook) {
    for record in records {
        match record {
            Record::Over(info) => hook.call(&info),
            // Nobody may wait for it any more.
            Record::Flush(done) => drop(done.try_send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Box<Entry> {
        let head = RequestHead {
            method: Method::GET,
            uri: Uri::from_static("/x"),
            version: Version::HTTP_11,
            protocol: None,
            fields: Fields::default(),
        };
        Entry::new(7, None, &head, Instant::now())
    }

    #[test]
    fn a_hook_that_is_too_slow_misses_records_and_keeps_nobody() {
        let (go, may) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let may = std::sync::Mutex::new(may);
        let hook = Hook(Arc::new(move |info: &ExchangeInfo| {
            let _ = may.lock().unwrap().recv();
            tell.send(info.missed).unwrap();
        }));
        let journal = Journal::new(Some(hook)).unwrap();
        let tally = Tally { status: None, received: 1, sent: 2, end: Ended::Complete };
        // One may be with the hook already.
        let sent = KEPT as u64 + 10;
        for _ in 0..sent {
            journal.note(Some(&entry()), &tally);
        }
        let stats = journal.stats();
        assert_eq!((stats.complete, stats.bytes_in, stats.bytes_out), (sent, sent, 2 * sent));
        assert!((9..=10).contains(&stats.missed), "{}", stats.missed);
        drop(go);
        journal.flush();
        journal.note(Some(&entry()), &tally);
        drop(journal);
        let missed: Vec<_> = told.iter().collect();
        assert_eq!((missed.len() as u64 + stats.missed, missed.last()), (sent + 1, Some(&stats.missed)));
    }
}
