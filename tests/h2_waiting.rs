//! Threads that wait on one HTTP/2 connection: one reads for all, and nothing that one of them does hurts the others.

#[path = "support/h2client.rs"]
mod h2client;
#[path = "support/h2peer.rs"]
mod h2peer;

#[cfg(feature = "tls")]
#[path = "../src/net/tls/certs.rs"]
mod certs;

use bowline::{
    Batch, Body, Cancel, Client, Connection, ConnectionState, ErrorKind, Exchange, Hook, Phase, Processed, Protocol,
    Recv, Response, Result, Server, Timeouts, Trace, UpkeepAction,
    http::{HeaderMap, HeaderValue, Version},
    net::{PairEnd, Wire, pair},
};
use h2client::{builder, get, idle, idle_with, ms};
use h2peer::*;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// The window of a stream, and of the connection, unless something else is said.
const WINDOW: usize = 65_535;

const HUGE: u32 = i32::MAX as u32;

fn client() -> Client {
    builder().build().unwrap()
}

fn post(client: &Client, peer: &Peer, body: Vec<u8>) -> Task<Result<Response>> {
    let request = client.post(peer.url("/")).body(body);
    task(|| request.send())
}

/// A request that nobody answers for now: its thread reads for all.
fn leader(client: &Client, peer: &Peer, link: &mut Link) -> (Task<Result<Response>>, u32) {
    let asked = get(client, peer);
    let head = link.request();
    // It sleeps: whatever it has framed was sent.
    link.assert_quiet(ms(20));
    (asked, head.stream)
}

fn finish(link: &mut Link, asked: Task<Result<Response>>, stream: u32) {
    link.answer(stream, 200, b"bye");
    let answered = Instant::now();
    let (answer, at) = asked.join_at();
    assert_eq!(answer.unwrap().text().unwrap(), "bye");
    assert!(at <= answered + LATE, "late: {:?}", at - answered);
}

#[test]
fn a_leader_that_times_out_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    let request = client.get(peer.url("/")).timeout(ms(200));
    let leading = task(|| request.send());
    link.request();
    link.assert_quiet(ms(20));
    let followers: Vec<_> = (0..3).map(|_| (get(&client, &peer), link.request().stream)).collect();
    let (failed, at) = leading.join_at();
    assert_on_time(began, ms(200), at);
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(link.expect(RST_STREAM).code(), CANCEL);
    let ping = link.expect(PING);
    link.ack(&ping);
    // One after the other leads, each until its own answer comes.
    for (asked, stream) in followers {
        finish(&mut link, asked, stream);
    }
    peer.assert_no_more();
}

#[test]
fn a_leader_that_is_cancelled_hurts_nobody() {
    let (peer, client, cancel) = (Peer::new(), client(), Cancel::new());
    let mut link = idle(&client, &peer);
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let leading = task(|| request.send());
    link.request();
    link.assert_quiet(ms(20));
    let follower = get(&client, &peer);
    let stream = link.request().stream;
    let cancelled = Instant::now();
    cancel.cancel();
    let (failed, at) = leading.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    assert_eq!(link.expect(RST_STREAM).code(), CANCEL);
    let ping = link.expect(PING);
    link.ack(&ping);
    finish(&mut link, follower, stream);
}

/// A body whose next piece is what the test says.
struct Scripted {
    pieces: Receiver<Vec<u8>>,
    asked: Sender<()>,
}

impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = self.asked.send(());
        let piece = self.pieces.recv_timeout(PATIENCE).expect("the test says what is next");
        assert!(piece != b"panic", "as the test wants it");
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// A scripted body, what feeds it, and what tells that it is read.
fn scripted() -> (Body, Sender<Vec<u8>>, Receiver<()>) {
    let (feed, pieces) = mpsc::channel();
    let (asked, told) = mpsc::channel();
    (Body::from_reader(Scripted { pieces, asked }), feed, told)
}

/// Has a thread upload from a scripted body until it leads; then its reader is asked for more.
fn uploading_leader(
    client: &Client,
    peer: &Peer,
    link: &mut Link,
) -> (thread::JoinHandle<Result<Response>>, u32, Sender<Vec<u8>>, Receiver<()>) {
    let (body, feed, told) = scripted();
    let request = client.post(peer.url("/")).body(body);
    let uploading = thread::spawn(|| request.send());
    told.recv_timeout(PATIENCE).unwrap();
    feed.send(vec![1; 64 * 1024]).unwrap();
    let stream = link.request().stream;
    let mut came = 0;
    while came < WINDOW {
        came += link.expect(DATA).payload.len();
    }
    // The last byte waits for window: the thread sleeps, and leads.
    link.assert_quiet(ms(20));
    (uploading, stream, feed, told)
}

