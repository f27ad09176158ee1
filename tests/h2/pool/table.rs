//! What the table of connections and the hooks say, and whose a connection is.

use super::*;

#[test]
fn the_table_of_connections() {
    let (peer, client) = (Peer::new(), client());
    let began = Instant::now();
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 77)]);
    let row = only(&client);
    assert_eq!((row.origin.as_str(), row.peer), (peer.url("").as_str(), Some(peer.address())));
    assert_eq!((row.version, row.alpn, row.tls), (bowline::http::Version::HTTP_2, None, None));
    assert_eq!(row.state, ConnectionState::Idle);
    assert!(began <= row.created && row.created <= row.last_out && row.last_in <= Instant::now());
    assert_eq!((row.open_streams, row.max_streams, row.requests), (0, Some(77), 1));
    assert_eq!(row.send_window, 65_535);
    assert!(row.recv_window > 15 * 1024 * 1024);
    assert!(row.bytes_in > 0 && row.bytes_out > PREFACE.len() as u64);
    assert_eq!((row.rtt, row.pings_sent, row.pings_acked, row.goaway), (None, 0, 0, None));

    let first = client.post(peer.url("/")).body(vec![1; 1000]);
    let first = task(|| first.send());
    link.request_with_body();
    let second = get(&client, &peer);
    let head = link.request();
    let row = only(&client);
    assert_eq!((row.state, row.open_streams, row.requests), (ConnectionState::Active, 2, 3));
    assert_eq!(row.send_window, 64_535);
    link.send(&[Frame::goaway(head.stream, INTERNAL_ERROR, b"so it goes")]);
    look(&client);
    let row = only(&client);
    let goaway = row.goaway.expect("it came");
    assert_eq!((goaway.code, goaway.last_id, &*goaway.debug), (INTERNAL_ERROR, head.stream, &b"so it goes"[..]));
    assert_eq!(row.state, ConnectionState::Draining);
    link.answer(3, 200, b"");
    link.answer(head.stream, 200, b"");
    let answers = [first.join().unwrap(), second.join().unwrap()];
    drop(link);
    look(&client);
    for answer in &answers {
        assert!(answer.reused());
        // As it was when this was first asked.
        let row = answer.connection();
        assert!(matches!(row.state, ConnectionState::Draining | ConnectionState::Closed(CloseReason::ByPeer)));
    }
    drop(answers);
    assert!(client.connections().is_empty());
}

#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<(u64, CloseReason)>>>);

impl Hook for Closed {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { connection, reason } = step {
            self.0.lock().unwrap().push((*connection, *reason));
        }
    }
}

#[test]
fn hooks_see_the_end_of_a_connection_when_it_ends() {
    let (peer, closed) = (Peer::new(), Closed::default());
    let client = builder().hook(closed.clone()).build().unwrap();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.answer(head.stream, 200, b"held");
    let held = asked.join().unwrap();
    let id = held.connection().id;
    link.finish();
    look(&client);
    // Although its answer is held, and with it the connection.
    assert_eq!(*closed.0.lock().unwrap(), [(id, CloseReason::ByPeer)]);
    assert_eq!(client.stats().closed, 1);
    drop(held);
    look(&client);
    assert_eq!(closed.0.lock().unwrap().len(), 1);
    assert_eq!((client.stats().closed, client.stats().opened), (1, 1));
}

#[test]
fn a_connection_whose_peer_takes_no_more_was_closed_by_the_peer() {
    let (peer, closed) = (Peer::new(), Closed::default());
    let client = builder().hook(closed.clone()).build().unwrap();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.answer(head.stream, 200, b"");
    let response = asked.join().unwrap();
    let id = response.connection().id;
    drop(response);
    let asked = get(&client, &peer);
    link.request();
    // The socket stays open: nothing but GOAWAY says that it is over, and the request goes elsewhere.
    link.send(&[Frame::goaway(head.stream, NO_ERROR, b"")]);
    let mut other = peer.h2();
    let head = other.request();
    other.answer(head.stream, 200, b"");
    assert_eq!(asked.join().unwrap().attempts(), 2);
    look(&client);
    assert_eq!(*closed.0.lock().unwrap(), [(id, CloseReason::ByPeer)]);
}

#[test]
fn what_peers_have_closed_does_not_pile_up() {
    let (client, mut links) = (client(), Vec::new());
    for _ in 0..20 {
        let peer = Peer::new();
        links.push((peer.address().port(), idle(&client, &peer)));
    }
    for (_, link) in &links {
        link.finish();
    }
    let ports: Vec<u16> = links.iter().map(|(port, _)| *port).collect();
    assert_eq!(close_wait(&ports), 20);
    // Any use of the pool, a moment after the last look; not of these origins.
    let peer = Peer::new();
    let began = Instant::now();
    let mut link = idle(&client, &peer);
    while close_wait(&ports) > 0 {
        assert!(began.elapsed() < ms(500), "{} are left", close_wait(&ports));
        let asked = get(&client, &peer);
        let head = link.request();
        link.answer(head.stream, 200, b"");
        asked.join().unwrap();
    }
    assert_eq!(client.connections().len(), 1);
}

/// How many sockets to these ports wait to be closed by us.
fn close_wait(ports: &[u16]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the table of sockets");
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next().unwrap_or_default(), 16).unwrap_or(0);
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "08" && ports.contains(&port(row[2]))).count()
}

#[test]
fn a_connection_of_the_callers_serves_nobody_else() {
    let (peer, client) = (Peer::new(), client());
    let (connecting, url) = (client.clone(), peer.url("/"));
    let connected = task(move || connecting.connect(url));
    let mut mine = peer.accept();
    let connection = connected.join().unwrap();
    let asked = get(&client, &peer);
    let mut pooled = peer.h2();
    let head = pooled.request();
    pooled.answer(head.stream, 200, b"pooled");
    assert_eq!(asked.join().unwrap().text().unwrap(), "pooled");
    let asking = connection.get("/");
    let asked = task(|| asking.send());
    mine.handshake(&[]);
    let head = mine.request();
    mine.answer(head.stream, 200, b"mine");
    let answer = asked.join().unwrap();
    assert_eq!(answer.connection().id, connection.info().id);
    assert_eq!(answer.text().unwrap(), "mine");
    assert_eq!(client.connections().len(), 2);
    drop(connection);
    assert_eq!(mine.rest().pop().map(|f| f.kind), Some(GOAWAY));
    assert_eq!(client.connections().len(), 1);
}

/// What was given up before anything was heard of it takes its place until the peer answers, and the table shows that.
#[test]
fn a_place_is_taken_until_the_peer_answers() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let mut link = idle(&client, &peer);
    let request = client.get(peer.url("/")).timeout(ms(50));
    let asked = task(|| request.send());
    link.request();
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(link.expect(RST_STREAM).code(), 8);
    let ping = link.expect(PING);
    client.upkeep();
    assert_eq!(only(&client).open_streams, 1);
    link.ack(&ping);
    let until = Instant::now() + PATIENCE;
    while only(&client).open_streams > 0 {
        assert!(Instant::now() < until, "the answer frees it");
        client.upkeep();
        std::thread::yield_now();
    }
}
