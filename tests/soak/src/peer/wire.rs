//! A socket, with or without TLS, that can end in every way a socket can end.

use crate::process;
use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a client may leave in its socket what it was sent before a fault.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Wire {
    stream: Stream,
    /// Received and not yet understood.
    pub input: Vec<u8>,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    Bytes,
    Nothing,
    End,
}

impl Wire {
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(Duration::from_secs(20)))?;
        let stream = match tls {
            None => Stream::Clear(socket),
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        };
        Ok(Wire { stream, input: Vec::new() })
    }

    pub fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Clear(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// Reads once, at most until then.
    pub fn read_until(&mut self, until: Instant) -> io::Result<Got> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket().set_read_timeout(Some(left))?;
        let mut piece = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Clear(socket) => socket.read(&mut piece),
            Stream::Tls(tls) => tls.read(&mut piece),
        };
        match read {
            Ok(0) => Ok(Got::End),
            Ok(n) => {
                self.input.extend_from_slice(&piece[..n]);
                Ok(Got::Bytes)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(Got::Nothing),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Got::End),
            Err(e) => Err(e),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// Ends with RST, whatever the peer has sent.
    pub fn abort(self) {
        // What was sent before is no part of the fault: it has to have arrived, and a client that is busy elsewhere may be late
        // to take it.
        let until = Instant::now() + PATIENCE;
        while process::has_unsent(self.socket()).unwrap_or(false) {
            if Instant::now() >= until {
                return self.cut();
            }
            sleep(Duration::from_millis(1));
        }
        // If it fails, the socket ends with FIN: another fault.
        let _ = set_socket_linger(self.socket(), Some(Duration::ZERO));
    }

    /// Ends as one should: what was sent arrives, though the client may still be sending.
    pub fn close(mut self) {
        if let Stream::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        self.cut();
    }

    /// Ends with FIN, TLS without its goodbye.
    pub fn cut(mut self) {
        let _ = self.socket().shutdown(Shutdown::Write);
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until && matches!(self.read_until(until), Ok(Got::Bytes)) {
            self.input.clear();
        }
    }
}
