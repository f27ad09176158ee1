//! Chat rooms for many sockets on few threads.
//!
//! A hub is a thread that owns its share of the sockets and never waits for one of them: it reads with `try_recv`, sends with `try_send`, and
//! sleeps in `poll` only. What a socket has no room for is queued; whoever is that far behind at the limit of the queue is dropped.

use super::sockets::Sockets;
use bowline::{
    Error, Recv, Result,
    ws::{Sent, WebSocket},
};
use polling::Poller;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How many messages wait for a member that does not read.
pub const QUEUE: usize = 64;

/// How many messages of one member are taken before the others have their turn.
const TURN: usize = 16;

/// How many messages wait for a hub before its members are read no more.
const INBOX: usize = 10_000;

/// What hubs tell each other.
#[derive(Clone)]
struct Said {
    room: Arc<str>,
    text: Arc<str>,
}

/// A hub as others see it.
struct Hub {
    poller: Arc<Poller>,
    joining: Mutex<Vec<(Arc<str>, WebSocket)>>,
    inbox: Mutex<Vec<Said>>,
}

/// A socket in a room.
struct Member {
    room: Arc<str>,
    queue: VecDeque<Arc<str>>,
}

/// All the rooms.
pub struct House {
    hubs: Vec<Hub>,
    next: AtomicUsize,
    members: AtomicUsize,
    slow: AtomicUsize,
    delivered: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    /// Opens a house with so many threads.
    pub fn open(hubs: usize) -> Result<Arc<House>> {
        let sockets: Vec<Sockets<Member>> = (0..hubs).map(|_| Sockets::new()).collect::<Result<_>>()?;
        let hubs = sockets
            .iter()
            .map(|sockets| Hub { poller: sockets.poller(), joining: Mutex::default(), inbox: Mutex::default() })
            .collect();
        let house = Arc::new(House {
            hubs,
            next: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            delivered: AtomicUsize::new(0),
        });
        for (n, sockets) in sockets.into_iter().enumerate() {
            let house = house.clone();
            thread::Builder::new().name(format!("hub {n}")).spawn(move || {
                if let Err(e) = house.run(&house.hubs[n], sockets) {
                    warn!("hub {n}: {e}");
                }
            })?;
        }
        Ok(house)
    }

    /// Takes a socket into a room.
    pub fn join(&self, room: &str, socket: WebSocket) -> Result<()> {
        let hub = &self.hubs[self.next.fetch_add(1, Ordering::Relaxed) % self.hubs.len()];
        lock(&hub.joining).push((room.into(), socket));
        Ok(hub.poller.notify()?)
    }

    /// How many have joined so far.
    pub fn members(&self) -> usize {
        self.members.load(Ordering::Relaxed)
    }

    /// How many were dropped because they did not read.
    pub fn slow(&self) -> usize {
        self.slow.load(Ordering::Relaxed)
    }

    /// How many messages were sent or queued.
    pub fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Tells everybody in a room, by way of the hubs.
    fn say(&self, said: &Said) -> Result<()> {
        self.hubs.iter().try_for_each(|hub| {
            lock(&hub.inbox).push(said.clone());
            Ok(hub.poller.notify()?)
        })
    }

    fn is_behind(&self) -> bool {
        self.hubs.iter().any(|hub| lock(&hub.inbox).len() > INBOX)
    }

    /// The life of a hub.
    fn run(&self, hub: &Hub, mut sockets: Sockets<Member>) -> Result<()> {
        loop {
            let mut ready = sockets.wait(None)?;
            for (room, socket) in std::mem::take(&mut *lock(&hub.joining)) {
                ready.push(sockets.add(socket, Member { room, queue: VecDeque::new() })?);
                self.members.fetch_add(1, Ordering::Relaxed);
            }
            for said in std::mem::take(&mut *lock(&hub.inbox)) {
                self.deliver(&said, &mut sockets)?;
            }
            for key in ready {
                match self.serve(key, &mut sockets) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => drop(sockets.remove(key)),
                }
            }
        }
    }

    /// Sends it to those of the room, and drops who is too far behind.
    fn deliver(&self, said: &Said, sockets: &mut Sockets<Member>) -> Result<()> {
        let (mut waiting, mut gone) = (Vec::new(), Vec::new());
        for (key, (socket, member)) in sockets.iter().filter(|(_, (_, member))| member.room == said.room) {
            let behind = !member.queue.is_empty() || socket.wants_write();
            match offer(socket, &mut member.queue, &said.text) {
                Err(_) => gone.push(key),
                // It is polled for writing already if it was behind.
                Ok(()) if !behind && (!member.queue.is_empty() || socket.wants_write()) => waiting.push(key),
                Ok(()) => {}
            }
            self.delivered.fetch_add(1, Ordering::Relaxed);
        }
        for key in gone {
            if let Some((_, member)) = sockets.remove(key) {
                self.slow.fetch_add(usize::from(member.queue.len() >= QUEUE), Ordering::Relaxed);
            }
        }
        waiting.into_iter().try_for_each(|key| sockets.arm(key, true))
    }

    /// Does for a socket what can be done at once; false: it has ended.
    fn serve(&self, key: usize, sockets: &mut Sockets<Member>) -> Result<bool> {
        let Some((socket, member)) = sockets.get(key) else { return Ok(true) };
        while let Some(text) = member.queue.front() {
            match socket.try_send(&**text)? {
                Sent::Accepted => drop(member.queue.pop_front()),
                Sent::TimedOut => break,
            }
        }
        let mut turns = if self.is_behind() { 0 } else { TURN };
        let room = member.room.clone();
        while turns > 0 {
            match socket.try_recv()? {
                Recv::Item(message) => {
                    let text: Arc<str> = message.as_text().unwrap_or("(bytes)").into();
                    self.say(&Said { room: room.clone(), text })?;
                }
                Recv::TimedOut => break,
                Recv::Ended => return Ok(false),
            }
            turns -= 1;
        }
        // Messages that are in our hands already make no descriptor readable.
        let again = turns == 0 && socket.has_buffered();
        let writes = again || !member.queue.is_empty();
        sockets.arm(key, writes)?;
        Ok(true)
    }
}

/// Sends it, or queues it behind others; an error if the queue is full.
fn offer(socket: &mut WebSocket, queue: &mut VecDeque<Arc<str>>, text: &Arc<str>) -> Result<()> {
    if queue.is_empty() && socket.try_send(&**text)? == Sent::Accepted {
        return Ok(());
    }
    if queue.len() == QUEUE {
        return Err(Error::other("it does not read"));
    }
    queue.push_back(text.clone());
    Ok(())
}
