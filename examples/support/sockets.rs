//! Many WebSockets on one thread, through the crate `polling`.

use bowline::{Error, Result, ws::WebSocket};
use polling::{Event, Poller};
use std::{collections::HashMap, os::fd::AsRawFd, sync::Arc, time::Duration};

/// The sockets of one thread, each with something of the caller's.
pub struct Sockets<T> {
    poller: Arc<Poller>,
    all: HashMap<usize, (WebSocket, T)>,
    next: usize,
    events: Vec<Event>,
}

impl<T> Sockets<T> {
    pub fn new() -> Result<Self> {
        Ok(Sockets { poller: Arc::new(Poller::new()?), all: HashMap::new(), next: 0, events: Vec::new() })
    }

    /// What wakes [`wait`](Self::wait) from other threads.
    pub fn poller(&self) -> Arc<Poller> {
        self.poller.clone()
    }

    /// Takes a socket; bytes may have come with its handshake, so look at it before waiting.
    pub fn add(&mut self, socket: WebSocket, about: T) -> Result<usize> {
        let key = self.next;
        let fd = socket.fd().ok_or_else(|| Error::other("a socket without a descriptor"))?.as_raw_fd();
        self.poller.add(fd, Event::none(key))?;
        self.next += 1;
        self.all.insert(key, (socket, about));
        Ok(key)
    }

    /// Gives a socket back, or drops it.
    pub fn remove(&mut self, key: usize) -> Option<(WebSocket, T)> {
        let (socket, about) = self.all.remove(&key)?;
        if let Some(fd) = socket.fd() {
            // It is closed next, which takes it out as well.
            let _ = self.poller.delete(fd.as_raw_fd());
        }
        Some((socket, about))
    }

    pub fn get(&mut self, key: usize) -> Option<&mut (WebSocket, T)> {
        self.all.get_mut(&key)
    }

    pub fn iter(&mut self) -> impl Iterator<Item = (usize, &mut (WebSocket, T))> {
        self.all.iter_mut().map(|(key, both)| (*key, both))
    }

    /// Has [`wait`](Self::wait) report it once: when it can be read, and when it can be written if there is something to write.
    pub fn arm(&mut self, key: usize, writes: bool) -> Result<()> {
        let Some((socket, _)) = self.all.get(&key) else { return Ok(()) };
        let Some(fd) = socket.fd() else { return Ok(()) };
        let writable = writes || socket.wants_write();
        Ok(self.poller.modify(fd.as_raw_fd(), Event { key, readable: true, writable })?)
    }

    /// Waits until some of those that are armed can go on, or somebody calls [`Poller::notify`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Vec<usize>> {
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        Ok(self.events.iter().map(|event| event.key).collect())
    }
}
