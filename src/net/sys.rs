//! The system calls std does not have: poll(2), epoll(7), the handle that ends it, a connect that does not wait. The only file naming `rustix`.

use super::{Interest, Ready, Wire};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket as Handle, OwnedSocket as Owned};
#[cfg(unix)]
use std::os::{
    fd::{AsFd, BorrowedFd as Handle, OwnedFd as Owned},
    unix::net::UnixStream,
};

/// The longest single poll(2): where the timeout is in milliseconds of 31 bits, more is refused.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns what can be polled of this wire.
pub(super) fn handle<'a>(wire: &'a (dyn Wire + 'a)) -> Option<Handle<'a>> {
    #[cfg(unix)]
    return wire.fd();
    #[cfg(windows)]
    return wire.socket();
}

/// The memory of a [`PollSet`], kept between waits.
#[derive(Debug, Default)]
pub(super) struct PollMemory(Vec<PollFd<'static>>);

/// Descriptors to wait for, and what for.
#[derive(Debug)]
pub(super) struct PollSet<'a>(Vec<PollFd<'a>>);

impl<'a> PollSet<'a> {
    /// Returns an empty set in the memory of an earlier one.
    pub(super) fn new(memory: &mut PollMemory) -> Self {
        PollSet(std::mem::take(&mut memory.0))
    }

    /// Gives the memory back.
    pub(super) fn recycle(mut self, memory: &mut PollMemory) {
        self.0.clear();
        // Nothing is left to convert: only the allocation passes on, which `collect` does in place.
        memory.0 = self.0.into_iter().map_while(|_| None).collect();
    }

    pub(super) fn push(&mut self, handle: Handle<'a>, interest: Interest) {
        let flags = match interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
            Interest::Both => PollFlags::IN | PollFlags::OUT,
        };
        self.0.push(PollFd::from_borrowed_fd(handle, flags));
    }

    /// Takes out what was pushed last; returns what it was ready for.
    pub(super) fn pop(&mut self) -> Ready {
        let ready = self.0.len().checked_sub(1).map(|n| self.ready(n));
        self.0.pop();
        ready.unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until something is ready; `None` is for ever. May return early, also with nothing ready.
    ///
    /// # Errors
    ///
    /// The system has no memory for the call, or allows fewer descriptors. A signal is not an error.
    pub(super) fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|t| t.min(LONGEST_POLL)).and_then(|t| Timespec::try_from(t).ok());
        match poll(&mut self.0, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what the descriptor pushed as number `n` is ready for; one in error is ready.
    pub(super) fn ready(&self, n: usize) -> Ready {
        let Some(entry) = self.0.get(n) else { return Ready::default() };
        let (flags, broken) = (entry.revents(), PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        let broken = flags.intersects(broken);
        // Of the several bits that are `IN` on Windows one is enough.
        Ready { read: flags.intersects(PollFlags::IN) || broken, write: flags.intersects(PollFlags::OUT) || broken }
    }
}

/// Waits until one of two descriptors can be read, without the ceremony of a [`PollSet`]; may return early. Returns which can.
///
/// # Errors
///
/// As [`PollSet::poll`].
#[inline]
pub(super) fn poll_two(a: Handle<'_>, b: Handle<'_>, timeout: Option<Duration>) -> io::Result<(bool, bool)> {
    let timeout = timeout.map(|t| t.min(LONGEST_POLL)).and_then(|t| Timespec::try_from(t).ok());
    let mut set = [PollFd::from_borrowed_fd(a, PollFlags::IN), PollFd::from_borrowed_fd(b, PollFlags::IN)];
    match poll(&mut set, timeout.as_ref()) {
        Ok(0) | Err(Errno::INTR) => Ok((false, false)),
        // An error is found out by whoever reads.
        Ok(_) => Ok((!set[0].revents().is_empty(), !set[1].revents().is_empty())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use epoll::Epoll;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use eventfd::EventFd as WakeHandle;
#[cfg(windows)]
pub(super) use loopback::Loopback as WakeHandle;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(super) use socketpair::SocketPair as WakeHandle;

/// Descriptors that stay registered with the kernel, so that a wait costs what is ready and not what is watched.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll {
    use super::{Duration, Errno, Handle, Interest, LONGEST_POLL, Owned, Ready, Timespec, io};
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use std::mem::MaybeUninit;

    /// How many descriptors one wait reports; the others are reported by the next.
    const EVENTS: usize = 256;

    /// An instance of epoll(7), level-triggered.
    #[derive(Debug)]
    pub(crate) struct Epoll(Owned);

    fn flags(interest: Interest) -> EventFlags {
        match interest {
            Interest::Read => EventFlags::IN,
            Interest::Write => EventFlags::OUT,
            Interest::Both => EventFlags::IN | EventFlags::OUT,
        }
    }

    impl Epoll {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Epoll(epoll::create(CreateFlags::CLOEXEC)?))
        }

        pub(crate) fn add(&self, handle: Handle<'_>, token: u64, interest: Interest) -> io::Result<()> {
            Ok(epoll::add(&self.0, handle, EventData::new_u64(token), flags(interest))?)
        }

        pub(crate) fn modify(&self, handle: Handle<'_>, token: u64, interest: Interest) -> io::Result<()> {
            Ok(epoll::modify(&self.0, handle, EventData::new_u64(token), flags(interest))?)
        }

        pub(crate) fn delete(&self, handle: Handle<'_>) -> io::Result<()> {
            Ok(epoll::delete(&self.0, handle)?)
        }

        /// Waits until something is ready; `None` is for ever. May return early, also with nothing ready.
        pub(crate) fn wait(&self, timeout: Option<Duration>, mut each: impl FnMut(u64, Ready)) -> io::Result<()> {
            let timeout = timeout.map(|t| t.min(LONGEST_POLL)).and_then(|t| Timespec::try_from(t).ok());
            // Filled by the system: most of the room is never used.
            let mut room = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
            let events = match epoll::wait(&self.0, &mut room, timeout.as_ref()) {
                Ok((events, _)) => &*events,
                Err(Errno::INTR) => &[],
                Err(error) => return Err(error.into()),
            };
            for event in events {
                let (flags, data) = (event.flags, event.data);
                let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
                let read = flags.contains(EventFlags::IN) || broken;
                each(data.u64(), Ready { read, write: flags.contains(EventFlags::OUT) || broken });
            }
            Ok(())
        }
    }
}

/// One descriptor, and eight bytes of kernel memory.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd {
    use super::{AsFd, Handle, Owned, io};
    use rustix::event::{EventfdFlags, eventfd};

    /// A handle that one thread polls and any thread makes readable.
    #[derive(Debug)]
    pub(crate) struct EventFd(Owned);

    impl EventFd {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(EventFd(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        /// Makes it readable. It can fail only when it is readable already.
        pub(crate) fn signal(&self) {
            let _ = rustix::io::retry_on_intr(|| rustix::io::write(&self.0, &1u64.to_ne_bytes()));
        }

        /// Makes it unreadable.
        pub(crate) fn drain(&self) {
            let _ = rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut [0; 8]));
        }

        pub(crate) fn handle(&self) -> Handle<'_> {
            self.0.as_fd()
        }
    }
}

