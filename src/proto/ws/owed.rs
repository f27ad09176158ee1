//! Replies that cannot go out yet: PONGs, and the echo of a Close.

/// The most PONGs that wait: SEMANTICS of the library, far above what a peer has in flight.
const PONGS: usize = 16;

/// Replies that wait for the end of a frame, or for the wire to take bytes.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// The payloads of PONGs, oldest first, each behind its length.
    pongs: Vec<u8>,
    queue: Queue,
    dropped: u64,
    /// The echo of a Close, with its code.
    pub(super) close: Option<Option<u16>>,
}

/// How the PONGs are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Queue {
    /// So many, in order.
    All(usize),
    /// There were too many: only the newest, as RFC 6455, section 5.5.3, allows.
    Newest,
    /// None.
    #[default]
    Empty,
}

impl Owed {
    /// Returns whether no PONG waits.
    #[inline]
    pub(super) fn has_no_pongs(&self) -> bool {
        self.queue == Queue::Empty
    }

    /// Keeps the answer to a PING, at most 125 bytes.
    pub(super) fn push_pong(&mut self, payload: &[u8]) {
        self.queue = match self.queue {
            Queue::Empty => Queue::All(1),
            Queue::All(waiting) if waiting < PONGS => Queue::All(waiting + 1),
            Queue::All(waiting) => self.forget(waiting),
            Queue::Newest => self.forget(1),
        };
        self.pongs.push(payload.len() as u8);
        self.pongs.extend_from_slice(payload);
    }

    fn forget(&mut self, waiting: usize) -> Queue {
        self.dropped += waiting as u64;
        self.pongs.clear();
        Queue::Newest
    }

    /// Takes all PONGs, oldest first.
    pub(super) fn take_pongs(&mut self, mut each: impl FnMut(&[u8])) {
        let pongs = std::mem::take(&mut self.pongs);
        self.queue = Queue::Empty;
        let mut rest = pongs.as_slice();
        while let Some((&len, behind)) = rest.split_first() {
            let (payload, behind) = behind.split_at(usize::from(len));
            each(payload);
            rest = behind;
        }
    }

    /// Forgets everything, because nothing may go out any more.
    pub(super) fn clear(&mut self) {
        (self.pongs, self.queue, self.close) = (Vec::new(), Queue::Empty, None);
    }

    /// Returns how many PONGs were dropped for a newer one.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
