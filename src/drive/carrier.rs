//! What a connection is to those who own exchanges on it, and what a protocol does for them under its lock.

use super::{
    duplex::Position,
    fault::{Cause, Fault},
    info::{ConnectionInfo, UpkeepAction},
    keep::{Closing, Rule},
    shared::Protocol,
    slot::{Slot, Wakes},
    stream::Stream,
    through::{Passed, Room, Watch, Written},
};
use crate::{
    buf::RecvBuf,
    error::Processed,
    fields::Fields,
    net::{Cx, Interest, Lead, Ready, Waker, Wire},
    proto::{
        End, RequestHead, ResponseHead,
        h1::{Length, TargetForm},
    },
    time::Stamp,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How much may be unsent on a connection before no more of any body is framed: its thread waits instead. A server of many connections
/// allows each of them less.
///
/// Enough to keep the wire busy while the thread is woken; little enough that PINGs and other streams' heads are not late.
pub(super) const ROOM: usize = 64 * 1024;

/// How old a connection is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// How long ago it was made.
    pub(crate) made: Duration,
    /// For how long nobody has used it, upkeep included; `None` while an exchange is open.
    pub(crate) unused: Option<Duration>,
}

/// A request about to be sent.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) head: &'a Request<()>,
    pub(crate) form: TargetForm,
    pub(crate) length: Length,
}

/// The answer of a protocol that is asked to begin an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It has begun.
    Stream(u32),
    /// Not now: every place is taken.
    Blocked,
    /// Never again on this connection.
    Closed,
}

/// An exchange that waits in line for a stream. Whoever moves the connection begins it; dropping this gives it up.
pub(crate) struct Queued {
    conn: Arc<dyn Carrier>,
    ticket: u64,
}

impl Queued {
    pub(super) fn new(conn: Arc<dyn Carrier>, ticket: u64) -> Self {
        Queued { conn, ticket }
    }

    /// Ready once it has begun, or never will on this connection.
    pub(crate) fn poll(&self, cx: &mut Cx<'_>) -> Poll<Result<Begun, Fault>> {
        self.conn.clone().poll_queued(self.ticket, cx)
    }

    /// Nobody waits for it any more, or not now.
    pub(crate) fn rest(&self) {
        self.conn.rest_in_line(self.ticket);
    }

    /// Whether who waits for it also waits for the one just before it.
    pub(crate) fn follows(&self, waker: &Waker) -> bool {
        self.conn.follows_in_line(self.ticket, waker)
    }

    /// Leaves the line. Returns the exchange, if it has begun.
    pub(crate) fn claim(&self) -> Option<Stream> {
        self.conn.leave_queue(self.ticket);
        self.conn.clone().claim_queued(self.ticket)
    }
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued").field("connection", &self.conn.id()).field("ticket", &self.ticket).finish()
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Dropping what has begun resets it.
        drop(self.claim());
    }
}