/// Two descriptors, for systems without eventfd.
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
mod socketpair {
    use super::{AsFd, Handle, UnixStream, io};
    use std::io::{Read, Write};

    /// A handle that one thread polls and any thread makes readable.
    #[derive(Debug)]
    pub(crate) struct SocketPair {
        near: UnixStream,
        far: UnixStream,
    }

    impl SocketPair {
        pub(crate) fn new() -> io::Result<Self> {
            let (near, far) = UnixStream::pair()?;
            near.set_nonblocking(true)?;
            far.set_nonblocking(true)?;
            Ok(SocketPair { near, far })
        }

        /// Makes it readable. It can fail only when it is readable already.
        pub(crate) fn signal(&self) {
            while (&self.far).write(&[1]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        }

        /// Makes it unreadable.
        pub(crate) fn drain(&self) {
            let mut bytes = [0; 64];
            while (&self.near).read(&mut bytes).is_ok_and(|n| n == bytes.len()) {}
        }

        pub(crate) fn handle(&self) -> Handle<'_> {
            self.near.as_fd()
        }
    }
}

/// A socket connected to itself, where only sockets can be polled.
#[cfg(any(test, windows))]
mod loopback {
    use super::{Handle, io};
    use std::net::{Ipv4Addr, UdpSocket};

