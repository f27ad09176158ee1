//! Wires: bytes to and from a peer, with deadlines.

mod dial;
mod listen;
mod pair;
mod poller;
mod proxy;
mod sleep;
mod sys;
mod task;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/off.rs"]
mod tls;
#[cfg(unix)]
mod unix;
mod wait;

pub(crate) use dial::{Dial, DialPlan, Dialled, Took, Via};
pub(crate) use listen::Listener;
pub use pair::{PairEnd, pair};
pub(crate) use poller::Poller;
pub use proxy::Proxy;
pub(crate) use proxy::Route;
#[cfg(unix)]
pub(crate) use sys::connect_unix;
pub(crate) use sys::{connect_result, start_connect};
pub(crate) use task::{Cx, Lead, Part, Places, Wants};
pub use tcp::Tcp;
#[cfg(feature = "rustls-api")]
pub(crate) use tls::RustlsServerConfig;
#[cfg(feature = "tls")]
pub use tls::Tls;
#[cfg(feature = "tls")]
pub(crate) use tls::TlsServer;
pub(crate) use tls::{Fed, Session, TlsClient, TlsError, TlsWire};
#[cfg(unix)]
pub use unix::Unix;
pub use wait::Waker;
pub(crate) use wait::{Ready, Waiter, with_any_waiter, with_waiter};

use crate::{error::Result, time::Deadline};
use std::{io, net::SocketAddr};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

/// A byte channel that several threads use at once and that never blocks: `WouldBlock` means nothing now.
///
/// One thread can wait on many wires together, through their descriptors or their wakers.
pub trait Wire: Send + Sync {
    /// Reads what is there; zero is the end.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes what fits.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// For wires without a descriptor: wakes `waker` once `interest` may be possible. Wakes may be spurious.
    fn watch(&self, interest: Interest, waker: &Waker);
    /// Ends writing; the peer reads an end.
    fn finish(&self) -> io::Result<()>;
    /// Ends both directions and every wait.
    fn shutdown(&self);
    /// Returns the descriptor to poll, if there is one; then `watch` is not called.
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
    /// Returns the socket to poll, if there is one; then `watch` is not called.
    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        None
    }
    /// Returns whether something can be read although the descriptor may be silent; nobody waits for the descriptor then.
    ///
    /// Only for wires that hold bytes back, such as one that decrypts whole records.
    fn has_buffered(&self) -> bool {
        false
    }
    /// Returns the peer's address, if it has one.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}

/// What a [`Connect`] made is a wire for [`Connection::over`](crate::Connection::over) too.
impl<W: Wire + ?Sized> Wire for Box<W> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (**self).try_read(buf)
    }
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (**self).try_write(bytes)
    }
    fn watch(&self, interest: Interest, waker: &Waker) {
        (**self).watch(interest, waker);
    }
    fn finish(&self) -> io::Result<()> {
        (**self).finish()
    }
    fn shutdown(&self) {
        (**self).shutdown();
    }
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        (**self).fd()
    }
    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        (**self).socket()
    }
    fn has_buffered(&self) -> bool {
        (**self).has_buffered()
    }
    fn peer_addr(&self) -> Option<SocketAddr> {
        (**self).peer_addr()
    }
}

/// Where to connect.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: String,
    /// The name or the literal address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Makes wires; the default resolves and dials TCP. TLS is put on top by the client.
///
/// # Examples
///
/// ```
/// use bowline::{Deadline, Result, net::{Connect, Target, Tcp, Wire}};
/// use std::net::TcpStream;
///
/// # fn main() -> bowline::Result<()> {
/// /// Leads every name to one address.
/// struct To(&'static str);
///
/// impl Connect for To {
///     fn connect(&self, _target: &Target, _deadline: Deadline) -> Result<Box<dyn Wire>> {
///         Ok(Box::new(Tcp::new(TcpStream::connect(self.0)?)?))
///     }
/// }
///
/// let client = bowline::Client::builder().connector(To("127.0.0.1:8080")).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Connect: Send + Sync {
    /// Returns a wire to `target`, or fails at `deadline`.
    fn connect(&self, target: &Target, deadline: Deadline) -> Result<Box<dyn Wire>>;
}

/// Finds addresses; the default asks the operating system.
///
/// # Examples
///
/// ```
/// use bowline::{Deadline, net::Resolve};
/// use std::{io, net::SocketAddr};
///
/// # fn main() -> bowline::Result<()> {
/// /// Knows one name.
/// struct Hosts;
///
/// impl Resolve for Hosts {
///     fn resolve(&self, host: &str, port: u16, _deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
///         match host {
///             "printer" => Ok(vec![SocketAddr::from(([192, 0, 2, 9], port))]),
///             _ => Err(io::Error::other("no such name")),
///         }
///     }
/// }
///
/// let client = bowline::Client::builder().resolver(Hosts).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Resolve: Send + Sync {
    /// Returns the addresses of `host`, best first.
    fn resolve(&self, host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>>;
}

/// Attached to an error of kind `Tls`: the server has none of the application protocols it was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAlpn;

#[cfg(test)]
mod tests;