#[test]
fn a_leader_that_panics_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (uploading, stream, feed, told) = uploading_leader(&client, &peer, &mut link);
    link.send(&[Frame::window_update(0, 1 << 20)]);
    let follower = get(&client, &peer);
    let followed = link.request().stream;
    feed.send(b"panic".to_vec()).unwrap();
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    told.recv_timeout(PATIENCE).unwrap();
    assert!(uploading.join().is_err(), "it panicked");
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    finish(&mut link, follower, followed);
    // The connection serves on.
    let next = get(&client, &peer);
    let stream = link.skip_to(HEADERS).stream;
    finish(&mut link, next, stream);
    peer.assert_no_more();
}

#[test]
fn a_leader_whose_body_is_slow_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (uploading, stream, feed, told) = uploading_leader(&client, &peer, &mut link);
    let follower = get(&client, &peer);
    let followed = link.request().stream;
    link.send(&[Frame::window_update(0, 1 << 20), Frame::window_update(stream, 1 << 20)]);
    // Its reader is asked for more and takes its time; the others are served meanwhile.
    told.recv_timeout(PATIENCE).unwrap();
    link.expect(DATA);
    finish(&mut link, follower, followed);
    feed.send(Vec::new()).unwrap();
    while !link.expect(DATA).ends() {}
    link.answer(stream, 200, b"");
    uploading.join().unwrap().unwrap();
}

#[test]
fn a_leader_that_sleeps_is_woken_for_what_others_want() {
    let client = builder().upkeep_interval(Duration::ZERO).build().unwrap();
    let peer = Peer::new();
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, HUGE)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let (leading, led) = leader(&client, &peer, &mut link);

    // A PING of upkeep.
    let row = client.upkeep().remove(0);
    assert_eq!((row.action, row.state), (UpkeepAction::Pinged, ConnectionState::Active));
    let pings = link.arrived();
    assert_eq!(pings.iter().map(|f| f.kind).collect::<Vec<_>>(), [PING]);
    link.ack(&pings[0]);
    // What is read after a head went out would show that the peer is there.
    while client.connections()[0].pings_acked == 0 {
        thread::yield_now();
    }

    // A cancel of another stream.
    let cancel = Cancel::new();
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let follower = task(|| request.send());
    let stream = link.request().stream;
    link.assert_quiet(ms(20));
    let cancelled = Instant::now();
    cancel.cancel();
    let (failed, at) = follower.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    let ping = link.expect(PING);
    link.ack(&ping);

    // An upload that does not fit into the socket.
    let upload = post(&client, &peer, vec![7; 8 << 20]);
    link.assert_quiet_until_stuck();
    let (stream, body) = link.request_with_body();
    assert!(body.len() == 8 << 20 && body.iter().all(|b| *b == 7));
    link.answer(stream, 200, b"");
    upload.join().unwrap();

    leading.assert_waiting();
    finish(&mut link, leading, led);
}

impl Link {
    /// Waits until something came, without reading it.
    fn assert_quiet_until_stuck(&mut self) {
        let mut byte = [0];
        assert_eq!(self.socket.peek(&mut byte).expect("something comes"), 1);
    }
}

#[test]
fn a_followers_timeout_is_on_time() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (leading, led) = leader(&client, &peer, &mut link);
    let followers: Vec<_> = [150, 50, 250, 100]
        .map(|limit| {
            let request = client.get(peer.url("/")).timeout(ms(limit));
            let began = Instant::now();
            (limit, began, task(|| request.send()))
        })
        .into();
    for (limit, began, follower) in followers {
        let (failed, at) = follower.join_at();
        let e = failed.unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::TimedOut, Processed::Maybe));
        assert_on_time(began, ms(limit), at);
        assert!(e.elapsed() >= ms(limit));
    }
    finish(&mut link, leading, led);
}

