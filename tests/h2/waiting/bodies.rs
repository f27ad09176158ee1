//! Large bodies, both ways at once.

use super::*;

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
    let authority = crate::tls::certs::Authority::new("waiting test");
    let identity = authority.issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap().max_body(1 << 30);
    let server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(echo).unwrap();
    let tls = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    echo_large(&builder().tls(tls).build().unwrap(), &server.url("/"));
}
