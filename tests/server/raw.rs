//! A client that says exactly what it is told, and what it reads back.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// A bound on waits that must end for another reason; failing is slow, not hanging.
pub const LONG: Duration = Duration::from_secs(20);

/// A raw connection.
pub struct Raw {
    socket: TcpStream,
    unread: Vec<u8>,
}

/// One answer as it was read.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().expect("a status line")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).unwrap())
    }

    pub fn on(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_nodelay(true).unwrap();
        Raw { socket, unread: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.socket.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends as long as the peer takes it.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write_all(bytes.as_ref()).is_ok()
    }

    pub fn finish(&mut self) -> &mut Self {
        self.socket.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Waits for more; false at the end.
    fn fill(&mut self) -> bool {
        let mut buf = [0; 64 * 1024];
        match self.socket.read(&mut buf) {
            Ok(0) => false,
            Ok(n) => {
                self.unread.extend_from_slice(&buf[..n]);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!("nothing came: {e}; unread: {:?}", String::from_utf8_lossy(&self.unread)),
        }
    }

    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|w| w == end.as_bytes()) {
                let taken: Vec<u8> = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert!(self.fill(), "it ended before {end:?}: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    pub fn take(&mut self, n: usize) -> Vec<u8> {
        while self.unread.len() < n {
            assert!(self.fill(), "it ended after {} of {n} bytes", self.unread.len());
        }
        self.unread.drain(..n).collect()
    }

    /// Reads one head.
    pub fn head(&mut self) -> Answer {
        Answer { head: self.until("\r\n\r\n"), body: Vec::new(), trailers: String::new() }
    }

    /// Reads one whole answer to a request that is not HEAD.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.status() < 200 || matches!(answer.status(), 204 | 304) {
            return answer;
        }
        if answer.get("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.until("\r\n");
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                if size == 0 {
                    break;
                }
                answer.body.extend(self.take(size));
                assert_eq!(self.take(2), b"\r\n");
            }
            loop {
                let line = self.until("\r\n");
                if line == "\r\n" {
                    break;
                }
                answer.trailers += &line;
            }
        } else if let Some(len) = answer.get("content-length") {
            let len = len.parse().unwrap();
            answer.body = self.take(len);
        } else {
            answer.body = self.rest();
        }
        answer
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// Everything up to the end, if that comes within so long of the last byte.
    pub fn rest_within(&mut self, d: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(d)).unwrap();
        let mut buf = [0; 1024];
        let ended = loop {
            match self.socket.read(&mut buf) {
                Ok(0) => break true,
                Ok(n) => self.unread.extend_from_slice(&buf[..n]),
                Err(e) => break e.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        self.socket.set_read_timeout(Some(LONG)).unwrap();
        ended.then(|| std::mem::take(&mut self.unread))
    }

    /// The first bytes, if any come before the end.
    pub fn rest_of_head(&mut self) -> Vec<u8> {
        while self.unread.len() < 12 && self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// Whether the peer ends the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Whether nothing has come within so long.
    pub fn is_silent(&mut self, d: Duration) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        self.socket.set_read_timeout(Some(d)).unwrap();
        let mut byte = [0];
        let read = self.socket.peek(&mut byte);
        self.socket.set_read_timeout(Some(LONG)).unwrap();
        read.is_err()
    }
}