#[test]
fn a_leader_keeps_its_own_time_however_busy_it_is() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    let request = client.get(peer.url("/")).timeout(ms(300));
    let leading = task(|| request.send());
    link.request();
    // An endless body of another request, read as it comes.
    let download = get(&client, &peer);
    let stream = link.request().stream;
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")])]);
    let mut body = download.join().unwrap().into_body();
    let (stop, stopped) = mpsc::channel::<()>();
    let reading = task(move || {
        let mut piece = vec![0; 64 * 1024];
        while stopped.try_recv().is_err() {
            assert!(body.read(&mut piece).unwrap() > 0);
        }
    });
    let mut writer = link.writer();
    let flooding = task(move || {
        let mut window = 1024 * 1024;
        // The stream window is credited as the body is read; this stays far below it.
        while writer.try_send(&[Frame::data(stream, &[0; 16])]) && window > 16 {
            window -= 16;
        }
    });
    let (failed, at) = leading.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_on_time(began, ms(300), at);
    stop.send(()).unwrap();
    link.writer().try_send(&[Frame::data(stream, b"!")]);
    reading.join();
    drop(link);
    flooding.join();
}

#[test]
fn the_pieces_of_a_frame_are_kept_when_the_leader_changes() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let bytes = concat(&answer(3, 200, b"in pieces"));
    for cut in 1..bytes.len() {
        let stream = 3 + 4 * (cut as u32 - 1);
        let bytes = concat(&answer(stream, 200, b"in pieces"));
        let asked = get(&client, &peer);
        assert_eq!(link.request().stream, stream);
        link.send_bytes(&bytes[..cut]);
        // Somebody comes, leads perhaps, and leaves without an answer.
        let mut pending = client.get(peer.url("/")).start();
        assert_eq!(link.request().stream, stream + 2);
        assert!(pending.try_wait().unwrap().is_none());
        drop(pending);
        assert_eq!(link.expect(RST_STREAM).stream, stream + 2);
        link.send_bytes(&bytes[cut..]);
        assert_eq!(asked.join().unwrap().text().unwrap(), "in pieces", "cut at {cut}");
        while let Some(frame) = link.within(Duration::from_micros(1)) {
            link.ack(&frame);
        }
    }
}

/// What a body is made of in the large tests: a table over and over, of a length that no buffer has.
fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| (0..65_521u32).map(|i| (i ^ (i >> 8)) as u8).collect())
}

/// The bytes from `at` on, as far as the table goes.
fn pattern(at: u64) -> &'static [u8] {
    let table = table();
    &table[(at % table.len() as u64) as usize..]
}

/// Asserts that `bytes` are those from `at` on.
fn assert_pattern(mut at: u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let expected = pattern(at);
        let n = expected.len().min(bytes.len());
        assert!(bytes[..n] == expected[..n], "between {at} and {}", at + n as u64);
        (at, bytes) = (at + n as u64, &bytes[n..]);
    }
}

struct Patterned {
    at: u64,
    end: u64,
}