    /// A handle that one thread polls and any thread makes readable.
    #[derive(Debug)]
    pub(crate) struct Loopback(UdpSocket);

    impl Loopback {
        pub(crate) fn new() -> io::Result<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(socket.local_addr()?)?;
            socket.set_nonblocking(true)?;
            Ok(Loopback(socket))
        }

        /// Makes it readable. It can fail only when it is readable already.
        pub(crate) fn signal(&self) {
            while self.0.send(&[1]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        }

        /// Makes it unreadable.
        pub(crate) fn drain(&self) {
            while self.0.recv(&mut [0; 8]).is_ok() {}
        }

        pub(crate) fn handle(&self) -> Handle<'_> {
            #[cfg(unix)]
            return super::AsFd::as_fd(&self.0);
            #[cfg(windows)]
            return super::AsSocket::as_socket(&self.0);
        }
    }
}

/// Begins to connect without waiting, from the address `local` if there is one; the socket is ready to write once it is connected or failed.
///
/// # Errors
///
/// What the system can say at once: no route, no descriptor left, `local` is not ours.
pub(crate) fn start_connect(addr: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = TcpStream::from(open(family)?);
    socket.set_nonblocking(true)?;
    if let Some(local) = local {
        rustix::net::bind(&socket, &SocketAddr::new(local, 0))?;
    }
    match rustix::net::connect(&socket, &addr) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR | Errno::WOULDBLOCK) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether a socket of [`start_connect`] is connected; false is not yet.