/// What the driver of a protocol does for the owner of an exchange, under the lock.
pub(crate) trait Exchanges: Protocol {
    /// What is spoken.
    const VERSION: Version;
    /// The slot of an exchange.
    fn slot(&mut self, id: u32) -> Option<&mut Slot>;
    /// Begins an exchange whose bytes begin at position `at` (client).
    fn open(&mut self, opening: &Opening<'_>, at: Position, now: Instant, out: &mut Vec<u8>) -> Result<Opened, Fault>;
    /// The machine has slept for so long, unseen by the monotonic clock, since an exchange was open.
    fn slept(&mut self, _asleep: impl FnOnce() -> Duration) {}
    /// Wakes `waker` when `open` may succeed (client), or when `accept` may (server).
    fn wait_to_open(&mut self, waker: &Waker);
    /// Puts an exchange in line that is begun by `Protocol::open_queued`; `None`: the protocol has no line.
    fn queue(&mut self, _opening: &Opening<'_>) -> Option<u64> {
        None
    }
    /// What became of it; `None`: it waits. Once it is known it is forgotten.
    fn take_queued(&mut self, _ticket: u64) -> Option<Result<Opened, Fault>> {
        None
    }
    /// Wakes `waker` when that is known.
    fn wait_in_line(&mut self, _ticket: u64, _waker: &Waker) {}
    /// Nobody waits for it any more, or not now; what was woken for it still is.
    fn rest_in_line(&mut self, _ticket: u64) {}
    /// Whether `waker` is that of a thread that waits for the one just before it in line.
    fn follows_in_line(&self, _ticket: u64, _waker: &Waker) -> bool {
        false
    }
    /// Who waits for one in line.
    fn in_line(&self) -> Wakes {
        Wakes::None
    }
    /// Takes it out of the line.
    fn leave_queue(&mut self, _ticket: u64) {}
    /// The next exchange the peer began (server).
    fn accept(&mut self) -> Option<u32>;
    /// The next request that was refused, and is no exchange (server).
    fn take_refused(&mut self) -> Option<Refused>;
    /// Whether no exchange will ever begin on it any more.
    fn is_over_for_new(&self) -> bool;
    /// Whether no exchange is open.
    fn is_idle(&self) -> bool;
    /// Server: since when the peer could have asked for something and has not, or not to its end.
    fn awaits_since(&self) -> Option<Instant>;
    /// Whether nothing more of any body comes until somebody takes what is there.
    fn is_clogged(&self) -> bool {
        false
    }
    /// Whether the peer asked for fewer PINGs since this was asked last (ENHANCE_YOUR_CALM).
    fn take_calm(&mut self) -> bool {
        false
    }
    /// Whether an exchange could begin at once.
    fn has_room(&self) -> bool;
    /// How many exchanges began.
    fn served(&self) -> u64;
    /// Whether the peer takes an extended CONNECT; `None`: not known yet.
    fn extended_connect(&self) -> Option<bool> {
        Some(false)
    }
    /// Whether it is late with an answer.
    fn is_suspect(&self, now: Instant) -> bool;
    /// Sends the PING that is due; `used` is when an idle connection was last used.
    fn upkeep(&mut self, interval: Duration, used: Option<Instant>, now: Instant, out: &mut Vec<u8>) -> UpkeepAction;
    /// When the next PING is due, or the peer is given up.
    fn upkeep_due(&self, interval: Duration, used: Option<Instant>) -> Option<Instant>;
    /// Sends a PING or joins one; returns how many will have been answered once it is.
    fn ping(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<Option<u64>, Fault>;
    /// The round trip time once so many PINGs were answered; else `waker` is called when one is.
    fn pinged(&mut self, acked: u64, waker: &Waker) -> Option<Duration>;
    /// Takes no new exchanges; tells the peer where the protocol has a way.
    fn drain(&mut self, out: &mut Vec<u8>);
    /// Frames the final head of an answer (server).
    fn respond(&mut self, id: u32, head: &Response<()>, length: Length, out: &mut Vec<u8>) -> Result<(), Fault>;
    /// Frames a 1xx (server).
    fn inform(&mut self, id: u32, head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Fault>;
    /// How much of our message the windows allow now.
    fn window(&self, _id: u32) -> usize {
        usize::MAX
    }
    /// Frames what the windows allow of `data`; returns how much.
    fn send_data(&mut self, id: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Fault>;
    /// Frames the trailers, which end our message.
    fn send_trailers(&mut self, id: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Fault>;
    /// The owner took `n` bytes of the body.
    fn took(&mut self, id: u32, n: usize, out: &mut Vec<u8>);
    /// From now on so much of the body is read ahead of its owner, if that is more than usual.
    fn read_ahead(&mut self, _id: u32, _n: usize) {}
    /// The owner has taken all there is of the body and waits for more.
    fn wants(&mut self, _id: u32, _out: &mut Vec<u8>) {}
    /// Ends an exchange before its time. `Some`: the connection ends with it.
    fn reset(&mut self, id: u32, code: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause>;
    /// The owner is done with the exchange. `Some`: the connection ends with it.
    fn drop_slot(&mut self, id: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause>;
    /// Forgets what arrived of a body nobody wants; returns whether reading on could complete it and save the connection.
    fn discard_body(&mut self, id: u32) -> bool;
    /// How much of the body, or of a piece of it, is known to be still to come.
    fn left_of_body(&self, _id: u32) -> Option<u64> {
        None
    }
    /// Nobody reads what is left of the request (server).
    fn forgo(&mut self, _id: u32) -> Forgone {
        Forgone::Settled
    }
    /// Whether the client waits for a 100 before it sends its body (server).
    fn wants_continue(&self, id: u32) -> bool;
    /// Whether the exchange has become a tunnel that owns the connection (HTTP/1).
    fn is_tunnel(&self, id: u32) -> bool;
    /// Whether what the wire brings next is the exchange's as it is, because nothing is kept of what it brought before.
    fn is_clear(&self, _id: u32) -> bool {
        false
    }
    /// What arrived in the tunnel and was not taken.
    fn take_tunnel(&mut self) -> RecvBuf;
}

/// What a server's connection has for those who look after it.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// An exchange to be answered.
    Exchange(Stream, RequestHead),
    /// A request that was answered already.
    Refused(Refused),
}

/// A request that was answered because of its head, and is no exchange.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) version: Version,
    /// Method and target, if they were understood.
    pub(crate) line: Option<(Method, Uri)>,
    pub(crate) status: StatusCode,
}

/// What it means for the connection that nobody reads the rest of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgone {
    /// Nothing: it is read when it comes; or what it means is settled already.
    Settled,
    /// It is more than is worth reading.
    TooMuch,
    /// How much it is nobody knows.
    Unknown,
}

/// What a peer's message begins with, as its receiver sees it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A 1xx; the final head is still to come.
    Informational(ResponseHead),
    /// The final head.
    Final(ResponseHead),
}

/// The answer of a connection that is asked to begin an exchange.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The exchange, and how many bytes of the body went out with its head.
    Stream(Stream, usize),
    /// Never again on this connection, and why if it is over.
    Closed(Option<Cause>),
}

/// How far an exchange got, for those who decide whether it may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of our message that the wire may have taken.
    pub(crate) written: u64,
    /// More of it is framed, on a connection that is not over: it may still go out, whatever becomes of the exchange.
    pub(crate) owed: bool,
    /// At least one byte of the answer arrived.
    pub(crate) answered: bool,
}

impl Progress {
    /// Whether the peer may have acted on the message, as far as bytes tell.
    pub(crate) fn processed(self) -> Processed {
        match (self.answered, self.written, self.owed) {
            (true, ..) => Processed::Yes,
            (false, 0, false) => Processed::No,
            (false, ..) => Processed::Maybe,
        }
    }
}

/// What an exchange came to, for those who keep a record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Server: the status of the answer, if there was one.
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the body of the peer's message that arrived, and of ours that were framed.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) end: Ended,
}