impl Read for Patterned {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = pattern(self.at);
        let n = buf.len().min(rest.len()).min(usize::try_from(self.end - self.at).unwrap());
        buf[..n].copy_from_slice(&rest[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

fn check(mut body: impl Read, len: u64) {
    let (mut at, mut piece) = (0, vec![0; 64 * 1024]);
    loop {
        let n = body.read(&mut piece).unwrap();
        if n == 0 {
            break;
        }
        assert_pattern(at, &piece[..n]);
        at += n as u64;
    }
    assert_eq!(at, len);
}

const LARGE: u64 = 64 << 20;

/// Credit the client gave, by stream.
type Windows = Arc<(Mutex<BTreeMap<u32, i64>>, Condvar)>;

#[test]
fn large_bodies_both_ways_at_once() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    link.send(&[Frame::window_update(0, (16 << 20) - WINDOW as u32)]);
    let download = get(&client, &peer);
    let down = link.request().stream;
    link.send(&[Frame::headers(down, 0, &[(":status", "200")])]);
    let body = download.join().unwrap().into_body();
    let reading = task(move || check(body, LARGE));
    let request = client.post(peer.url("/")).body(Body::from_reader(Patterned { at: 0, end: LARGE }));
    let upload = task(|| request.send());

    let windows: Windows = Arc::default();
    windows.0.lock().unwrap().extend([(0, 16 << 20), (down, 1 << 20)]);
    let (mut writer, credit) = (link.writer(), windows.clone());
    let socket = Arc::new(Mutex::new(link.writer()));
    let answering = socket.clone();
    let sending = task(move || {
        let mut body = Patterned { at: 0, end: LARGE };
        let mut piece = [0; 16 * 1024];
        loop {
            let n = body.read(&mut piece).unwrap();
            let (lock, changed) = &*credit;
            let windows = lock.lock().unwrap();
            let enough = |w: &mut BTreeMap<u32, i64>| w[&0] < n as i64 || w[&down] < n as i64;
            let (mut windows, late) = changed.wait_timeout_while(windows, PATIENCE, enough).unwrap();
            assert!(!late.timed_out(), "no credit came");
            windows.values_mut().for_each(|w| *w -= n as i64);
            drop(windows);
            let _order = answering.lock().unwrap();
            if n == 0 {
                return writer.send(&[Frame::last_data(down, b"")]);
            }
            writer.send(&[Frame::data(down, &piece[..n])]);
        }
    });

    let (mut up, mut at, mut ended) = (0, 0u64, false);
    while !ended {
        let frame = link.next();
        match frame.kind {
            HEADERS => up = frame.stream,
            WINDOW_UPDATE => {
                *windows.0.lock().unwrap().get_mut(&frame.stream).expect("known") += i64::from(frame.number(0));
                windows.1.notify_all();
            }
            DATA => {
                let n = frame.payload.len();
                assert_pattern(at, &frame.payload);
                at += n as u64;
                ended = frame.ends();
                if n > 0 {
                    let updates = [Frame::window_update(0, n as u32), Frame::window_update(up, n as u32)];
                    socket.lock().unwrap().send(if ended { &updates[..1] } else { &updates });
                }
            }
            _ => assert!(frame.is_ack(), "{frame:?}"),
        }
    }
    assert_eq!(at, LARGE);
    socket.lock().unwrap().answer(up, 200, b"");
    upload.join().unwrap();
    // The rest of the download still needs its credit.
    let crediting = task(move || {
        while let Some(frame) = link.next_or_end() {
            if frame.kind == WINDOW_UPDATE {
                if let Some(window) = windows.0.lock().unwrap().get_mut(&frame.stream) {
                    *window += i64::from(frame.number(0));
                }
                windows.1.notify_all();
            }
        }
    });
    sending.join();
    reading.join();
    peer.assert_no_more();
    drop(client);
    crediting.join();
}

#[test]
fn large_bodies_both_ways_through_buffers_that_are_full() {
    // Windows are no limit: both directions of the socket fill up, again and again.
    let client = builder().stream_window(HUGE).connection_window(HUGE).build().unwrap();
    let peer = Peer::new();
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, HUGE)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let download = get(&client, &peer);
    let down = link.request().stream;
    link.send(&[Frame::headers(down, 0, &[(":status", "200")])]);
    let body = download.join().unwrap().into_body();
    let request = client.post(peer.url("/")).body(Body::from_reader(Patterned { at: 0, end: LARGE / 2 }));
    let upload = task(|| request.send());
    // The peer writes all of it before it reads anything: whoever waits to write has to read.
    let (go, going) = mpsc::channel::<()>();
    let reading = task(move || {
        going.recv_timeout(PATIENCE).unwrap();
        check(body, LARGE / 2);
    });
    let mut source = Patterned { at: 0, end: LARGE / 2 };
    let mut piece = [0; 16 * 1024];
    let mut halfway = Some(go);
    loop {
        let n = source.read(&mut piece).unwrap();
        if n == 0 {
            break;
        }
        link.send(&[Frame::data(down, &piece[..n])]);
        if source.at > 8 << 20 {
            if let Some(go) = halfway.take() {
                go.send(()).unwrap();
            }
        }
    }
    link.send(&[Frame::last_data(down, b"")]);
    let (stream, came) = link.request_with_body();
    assert_eq!(came.len() as u64, LARGE / 2);
    assert_pattern(0, &came);
    link.answer(stream, 200, b"");
    upload.join().unwrap();
    reading.join();
}

/// Sends back what comes, as it comes.
fn echo(mut exchange: Exchange) -> Result<()> {
    let body = exchange.take_body();
    exchange.reply(200, body)
}

fn echo_large(client: &Client, url: &str) {
    let echoes: Vec<_> = (0..2)
        .map(|_| {
            let request = client.post(url).body(Body::from_reader(Patterned { at: 0, end: LARGE / 2 }));
            task(move || {
                let answer = request.send().unwrap();
                assert_eq!(answer.version(), Version::HTTP_2);
                check(answer.into_body(), LARGE / 2);
            })
        })
        .collect();
    for echo in echoes {
        echo.join();
    }
    assert_eq!(client.connections().len(), 1);
}

#[test]
fn an_echo_of_large_bodies() {
    let server = Server::bind("127.0.0.1:0").unwrap().max_body(1 << 30).spawn(echo).unwrap();
    echo_large(&client(), &server.url("/"));
}

#[cfg(feature = "tls")]
#[test]
fn an_echo_of_large_bodies_over_tls() {
    let authority = certs::Authority::new("waiting test");
    let identity = authority.issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap().max_body(1 << 30);
    let server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(echo).unwrap();
    let tls = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    echo_large(&builder().tls(tls).build().unwrap(), &server.url("/"));
}

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

/// An upload of more than the windows allow, up to where it waits for the peer.
fn stuck_upload(
    settings: &[(u16, u32)],
    connection: u32,
    with: fn(bowline::RequestBuilder) -> bowline::RequestBuilder,
) -> (Client, Peer, Link, Task<Result<Response>>, u32) {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, settings);
    if connection > 0 {
        link.send(&[Frame::window_update(0, connection)]);
    }
    let request = with(client.post(peer.url("/")).body(vec![7; 200_000]));
    let upload = task(|| request.send());
    let stream = link.request().stream;
    let mut came = 0;
    while came < WINDOW {
        let data = link.expect(DATA);
        assert!(!data.ends());
        came += data.payload.len();
    }
    assert_eq!(came, WINDOW, "all that the window allows");
    link.assert_quiet(ms(30));
    upload.assert_waiting();
    (client, peer, link, upload, stream)
}

