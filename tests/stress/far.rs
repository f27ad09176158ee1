//! The far end of a client's connection, whatever it travels on: scripted frames and bytes, in one thread that never blocks.

use super::{Over, client, h2peer::*, identity, tls};
use bowline::{
    Client, Deadline, Protocol, Result,
    net::{Connect, PairEnd, Target, Wire, pair},
};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Instant,
};

/// How many bytes a wire in memory holds, and the buffer of a socket that receives: 8 MiB never fit.
const ROOM: usize = 64 * 1024;

/// Bytes that are there, or `WouldBlock`.
trait Stream: Send {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn flush(&mut self) -> io::Result<()>;
}

struct Socket<S>(S);

impl<S: Read + Write + Send> Stream for Socket<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for PairEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_read(buf)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where connections arrive.
pub struct Place {
    over: Over,
    url: String,
    ends: mpsc::Receiver<Box<dyn Stream>>,
    /// Kept for wires in memory: the client gives its ends away through it.
    connector: Option<InMemory>,
}

#[derive(Clone)]
struct InMemory(Arc<Mutex<mpsc::Sender<Box<dyn Stream>>>>);

impl Connect for InMemory {
    fn connect(&self, _target: &Target, _deadline: Deadline) -> Result<Box<dyn Wire>> {
        let (near, far) = pair(ROOM);
        self.0.lock().unwrap().send(Box::new(far)).expect("the place is there");
        Ok(Box::new(near))
    }
}

impl Place {
    pub fn new(over: Over, protocol: Protocol) -> Self {
        let (send, ends) = mpsc::channel();
        if over == Over::Memory {
            let connector = Some(InMemory(Arc::new(Mutex::new(send))));
            return Place { over, url: "http://in.memory/".into(), ends, connector };
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, ROOM).unwrap();
        let scheme = if over == Over::Tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        // Ends with the first connection that nobody takes any more.
        thread::spawn(move || {
            listener.incoming().flatten().try_for_each(|socket| send.send(far_end(over, socket, protocol)))
        });
        Place { over, url, ends, connector: None }
    }

    pub fn client(&self, protocol: Protocol) -> Client {
        match &self.connector {
            Some(connector) => client(protocol).connector(connector.clone()),
            None => client(protocol),
        }
        .build()
        .unwrap()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn accept(&self) -> Far {
        let stream = self.ends.recv_timeout(PATIENCE).expect("no connection came");
        Far { over: self.over, stream, buf: Vec::new() }
    }

    pub fn assert_no_more(&self) {
        assert!(self.ends.try_recv().is_err(), "another connection was made");
    }
}

fn far_end(over: Over, socket: TcpStream, protocol: Protocol) -> Box<dyn Stream> {
    socket.set_nodelay(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    if over == Over::Tcp {
        return Box::new(Socket(socket));
    }
    let alpn: &[u8] = if protocol == Protocol::Http2 { b"h2" } else { b"http/1.1" };
    Box::new(Socket(tls::accept(socket, &tls::config(&identity().0, &[alpn]))))
}

/// One connection, from the peer's side.
pub struct Far {
    over: Over,
    stream: Box<dyn Stream>,
    buf: Vec<u8>,
}

impl Far {
    /// Goes on with `step` until it gives something.
    #[track_caller]
    fn until<T>(&mut self, mut step: impl FnMut(&mut Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(done) = step(self) {
                return done;
            }
            assert!(began.elapsed() < PATIENCE, "{:?}: stuck with {} bytes", self.over, self.buf.len());
            thread::yield_now();
        }
    }

    /// Reads what is there; false if there is nothing.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => panic!("{:?}: the connection ended", self.over),
            Ok(n) => {
                self.buf.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            Err(e) => panic!("{:?}: {e}", self.over),
        }
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        self.until(|far| {
            let enough = far.buf.len() >= n || far.fill() && far.buf.len() >= n;
            enough.then_some(())
        });
        self.buf.drain(..n).collect()
    }

    /// What arrives up to and including `end`.
    #[track_caller]
    pub fn bytes_until(&mut self, end: &[u8]) -> Vec<u8> {
        let at = self.until(|far| {
            let at = far.buf.windows(end.len()).position(|w| w == end);
            if at.is_none() {
                far.fill();
            }
            at
        });
        self.buf.drain(..at + end.len()).collect()
    }

    /// The next frame that is no bookkeeping; PINGs are acknowledged.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        loop {
            let frame = self.until(|far| {
                let frame = Frame::parse(&mut far.buf);
                if frame.is_none() {
                    far.fill();
                }
                frame
            });
            match frame.kind {
                WINDOW_UPDATE | SETTINGS => {}
                PING if frame.is_ack() => {}
                PING => self.send(&[Frame::ping_ack(&frame.payload)]),
                _ => return frame,
            }
        }
    }

    /// The next frame, which has to be of this kind and stream.
    #[track_caller]
    pub fn expect(&mut self, kind: u8, stream: u32) -> Frame {
        let frame = self.frame();
        assert_eq!((frame.kind, frame.stream), (kind, stream), "{:?}", self.over);
        frame
    }

    /// The stream of the next request.
    #[track_caller]
    pub fn request(&mut self) -> u32 {
        let frame = self.frame();
        assert_eq!(frame.kind, HEADERS, "{:?}: {frame:?}", self.over);
        frame.stream
    }

    /// Begins HTTP/2 with windows that are no limit.
    #[track_caller]
    pub fn begin(&mut self) {
        const MOST: u32 = i32::MAX as u32;
        assert_eq!(self.bytes(PREFACE.len()), PREFACE);
        self.send(&[
            Frame::settings(&[(INITIAL_WINDOW_SIZE, MOST)]),
            Frame::settings_ack(),
            Frame::window_update(0, MOST - 65_535),
        ]);
    }

    #[track_caller]
    pub fn send(&mut self, frames: &[Frame]) {
        self.say(&concat(frames));
    }

    #[track_caller]
    pub fn say(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        self.until(|far| {
            match if rest.is_empty() { far.stream.flush().map(|()| 0) } else { far.stream.write(rest) } {
                Ok(0) if rest.is_empty() => return Some(()),
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{:?}: {e}", far.over),
            }
            None
        });
    }
}