///
/// # Errors
///
/// Why it will not be. A socket that happened to connect to itself, which TCP allows where nobody listens on a local port
/// that the system then chooses for this end, counts as refused.
pub(crate) fn connect_result(socket: &TcpStream) -> io::Result<bool> {
    sockopt::socket_error(socket)??;
    match socket.peer_addr() {
        Ok(peer) if socket.local_addr()? == peer => Err(io::ErrorKind::ConnectionRefused.into()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets so many peers wait in the queue of a listening socket, as far as the system allows.
#[cfg(unix)]
pub(crate) fn deepen(socket: &impl std::os::fd::AsFd, queue: i32) {
    // The socket listens already; where that cannot be changed it stays as it was.
    let _ = rustix::net::listen(socket, queue);
}

/// Lets the sockets that will be accepted send at once what is written: they take over the options of the one that listens.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn hurry(socket: &std::net::TcpListener) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(socket, true)?)
}

/// Takes the next connection, non-blocking and not inherited by child processes, and says who made it: one call instead of three.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn accept(socket: &std::net::TcpListener) -> io::Result<(TcpStream, Option<SocketAddr>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::io::retry_on_intr(|| rustix::net::acceptfrom_with(socket, flags))?;
    Ok((TcpStream::from(socket), peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// Connects to a Unix socket without waiting; there is no state between.
///
/// # Errors
///
/// `WouldBlock` if the queue of the listener is full: try again a little later. Nothing becomes ready when it has room.
#[cfg(unix)]
pub(crate) fn connect_unix(path: &std::path::Path) -> io::Result<UnixStream> {
    let socket = UnixStream::from(open(AddressFamily::UNIX)?);
    socket.set_nonblocking(true)?;
    let addr = rustix::net::SocketAddrUnix::new(path)?;
    match rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &addr)) {
        Ok(()) | Err(Errno::ISCONN) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Returns a socket that is connected to itself.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn connect_to_itself(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::from(open(AddressFamily::INET)?);
    rustix::net::bind(&socket, &addr)?;
    rustix::net::connect(&socket, &addr)?;
    Ok(socket)
}

/// Returns a new stream socket that child processes do not inherit.
fn open(family: AddressFamily) -> io::Result<Owned> {
    #[cfg(windows)]
    winsock()?;
    #[cfg(not(any(windows, target_vendor = "apple", target_os = "aix", target_os = "haiku")))]
    let flags = SocketFlags::CLOEXEC;
    #[cfg(any(windows, target_vendor = "apple", target_os = "aix", target_os = "haiku"))]
    let flags = SocketFlags::empty();
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    #[cfg(any(target_vendor = "apple", target_os = "aix", target_os = "haiku"))]
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

/// Starts the socket library of the process, once; std does it only for sockets of its own.
#[cfg(windows)]
fn winsock() -> io::Result<()> {
    static STARTED: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    if STARTED.get().is_none() {
        rustix::net::wsa_startup()?;
        let _ = STARTED.set(());
    }
    Ok(())
}

/// Whose fault it is that nobody was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptFailure {
    /// This process or machine has no descriptor or memory left; it may have again later.
    Exhausted,
    /// The listener is unusable.
    Final,
    /// That one peer is gone, or its network is: the next one can be accepted.
    Peer,
}

impl AcceptFailure {
    /// Sorts the errors of accept(2); Linux also reports the pending network errors of the new socket there.
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(code) = error.raw_os_error() else { return Self::Final };
        #[cfg(not(windows))]
        let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        #[cfg(windows)]
        let exhausted = [Errno::MFILE, Errno::NOBUFS];
        let peer = [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::INTR,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::NOPROTOOPT,
            #[cfg(not(windows))]
            Errno::PERM,
            #[cfg(not(windows))]
            Errno::PROTO,
            Errno::TIMEDOUT,
        ];
        if exhausted.iter().any(|e| e.raw_os_error() == code) {
            Self::Exhausted
        } else if peer.iter().any(|e| e.raw_os_error() == code) {
            Self::Peer
        } else {
            Self::Final
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one kind of wake handle: what wakes on other systems must work, too.
    macro_rules! wakes {
        ($name:ident, $handle:ty) => {
            #[test]
            fn $name() {
                let handle = <$handle>::new().unwrap();
                let mut memory = PollMemory::default();
                let mut poll = || {
                    let mut set = PollSet::new(&mut memory);
                    set.push(handle.handle(), Interest::Read);
                    set.poll(Some(Duration::ZERO)).unwrap();
                    let ready = set.pop();
                    set.recycle(&mut memory);
                    ready.read
                };
                assert!(!poll());
                for signals in [1, 2, 100, 100_000] {
                    (0..signals).for_each(|_| handle.signal());
                    assert!(poll() && poll(), "{signals} signals");
                    handle.drain();
                    assert!(!poll(), "{signals} signals");
                    handle.drain();
                }
            }
        };
    }

    #[cfg(target_os = "linux")]
    wakes!(an_eventfd_wakes, eventfd::EventFd);
    #[cfg(unix)]
    wakes!(a_socket_pair_wakes, socketpair::SocketPair);
    wakes!(a_loopback_socket_wakes, loopback::Loopback);

    #[test]
    fn the_memory_of_a_set_is_kept() {
        let handle = WakeHandle::new().unwrap();
        let mut memory = PollMemory::default();
        for round in 0..3 {
            let mut set = PollSet::new(&mut memory);
            assert!(round == 0 || set.0.capacity() >= 5);
            (0..5).for_each(|_| set.push(handle.handle(), Interest::Both));
            set.recycle(&mut memory);
        }
    }
}