fn rest_of_upload(link: &mut Link, upload: Task<Result<Response>>, stream: u32) {
    let began = Instant::now();
    let mut came = WINDOW;
    loop {
        let data = link.expect(DATA);
        assert!(began.elapsed() < LATE, "late: {:?}", began.elapsed());
        came += data.payload.len();
        if data.ends() {
            break;
        }
    }
    assert_eq!(came, 200_000);
    finish(link, upload, stream);
}

#[test]
fn an_upload_wakes_on_credit() {
    // For the stream.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::window_update(stream, 1000)]);
    assert_eq!(link.expect(DATA).payload.len(), 1000);
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    let mut came = WINDOW + 1000;
    while came < 200_000 {
        came += link.expect(DATA).payload.len();
    }
    finish(&mut link, upload, stream);
    // For the connection.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[(INITIAL_WINDOW_SIZE, 1 << 20)], 0, |r| r);
    link.send(&[Frame::window_update(0, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
    // By SETTINGS, for all streams; the acknowledgement goes out before DATA that uses it.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 1 << 20)])]);
    assert!(link.next().is_ack());
    rest_of_upload(&mut link, upload, stream);
    // A window below zero first has to rise above it.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0)]), Frame::window_update(stream, WINDOW as u32)]);
    assert!(link.next().is_ack());
    link.assert_quiet(ms(30));
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
}

#[test]
fn an_upload_wakes_on_the_end_of_its_stream() {
    // RST_STREAM.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
    link.send(&[Frame::reset(stream, INTERNAL_ERROR)]);
    let reset = Instant::now();
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Reset, Processed::Maybe));
    assert!(at <= reset + LATE);

    // The whole answer: kept, and the rest of the upload is not wanted.
    for code in [None, Some(NO_ERROR)] {
        let (client, peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
        link.answer(stream, 413, b"too much");
        if let Some(code) = code {
            link.send(&[Frame::reset(stream, code)]);
        }
        let answer = upload.join().unwrap();
        assert_eq!(answer.status().as_u16(), 413);
        if code.is_none() {
            // At once, not when the body is read.
            let reset = link.expect(RST_STREAM);
            assert_eq!((reset.stream, reset.code()), (stream, NO_ERROR));
        }
        assert_eq!(answer.text().unwrap(), "too much");
        link.send(&[Frame::window_update(0, 1 << 20)]);
        let next = get(&client, &peer);
        // Both may say that they are done with it.
        let stream = link.skip_to(HEADERS).stream;
        finish(&mut link, next, stream);
    }

    // An answer that has begun leaves the upload alone.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")])]);
    let mut answer = upload.join().unwrap();
    let reading = task(move || {
        let mut text = String::new();
        answer.body().read_to_string(&mut text).map(|_| text)
    });
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    let mut came = WINDOW;
    while came < 200_000 {
        came += link.expect(DATA).payload.len();
    }
    link.send(&[Frame::last_data(stream, b"done")]);
    assert_eq!(reading.join().unwrap(), "done");
}

#[test]
fn an_upload_wakes_on_what_happens_to_the_connection() {
    // A GOAWAY below it: elsewhere, from the beginning.
    let (_client, peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
    link.send(&[Frame::goaway(stream - 2, NO_ERROR, b"")]);
    let mut second = peer.h2_with(&[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    second.send(&[Frame::window_update(0, 1 << 20)]);
    let (again, body) = second.request_with_body();
    assert_eq!(body.len(), 200_000);
    finish(&mut second, upload, again);
    // At it: it goes on.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::goaway(stream, NO_ERROR, b"")]);
    link.assert_quiet(ms(30));
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
    // Its end.
    let (_client, _peer, link, upload, _) = stuck_upload(&[], 0, |r| r);
    let ended = Instant::now();
    drop(link);
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::Maybe));
    assert!(at <= ended + LATE);
}

#[test]
fn an_upload_wakes_on_its_deadline_and_on_a_cancel() {
    let began = Instant::now();
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r.timeout(ms(400)));
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe));
    assert!(e.elapsed() >= ms(400) && at >= began + ms(400) && e.elapsed() <= ms(400) + LATE);
    assert!(e.bytes_written() as usize >= WINDOW);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));

    // The limit of a write: the body does not move.
    let limits = |r: bowline::RequestBuilder| r.timeouts(Timeouts::none().write(ms(300)));
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, limits);
    let (failed, _) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe));
    assert!(e.elapsed() >= ms(300));
    assert_eq!(link.expect(RST_STREAM).stream, stream);

    static CANCELS: Mutex<Vec<Cancel>> = Mutex::new(Vec::new());
    let cancellable = |r: bowline::RequestBuilder| {
        let cancel = Cancel::new();
        CANCELS.lock().unwrap().push(cancel.clone());
        r.cancel_on(&cancel)
    };
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, cancellable);
    let cancelled = Instant::now();
    CANCELS.lock().unwrap().drain(..).for_each(|cancel| cancel.cancel());
    let (failed, at) = upload.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
}