/// How an exchange ended, as its server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The whole answer was framed, and nothing is known to have kept it from arriving.
    Complete,
    /// We ended it before that.
    GivenUp,
    /// The peer did.
    Left,
    /// Nobody wanted to answer it.
    Refused,
}

/// What is kept with an exchange as long as it is open, and dropped after it.
pub(crate) trait Lease: Send + Sync {
    /// It is over.
    fn over(&self, tally: &Tally) {
        let _ = tally;
    }
}

/// What has to happen before an answer can be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The wire has to take what was framed for the exchange; it has taken nothing since then.
    Room(Instant),
    /// The answer has to begin.
    Answer,
    /// The head of the answer has to go on; its last byte came then.
    Rest(Instant),
}

/// How far our message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// So many bytes were framed.
    Some(usize),
    /// The peer wants no more of it.
    Stopped,
}

/// What a connection consisted of.
pub(crate) struct Detached {
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) input: RecvBuf,
    pub(crate) out: Vec<u8>,
    pub(crate) origin: String,
}

/// A connection as the owners of exchanges see it, whatever the protocol.
pub(crate) trait Carrier: Send + Sync {
    /// Begins an exchange with as much of `first` as fits behind its head, in one write. Pending while every place is taken.
    fn poll_open(
        self: Arc<Self>,
        o: &Opening<'_>,
        first: &[u8],
        end: End,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Begun, Fault>>;
    /// Puts an exchange in line: it begins as soon as there is a place, whoever moves the connection. `None`: there is no line.
    fn queue(self: Arc<Self>, o: &Opening<'_>) -> Option<Queued>;
    /// Ready once an exchange in line has begun, or never will on this connection.
    fn poll_queued(self: Arc<Self>, ticket: u64, cx: &mut Cx<'_>) -> Poll<Result<Begun, Fault>>;
    /// Nobody waits for it any more, or not now.
    fn rest_in_line(&self, ticket: u64);
    /// Whether `waker` is that of a thread that waits for the one just before it in line.
    fn follows_in_line(&self, ticket: u64, waker: &Waker) -> bool;
    /// Wakes those who wait for one in line.
    fn wake_in_line(&self);
    /// An exchange that was in line, if it has begun.
    fn claim_queued(self: Arc<Self>, ticket: u64) -> Option<Stream>;
    /// Takes an exchange that has not begun out of the line.
    fn leave_queue(&self, ticket: u64);
    /// The next exchange the peer began; `None`: there will be no more.
    fn poll_accept(self: Arc<Self>, cx: &mut Cx<'_>) -> Poll<Option<Accepted>>;
    /// Server: the exchange the peer began next, if one waits.
    fn accept(self: Arc<Self>, now: Instant) -> Option<Accepted>;
    /// Server: from now on this waker is woken when the connection needs its keeper, which then calls `accept`, `charge` and `closing`.
    fn keep(&self, keeper: Waker);
    /// Server: what the keeper has to watch the wire for from now on, since nobody else does.
    fn charge(&self, rule: Rule) -> Option<Interest>;
    /// Server: does for the keeper what the wire is ready for and what is due; returns whether anything arrived.
    fn tend(&self, ready: Ready, now: Instant) -> bool;
    /// Server: tells the peer which of its exchanges are the last that are served.
    fn goodbye(&self);
    /// Server: ends the connection after what is framed, and what the peer should be told.
    fn finish(&self, cause: Cause);
    /// Server: takes a step in ending the connection, if it is over.
    fn closing(&self, now: Instant) -> Closing;
    /// Server: since when nothing is done on it and nothing is unsent, so that it can be closed without harm; and how many exchanges
    /// there were.
    fn idle_since(&self) -> Option<(Instant, u64)>;
    /// Server: looks whether the peer has given up the exchange.
    fn has_gone(&self, id: u32, now: Instant) -> bool;
    /// Server: whether nothing more of any body comes until somebody takes what is there.
    fn is_clogged(&self) -> bool;
    /// Server: whether anything follows the head of the request.
    fn has_body(&self, id: u32) -> bool;
    /// The next head of the answer.
    fn poll_answer(self: Arc<Self>, id: u32, cx: &mut Cx<'_>) -> Poll<Result<Answer, Fault>>;
    /// The next bytes of the body; zero is its end.
    fn poll_data(self: Arc<Self>, id: u32, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>>;
    /// Moves all that arrived of the body to the end of `buf`; zero is its end.
    fn poll_fill(self: Arc<Self>, id: u32, buf: &mut RecvBuf, cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>>;
    /// Ready once there is room for more of a body, with how much the windows allow, which may be nothing; `None`: there never will be.
    fn poll_room(self: Arc<Self>, id: u32, cx: &mut Cx<'_>) -> Poll<Option<usize>>;
    /// How much of a body there is room for now.
    fn room(&self, id: u32) -> usize;
    /// Gives memory back that is not needed before more is framed.
    fn slim(&self);
    /// Frames what fits of `data`.
    fn poll_send(self: Arc<Self>, id: u32, data: &[u8], end: End, cx: &mut Cx<'_>) -> Poll<Result<Sent, Fault>>;
    /// The position behind everything framed for this exchange so far.
    fn end_at(&self, id: u32) -> Position;
    /// Ready once the wire has taken everything framed for this exchange, or what was up to there.
    fn poll_flushed(self: Arc<Self>, id: u32, upto: Option<Position>, cx: &mut Cx<'_>) -> Poll<Result<(), Fault>>;
    /// Gives bytes of a tunnel to the wire itself; nothing if something stands between.
    fn write_through(&self, id: u32, bytes: &[u8], now: Instant) -> Written;
    /// Leaves a waker before the wire of a tunnel is waited for.
    fn watch_through(&self, id: u32, waker: &Waker) -> Watch;
    /// Takes bytes of a tunnel from the wire itself.
    fn read_through(&self, id: u32, room: Room<'_>, now: Instant) -> Passed;
    /// Frames the trailers, which end our message.
    fn send_trailers(&self, id: u32, trailers: &HeaderMap) -> Result<(), Fault>;
    /// Frames the final head of an answer, with as much of `first` as fits; returns how much.
    fn respond(&self, id: u32, head: &Response<()>, length: Length, first: &[u8], end: End) -> Result<usize, Fault>;
    /// Frames a 1xx.
    fn inform(&self, id: u32, head: &Response<()>) -> Result<(), Fault>;
    /// The trailers that arrived, once.
    fn take_trailers(&self, id: u32) -> Option<Fields>;
    /// What is left of a body that has arrived to its end, if our own message is complete too: the exchange needs nothing more.
    fn take_rest(&self, id: u32) -> Option<(RecvBuf, Option<Fields>)>;
    /// Ready once the body has arrived to its end, with all of it, or never will, with `None`; it is read ahead up to `max` bytes, and is
    /// pending for ever if it is longer.
    fn poll_whole(self: Arc<Self>, id: u32, max: usize, cx: &mut Cx<'_>) -> Poll<Option<(RecvBuf, Option<Fields>)>>;
    /// How far the exchange got.
    fn progress(&self, id: u32) -> Progress;
    /// Ends the exchange before its time, with this code (HTTP/2).
    fn reset(&self, id: u32, code: u32);
    /// What it came to so far; `None` once its owner is done with it.
    fn tally(&self, id: u32) -> Option<Tally>;
    /// The owner is done with it.
    fn drop_stream(&self, id: u32) -> Tally;
    /// Server: nobody reads what is left of the request. If that is much, an answer that is still to come says that the connection ends
    /// behind it (HTTP/1).
    fn forgo(&self, id: u32, now: Instant);
    /// Whether the client waits for a 100.
    fn wants_continue(&self, id: u32) -> bool;
    /// Whether bytes of the body were received that were not taken.
    fn has_buffered(&self, id: u32) -> bool;
    /// Whether our half of the exchange may still be sent.
    fn is_sending(&self, id: u32) -> bool;
    /// What is missing before the answer.
    fn missing(&self, id: u32) -> Missing;
    /// How much of the body of our message was framed; `None` while the wire is what keeps us from framing more.
    fn framed(&self, id: u32) -> Option<u64>;
    /// Looks at what arrived, without waiting; returns whether an exchange may begin on it now or later.
    fn look(&self, now: Instant) -> bool;
    /// Whether an exchange may begin on it now or later, without looking.
    fn is_usable(&self) -> bool;
    /// Whether no exchange is open on it.
    fn is_idle(&self) -> bool;
    /// Whether an exchange could begin at once.
    fn has_room(&self) -> bool;
    /// When bytes last moved, either way.
    fn last_used(&self) -> Instant;
    /// How old it is, and for how long it is unused.
    fn ages(&self, now: Stamp) -> Ages;
    /// Since when no exchange is open on it, if one may begin now or later, without looking.
    fn rests_since(&self) -> Option<Stamp>;
    /// The peer keeps it for so long while nothing is open on it.
    fn set_kept(&self, d: Duration);
    /// Returns for how long that is, or for ever.
    fn kept(&self) -> Duration;
    /// Ends the connection if no exchange is open on it, and returns whether it is over; else it takes no new ones and ends with
    /// the last. Nothing is cut that began in the meantime.
    fn retire(&self, cause: Cause) -> bool;
    /// Ends the connection now: what is open on it fails.
    fn shutdown(&self, cause: Cause);
    /// A row of the connection table.
    fn info(&self) -> ConnectionInfo;
    /// The connection as the waiting loop sees it.
    fn lead(self: Arc<Self>) -> Arc<dyn Lead>;
    /// Whether the peer takes an extended CONNECT (RFC 8441); pending until its SETTINGS came.
    fn poll_extended_connect(self: Arc<Self>, cx: &mut Cx<'_>) -> Poll<Result<bool, Fault>>;
    /// Whether the wire has taken everything framed so far.
    fn is_flushed(&self) -> bool;
    /// The wire, for callers with a poll loop of their own.
    fn wire(&self) -> &Arc<dyn Wire>;
    /// How many exchanges began on it.
    fn served(&self) -> u64;
    /// What is spoken on it.
    fn version(&self) -> Version;
    /// Whether the peer asked for fewer PINGs since this was asked last.
    fn take_calm(&self) -> bool;
    /// Why it is over, if it is.
    fn over(&self) -> Option<Cause>;
    /// Takes no new exchanges and tells the peer; those in flight go on.
    fn drain(&self);
    /// Whether it is late with an answer: it gets nothing new until it is heard from.
    fn is_suspect(&self, now: Instant) -> bool;
    /// Looks at what arrived, and sends the PING that is due: in the kernel when this returns, unless it is `Blocked`.
    fn upkeep(&self, interval: Duration, now: Instant) -> UpkeepAction;
    /// When `upkeep` has something to do: send a PING, or give the peer up.
    fn upkeep_due(&self, interval: Duration) -> Option<Instant>;
    /// Sends a PING, or joins the one that is on its way; `None` where the protocol has none.
    fn ping(&self, now: Instant) -> Result<Option<u64>, Fault>;
    /// Ready once so many PINGs were answered, with the round trip time.
    fn poll_pinged(self: Arc<Self>, acked: u64, cx: &mut Cx<'_>) -> Poll<Result<Duration, Fault>>;
    /// Takes the wire away from a connection that has become a tunnel, with what was received and what is unsent; the
    /// connection is over then. `None` while another thread is reading or writing.
    fn detach(&self) -> Option<Detached>;
    /// The number of the connection.
    fn id(&self) -> u64;
    /// Where it leads.
    fn origin(&self) -> &str;
}
