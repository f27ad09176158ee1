//! One wait over everything.

use super::*;

/// The far end of a wire in memory, as a peer.
struct Far {
    end: PairEnd,
    buf: Vec<u8>,
}

impl Far {
    fn new(end: PairEnd) -> Self {
        Far { end, buf: Vec::new() }
    }

    fn until<T>(&mut self, mut found: impl FnMut(&mut Vec<u8>) -> Option<T>) -> T {
        let began = Instant::now();
        let mut piece = [0; 4096];
        loop {
            if let Some(found) = found(&mut self.buf) {
                return found;
            }
            match self.end.try_read(&mut piece) {
                Ok(0) => panic!("the wire ended"),
                Ok(n) => self.buf.extend_from_slice(&piece[..n]),
                Err(_) => thread::yield_now(),
            }
            assert!(began.elapsed() < PATIENCE, "nothing came");
        }
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(self.end.try_write(bytes).unwrap(), bytes.len());
    }
}

#[test]
fn a_batch_over_anything() {
    // HTTP/1 and HTTP/2, over sockets and in memory, from one thread.
    let (h2, h1) = (client(), builder().protocol(Protocol::Http1).build().unwrap());
    let (tcp2, tcp1) = (Peer::new(), Peer::new());
    let (near2, far2) = pair(1 << 16);
    let (near1, far1) = pair(1 << 16);
    let memory2 = Connection::over(near2, "http://in.memory", &h2).unwrap();
    let memory1 = Connection::over(near1, "http://in.memory", &h1).unwrap();
    let mut batch = Batch::new();
    for n in 0..2 {
        batch.push(h2.get(tcp2.url("/")).start(), format!("h2 over tcp {n}"));
        batch.push(memory2.get("/").start(), format!("h2 in memory {n}"));
        batch.push(memory1.get("/").start(), format!("h1 in memory {n}"));
        batch.push(h1.get(tcp1.url("/")).start(), format!("h1 over tcp {n}"));
    }
    let (mut far2, mut far1) = (Far::new(far2), Far::new(far1));
    let mut socket2 = tcp2.h2();
    let mut sockets1 = [tcp1.accept(), tcp1.accept()];
    let (send, order) = mpsc::channel();
    let collecting = task(move || {
        for (tag, answer) in batch.by_ref() {
            let answer: Response = answer.unwrap();
            send.send((tag, answer.version(), answer.text().unwrap())).unwrap();
        }
        assert!(matches!(batch.recv_timeout(ms(1)), Recv::Ended));
    });
    let next = || order.recv_timeout(PATIENCE).expect("an answer");

    // Each is given back as soon as it is answered, whatever the others do.
    let head = socket2.request();
    socket2.answer(head.stream, 200, b"a");
    let (tag, version, text) = next();
    assert_eq!((&*tag, version, &*text), ("h2 over tcp 0", Version::HTTP_2, "a"));
    far1.until(|buf| buf.windows(4).position(|w| w == b"\r\n\r\n").map(|at| buf.drain(..at + 4).count()));
    far1.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
    let (tag, version, text) = next();
    assert_eq!((&*tag, version, &*text), ("h1 in memory 0", Version::HTTP_11, "b"));
    far2.until(|buf| (buf.len() >= PREFACE.len()).then(|| buf.drain(..PREFACE.len()).count()));
    far2.write(&concat(&[Frame::settings(&[]), Frame::settings_ack()]));
    let mut streams = Vec::new();
    while streams.len() < 2 {
        let frame = far2.until(Frame::parse);
        if frame.kind == HEADERS {
            streams.push(frame.stream);
        }
    }
    far2.write(&concat(&[answer(streams[1], 200, b"c"), answer(streams[0], 200, b"d")].concat()));
    let mut both = [next(), next()];
    both.sort();
    assert_eq!(
        both.map(|(tag, _, text)| (tag, text)),
        [("h2 in memory 0".to_owned(), "d".to_owned()), ("h2 in memory 1".to_owned(), "c".to_owned())]
    );
    for socket in &mut sockets1 {
        socket.bytes_until(b"\r\n\r\n");
        socket.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ne");
        assert!(next().0.starts_with("h1 over tcp"));
    }
    let head = socket2.request();
    socket2.answer(head.stream, 200, b"f");
    assert_eq!(next().0, "h2 over tcp 1");
    far1.until(|buf| buf.windows(4).position(|w| w == b"\r\n\r\n").map(|at| buf.drain(..at + 4).count()));
    far1.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ng");
    assert_eq!(next().0, "h1 in memory 1");
    collecting.join();
}
