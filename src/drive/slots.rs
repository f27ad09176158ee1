//! The exchanges of an HTTP/2 connection: those that have a stream, and those in line for one.

use super::{carrier::Opened, fault::Fault, slot::Slot};
use crate::{net::Waker, proto::End};
use http::Request;
use std::collections::BTreeMap;

/// The slots of a connection, by stream id.
///
/// Ids only grow, so new ones go to the end; a few hundred are searched faster in order than hashed.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) list: Vec<(u32, Box<Slot>)>,
}

impl Slots {
    fn place(&self, id: u32) -> Result<usize, usize> {
        match self.list.last() {
            Some((last, _)) if *last == id => Ok(self.list.len() - 1),
            Some((last, _)) if *last < id => Err(self.list.len()),
            _ => self.list.binary_search_by_key(&id, |(id, _)| *id),
        }
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Slot> {
        let at = self.place(id).ok()?;
        self.list.get_mut(at).map(|(_, slot)| &mut **slot)
    }

    pub(super) fn insert(&mut self, id: u32, slot: Box<Slot>) {
        match self.place(id) {
            Ok(at) => self.list[at] = (id, slot),
            Err(at) => self.list.insert(at, (id, slot)),
        }
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Box<Slot>> {
        self.place(id).ok().map(|at| self.list.remove(at).1)
    }
}

/// Exchanges in line for a stream, by ticket: later ones have higher numbers. There may be thousands, and each is asked after.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: BTreeMap<u64, InLine>,
    /// What became of those that were called, until their owners ask.
    pub(super) called: BTreeMap<u64, Result<Opened, Fault>>,
}

/// An exchange in line.
#[derive(Debug)]
pub(super) struct InLine {
    pub(super) head: Request<()>,
    pub(super) end: End,
    /// Who is woken when it has its stream.
    pub(super) waker: Option<Waker>,
    /// That is who waits for it.
    pub(super) attended: bool,
}
