//! Wires in the hands of a test: it sees what they carry, and says when they break or panic.

#![allow(dead_code)] // Each test file uses its part.

use bowline::{
    Deadline, Error, Result,
    net::{Connect, Interest, Target, Tcp, Waker, Wire},
};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

/// What becomes of a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It does what it is asked.
    #[default]
    Whole,
    /// It takes nothing any more, as a socket does whose peer has sent a reset; until something is written nothing tells.
    Breaks,
    /// Every read and every write panics.
    Panics,
    /// Every read panics.
    PanicsReading,
    /// Every write panics.
    PanicsWriting,
}

/// What is done when a read has given, or a write has taken, so many bytes.
type Then = Box<dyn FnMut(usize) + Send>;

#[derive(Default)]
struct Shared {
    fate: Mutex<Fate>,
    writes: Mutex<Vec<Vec<u8>>>,
}

/// Connects as usual, or always to one address; all its wires have one fate.
#[derive(Clone, Default)]
pub struct Wires {
    shared: Arc<Shared>,
    to: Option<SocketAddr>,
}

impl Wires {
    /// Connects to this address, whatever the name.
    pub fn to(address: SocketAddr) -> Self {
        Wires { to: Some(address), ..Wires::default() }
    }

    /// Seals the fate of the wires that there are; those made later are whole.
    pub fn meet(&self, fate: Fate) {
        *self.shared.fate.lock().unwrap() = fate;
    }

    /// Returns each write that took something, in order.
    pub fn writes(&self) -> Vec<Vec<u8>> {
        self.shared.writes.lock().unwrap().clone()
    }

    /// Puts a wire among the others.
    pub fn over<W: Wire>(&self, wire: W) -> Held<W> {
        let shared = match *self.shared.fate.lock().unwrap() {
            Fate::Whole => self.shared.clone(),
            Fate::Breaks | Fate::Panics | Fate::PanicsReading | Fate::PanicsWriting => Arc::default(),
        };
        Held { wire, shared, on_read: Mutex::new(Box::new(|_| ())), on_write: Mutex::new(Box::new(|_| ())) }
    }
}

impl Connect for Wires {
    fn connect(&self, target: &Target, _: Deadline) -> Result<Box<dyn Wire>> {
        let socket = match self.to {
            Some(address) => TcpStream::connect(address),
            None => TcpStream::connect((&*target.host, target.port)),
        };
        Ok(Box::new(self.over(Tcp::new(socket.map_err(Error::other)?)?)))
    }
}

/// A wire whose fate a test decides.
pub struct Held<W> {
    wire: W,
    shared: Arc<Shared>,
    on_read: Mutex<Then>,
    on_write: Mutex<Then>,
}

impl<W> Held<W> {
    /// Tells after each read how many bytes it gave, before anybody else knows of them.
    pub fn on_read(self, on_read: impl FnMut(usize) + Send + 'static) -> Self {
        Held { on_read: Mutex::new(Box::new(on_read)), ..self }
    }

    /// Tells after each write how many bytes it took, before anybody else knows of it.
    pub fn on_write(self, on_write: impl FnMut(usize) + Send + 'static) -> Self {
        Held { on_write: Mutex::new(Box::new(on_write)), ..self }
    }

    fn fate(&self) -> Fate {
        *self.shared.fate.lock().unwrap()
    }
}

impl<W: Wire> Wire for Held<W> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let panics = matches!(self.fate(), Fate::Panics | Fate::PanicsReading);
        assert!(!panics, "as the test wants it: reading");
        let n = self.wire.try_read(buf)?;
        (self.on_read.lock().unwrap())(n);
        Ok(n)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.fate() {
            Fate::Whole | Fate::PanicsReading => {}
            Fate::Breaks => return Err(io::ErrorKind::BrokenPipe.into()),
            Fate::Panics | Fate::PanicsWriting => panic!("as the test wants it: writing"),
        }
        let n = self.wire.try_write(bytes)?;
        self.shared.writes.lock().unwrap().push(bytes[..n].to_vec());
        (self.on_write.lock().unwrap())(n);
        Ok(n)
    }

    fn watch(&self, interest: Interest, waker: &Waker) {
        self.wire.watch(interest, waker);
    }

    fn finish(&self) -> io::Result<()> {
        self.wire.finish()
    }

    fn shutdown(&self) {
        self.wire.shutdown();
    }

    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.wire.fd()
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.wire.socket()
    }

    fn has_buffered(&self) -> bool {
        self.wire.has_buffered()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.wire.peer_addr()
    }
}
