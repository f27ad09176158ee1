//! The handle of one exchange, whatever the protocol below.

use super::{
    carrier::{Answer, Carrier, Ended, Lease, Missing, Progress, Sent},
    fault::{Cause, Fault},
    info::CloseReason,
    through::{Passed, Room, Watch, Written},
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    fields::Fields,
    net::{Cx, Waker},
    proto::{End, h1::Length},
};
use http::{HeaderMap, Response};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Instant,
};

/// One exchange on a connection. The last clone that is dropped gives it up: what is incomplete is reset.
#[derive(Clone)]
pub(crate) struct Stream {
    inner: Arc<Owned>,
}

struct Owned {
    conn: Arc<dyn Carrier>,
    id: u32,
    /// What is told that the exchange is over, and dropped then: its place in a pool.
    lease: OnceLock<Box<dyn Lease>>,
    refused: AtomicBool,
    /// How far it got, once it is over although there is a handle.
    over: Option<Progress>,
}

impl Owned {
    #[inline]
    fn end(&mut self) {
        let mut tally = self.conn.drop_stream(self.id);
        if let Some(lease) = self.lease.take() {
            if *self.refused.get_mut() {
                tally.end = Ended::Refused;
            }
            lease.over(&tally);
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.over.is_none() {
            self.end();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("connection", &self.inner.conn.id()).field("id", &self.inner.id).finish()
    }
}

impl Stream {
    pub(super) fn new(conn: Arc<dyn Carrier>, id: u32) -> Self {
        Stream {
            inner: Arc::new(Owned { conn, id, lease: OnceLock::new(), refused: AtomicBool::new(false), over: None }),
        }
    }

    /// Keeps `lease` until the exchange is over.
    pub(crate) fn keep(&self, lease: Box<dyn Lease>) {
        // Kept once, by whoever opened the exchange.
        let _ = self.inner.lease.set(lease);
    }

    /// Server: nobody answers it.
    pub(crate) fn refuse(&self) {
        self.inner.refused.store(true, Ordering::Relaxed);
    }

    fn conn(&self) -> Arc<dyn Carrier> {
        self.inner.conn.clone()
    }

    /// Its number on its connection.
    pub(crate) fn id(&self) -> u32 {
        self.inner.id
    }

    /// The connection it is on.
    pub(crate) fn carrier(&self) -> &Arc<dyn Carrier> {
        &self.inner.conn
    }

    /// The next head of the answer.
    pub(crate) fn poll_answer(&self, cx: &mut Cx<'_>) -> Poll<Result<Answer, Fault>> {
        self.conn().poll_answer(self.inner.id, cx)
    }

    /// The next bytes of the body; zero is its end.
    pub(crate) fn poll_data(&self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>> {
        self.conn().poll_data(self.inner.id, buf, cx)
    }

    /// Moves all that arrived of the body to the end of `buf`; zero is its end.
    pub(crate) fn poll_fill(&self, buf: &mut RecvBuf, cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>> {
        self.conn().poll_fill(self.inner.id, buf, cx)
    }

    /// Ready once there is room for more of our body, with how much the windows allow, which may be nothing; `None`: there never will be.
    pub(crate) fn poll_room(&self, cx: &mut Cx<'_>) -> Poll<Option<usize>> {
        self.conn().poll_room(self.inner.id, cx)
    }

    /// How much of our body there is room for now.
    pub(crate) fn room(&self) -> usize {
        self.inner.conn.room(self.inner.id)
    }

    /// Gives memory of its connection back that is not needed before more is framed.
    pub(crate) fn slim(&self) {
        self.inner.conn.slim();
    }

    /// Frames what fits of `data`.
    pub(crate) fn poll_send(&self, data: &[u8], end: End, cx: &mut Cx<'_>) -> Poll<Result<Sent, Fault>> {
        self.conn().poll_send(self.inner.id, data, end, cx)
    }

    /// Polls again when its connection has moved.
    pub(crate) fn watch(&self, cx: &mut Cx<'_>) {
        cx.wait_shared(&self.conn().lead());
    }

    /// Ready once the wire has taken everything framed.
    pub(crate) fn poll_flushed(&self, cx: &mut Cx<'_>) -> Poll<Result<(), Fault>> {
        self.conn().poll_flushed(self.inner.id, None, cx)
    }

    /// Ready once the wire has taken everything up to a position that [`end_at`](Self::end_at) has returned, or one before it.
    pub(crate) fn poll_flushed_upto(&self, position: u64, cx: &mut Cx<'_>) -> Poll<Result<(), Fault>> {
        self.conn().poll_flushed(self.inner.id, Some(position), cx)
    }

    /// The position behind everything framed so far.
    pub(crate) fn end_at(&self) -> u64 {
        self.inner.conn.end_at(self.inner.id)
    }

    /// Gives bytes of a tunnel to the wire itself.
    pub(crate) fn write_through(&self, bytes: &[u8], now: Instant) -> Written {
        self.inner.conn.write_through(self.inner.id, bytes, now)
    }

    /// Leaves a waker before the wire of a tunnel is waited for.
    pub(crate) fn watch_through(&self, waker: &Waker) -> Watch {
        self.inner.conn.watch_through(self.inner.id, waker)
    }

    /// Takes bytes of a tunnel from the wire itself.
    pub(crate) fn read_through(&self, room: Room<'_>, now: Instant) -> Passed {
        self.inner.conn.read_through(self.inner.id, room, now)
    }

    /// Frames the trailers, which end our message.
    pub(crate) fn send_trailers(&self, trailers: &HeaderMap) -> Result<(), Fault> {
        self.inner.conn.send_trailers(self.inner.id, trailers)
    }

    /// Frames the final head of an answer with as much of `first` as fits; returns how much.
    pub(crate) fn respond(&self, head: &Response<()>, length: Length, first: &[u8], end: End) -> Result<usize, Fault> {
        self.inner.conn.respond(self.inner.id, head, length, first, end)
    }

    /// Frames a 1xx.
    pub(crate) fn inform(&self, head: &Response<()>) -> Result<(), Fault> {
        self.inner.conn.inform(self.inner.id, head)
    }

    /// The trailers that arrived, once.
    pub(crate) fn take_trailers(&self) -> Option<Fields> {
        self.inner.conn.take_trailers(self.inner.id)
    }

    /// What is left of a body that has arrived to its end, if our own message is complete too.
    pub(crate) fn take_rest(&self) -> Option<(RecvBuf, Option<Fields>)> {
        self.inner.conn.take_rest(self.inner.id)
    }

    /// Ready once the body has arrived to its end, with all of it, or never will.
    pub(crate) fn poll_whole(&self, max: usize, cx: &mut Cx<'_>) -> Poll<Option<(RecvBuf, Option<Fields>)>> {
        self.conn().poll_whole(self.inner.id, max, cx)
    }

    /// Ends the exchange before its handle is dropped: its connection serves others from now on.
    ///
    /// # Panics
    ///
    /// Panics if there is another handle.
    pub(crate) fn finish(&mut self) {
        let owned = Arc::get_mut(&mut self.inner).expect("the exchange has one handle");
        owned.over = Some(owned.conn.progress(owned.id));
        owned.end();
    }

    /// Drops what was kept until the exchange is over: its connection is, so that it can serve nobody else.
    ///
    /// # Panics
    ///
    /// Panics if there is another handle.
    pub(crate) fn give_up_lease(&mut self) {
        let owned = Arc::get_mut(&mut self.inner).expect("the exchange has one handle");
        drop(owned.lease.take());
    }

    /// Whether this is the only handle of the exchange.
    pub(crate) fn is_only_handle(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// How far the exchange got.
    pub(crate) fn progress(&self) -> Progress {
        self.inner.over.unwrap_or_else(|| self.inner.conn.progress(self.inner.id))
    }

    /// Ends the exchange before its time.
    pub(crate) fn reset(&self, code: u32) {
        self.inner.conn.reset(self.inner.id, code);
    }

    /// Server: nobody reads what is left of the request; to be said before it is answered.
    pub(crate) fn forgo(&self) {
        self.inner.conn.forgo(self.inner.id, Instant::now());
    }

    /// Whether the client waits for a 100 before it sends its body.
    pub(crate) fn wants_continue(&self) -> bool {
        self.inner.conn.wants_continue(self.inner.id)
    }

    /// Server: whether anything follows the head of the request.
    pub(crate) fn has_body(&self) -> bool {
        self.inner.conn.has_body(self.inner.id)
    }

    /// Server: looks whether the peer has given the exchange up.
    pub(crate) fn has_gone(&self) -> bool {
        self.inner.conn.has_gone(self.inner.id, Instant::now())
    }

    /// Whether bytes of the body were received that were not taken.
    pub(crate) fn has_buffered(&self) -> bool {
        self.inner.conn.has_buffered(self.inner.id)
    }

    /// Whether our half may still be sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.inner.conn.is_sending(self.inner.id)
    }

    /// What is missing before the answer.
    pub(crate) fn missing(&self) -> Missing {
        self.inner.conn.missing(self.inner.id)
    }

    /// How much of our body was framed; `None` while the wire is what keeps us from framing more.
    pub(crate) fn framed(&self) -> Option<u64> {
        self.inner.conn.framed(self.inner.id)
    }
}

/// Returns the cause of a connection that its owner gave up.
pub(crate) fn given_up() -> Cause {
    Cause::new(ErrorKind::Cancelled, CloseReason::Shutdown, "the connection was given up by the program")
}