#[test]
fn a_peer_that_never_reads_is_found_out_by_the_limit_of_a_write() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, HUGE)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let limit = ms(400);
    let request = client
        .post(peer.url("/"))
        .timeouts(Timeouts::none().write(limit))
        .body(Body::from_reader(io::repeat(7)).with_len(LARGE));
    let began = Instant::now();
    let (failed, at) = task(|| request.send()).join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe), "{e}");
    assert!(e.elapsed() >= limit && e.bytes_written() > 0);
    // Filling the buffers takes a moment too.
    assert!(at <= began + limit + ms(500) + LATE, "late: {:?}", at - began);
    drop(link);
}

#[test]
fn trailers_both_ways() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (mut writer, pending) = client.post(peer.url("/")).duplex().unwrap();
    let stream = link.request().stream;
    writer.write_all(b"body").unwrap();
    writer.flush().unwrap();
    let data = link.expect(DATA);
    assert_eq!((&*data.payload, data.ends()), (&b"body"[..], false));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("17"));
    writer.finish_with_trailers(trailers).unwrap();
    let last = link.request();
    assert_eq!((last.stream, last.ends()), (stream, true));
    link.send(&[
        Frame::headers(stream, 0, &[(":status", "200")]),
        Frame::data(stream, b"answer"),
        Frame::headers(stream, END_STREAM, &[("x-sum", "42")]),
    ]);
    let mut answer = pending.wait().unwrap();
    assert!(answer.body().trailers().is_none());
    let mut text = String::new();
    answer.body().read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert_eq!(answer.body().trailers().expect("they came")["x-sum"], "42");
}

#[derive(Clone, Default)]
struct Informed(Arc<Mutex<Vec<(u16, String)>>>);

impl Hook for Informed {
    fn trace(&self, step: &Trace) {
        if let Trace::Informational { status, headers, .. } = step {
            let link = headers.get("link").map_or("", |v| v.to_str().unwrap());
            self.0.lock().unwrap().push((status.as_u16(), link.to_owned()));
        }
    }
}

#[test]
fn informational_responses_are_given_to_hooks_and_bounded() {
    let informed = Informed::default();
    let (peer, client) = (Peer::new(), builder().hook(informed.clone()).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let stream = link.request().stream;
    link.send(&[
        Frame::headers(stream, 0, &[(":status", "103"), ("link", "</style>")]),
        Frame::headers(stream, 0, &[(":status", "102")]),
    ]);
    link.answer(stream, 200, b"");
    assert_eq!(asked.join().unwrap().status().as_u16(), 200);
    assert_eq!(*informed.0.lock().unwrap(), [(103, "</style>".to_owned()), (102, String::new())]);

    for (n, fine) in [(100, true), (101, false)] {
        let asked = get(&client, &peer);
        let stream = link.request().stream;
        let many: Vec<Frame> = (0..n).map(|_| Frame::headers(stream, 0, &[(":status", "103")])).collect();
        link.send(&[many, answer(stream, 200, b"")].concat());
        match asked.join() {
            Ok(_) => assert!(fine, "{n} are too many"),
            Err(e) => {
                assert!(!fine, "{n} are allowed: {e}");
                assert_eq!(e.kind(), ErrorKind::PeerViolation);
            }
        }
    }
}

#[test]
fn a_wait_of_no_time_takes_what_is_there() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let mut pending = client.get(peer.url("/")).start();
    let stream = link.request().stream;
    let began = Instant::now();
    assert!(pending.try_wait().unwrap().is_none());
    assert!(began.elapsed() < ms(50), "it waited");
    link.answer(stream, 200, b"there");
    let answer = pending.try_wait().unwrap().expect("it is there");
    assert_eq!(answer.text().unwrap(), "there");
    assert_eq!(pending.try_wait().unwrap_err().kind(), ErrorKind::Misuse);

    let mut pending = client.get(peer.url("/")).start();
    let stream = link.request().stream;
    for _ in 0..3 {
        let began = Instant::now();
        assert!(pending.wait_timeout(ms(50)).unwrap().is_none());
        assert_on_time(began, ms(50), Instant::now());
    }
    link.answer(stream, 200, b"");
    assert!(pending.wait_timeout(PATIENCE).unwrap().is_some());
}

#[test]
fn many_threads_that_come_and_go() {
    // Requests with limits that are shorter and longer than the answers take, cancels in between: whoever is answered gets its
    // own answer, whoever is not is told in time, and nobody waits for ever.
    let (peer, client) = (Peer::new(), client());
    let url = peer.url("/");
    peer.serve(|mut link| {
        link.handshake(&[]);
        let (mut bodies, mut n) = (BTreeMap::<u32, Vec<u8>>::new(), 0u32);
        while let Some(frame) = link.next_or_end() {
            let on = match frame.kind {
                HEADERS => bodies.insert(frame.stream, Vec::new()).is_none(),
                DATA => {
                    let body = bodies.entry(frame.stream).or_default();
                    body.extend(&frame.payload);
                    n += 1;
                    let mut said = vec![Frame::window_update(0, frame.payload.len() as u32)];
                    if n % 7 > 0 {
                        // Every seventh is never answered.
                        said.extend(answer(frame.stream, 200, body));
                    }
                    link.try_send(&said)
                }
                PING if !frame.is_ack() => link.try_send(&[Frame::ping_ack(&frame.payload)]),
                _ => true,
            };
            if !on {
                break;
            }
        }
    });
    let threads: Vec<_> = (0..8u64)
        .map(|t| {
            let (client, url) = (client.clone(), url.clone());
            task(move || {
                let mut answered = 0;
                for n in 0..40 * u64::from(rounds()) / 20 {
                    let name = format!("request {n} of thread {t}");
                    let limit = ms(5 + (n * 7 + t * 3) % 20);
                    let began = Instant::now();
                    let outcome = client.put(&url).timeout(limit).body(name.clone()).send().and_then(Response::text);
                    match outcome {
                        Ok(text) => {
                            assert_eq!(text, name);
                            answered += 1;
                        }
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::TimedOut, "{e:?}");
                            assert!(began.elapsed() >= limit && began.elapsed() <= limit + LATE, "{e:?}");
                        }
                    }
                }
                answered
            })
        })
        .collect();
    let answered: u32 = threads.into_iter().map(Task::join).sum();
    assert!(answered > 0);
}
