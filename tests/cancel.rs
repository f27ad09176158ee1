//! What ends a wait from outside, in every state of a request: a token, an interrupt, a shutdown, a drop.

mod support;

use bowline::{
    Attempt, Batch, Body, Cancel, Client, ClientBuilder, Connection, Error, ErrorKind, Flow, Hook, Phase, Processed,
    Proxy, Response, Verdict, net::pair,
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};
use support::{Pattern, Peer, builder, client, late, ms, pass, peer, prompt};

/// A listener whose queue is full, and what fills it.
struct Full {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&addr, ms(100)) {
            queue.push(stream);
        }
        Full { listener, _queue: queue }
    }
}

/// What a request is doing when it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Dialling,
    #[cfg(feature = "tls")]
    Handshaking,
    #[cfg(feature = "tls")]
    Tunnelling,
    Queued,
    Sending,
    Awaiting100,
    Waiting,
    Pausing,
    ReadingBody,
    WritingBody,
}

const ALL: &[Doing] = &[
    Doing::Dialling,
    #[cfg(feature = "tls")]
    Doing::Handshaking,
    #[cfg(feature = "tls")]
    Doing::Tunnelling,
    Doing::Queued,
    Doing::Sending,
    Doing::Awaiting100,
    Doing::Waiting,
    Doing::Pausing,
    Doing::ReadingBody,
    Doing::WritingBody,
];

impl Doing {
    fn phase(self) -> Phase {
        match self {
            Doing::Dialling => Phase::Connect,
            #[cfg(feature = "tls")]
            Doing::Handshaking => Phase::Tls,
            #[cfg(feature = "tls")]
            Doing::Tunnelling => Phase::Proxy,
            Doing::Queued | Doing::Pausing => Phase::Slot,
            Doing::Sending | Doing::Awaiting100 | Doing::WritingBody => Phase::Send,
            Doing::Waiting => Phase::FirstByte,
            Doing::ReadingBody => Phase::Body,
        }
    }

    fn processed(self) -> Processed {
        match self {
            Doing::Dialling | Doing::Queued => Processed::No,
            #[cfg(feature = "tls")]
            Doing::Handshaking | Doing::Tunnelling => Processed::No,
            Doing::Sending | Doing::Awaiting100 | Doing::WritingBody | Doing::Waiting => Processed::Maybe,
            Doing::Pausing | Doing::ReadingBody => Processed::Yes,
        }
    }
}

/// Does this in another thread once the own one waits, and returns when.
///
/// That a thread waits in line, or for a socket to have room, does not show from outside: it is given many times what it needs. What
/// came too early would show in the phase of the error.
fn once_it_waits(then: impl FnOnce() + Send + 'static) -> thread::JoinHandle<Instant> {
    thread::spawn(move || {
        pass(ms(50));
        then();
        Instant::now()
    })
}

/// Repeats what was answered with 503 after an hour.
struct Patient;
impl Hook for Patient {
    fn after(&self, _: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        match outcome {
            Ok(response) if response.status() == 503 => Verdict::RetryAfter(Duration::from_secs(3600)),
            _ => Verdict::Pass,
        }
    }
}

/// Peers for every state.
struct World {
    full: Full,
    peer: Peer,
    /// Ends the peers that wait for something.
    _stop: mpsc::Sender<()>,
}

impl World {
    fn new() -> Self {
        let (stop, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let peer = peer(move |_, mut conn| {
            while let Some(head) = conn.head() {
                match head.target.as_str() {
                    "/stuck" => {
                        let _ = wait.lock().unwrap().recv();
                        return;
                    }
                    "/busy" => conn.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
                    "/body" => {
                        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                        return drop(conn.rest());
                    }
                    "/quick" => conn.answer("quick"),
                    _ => return drop(conn.rest()),
                }
            }
        });
        World { full: Full::new(), peer, _stop: stop }
    }

    fn builder(&self) -> ClientBuilder {
        // No total: it would not leave time for the pause.
        // Everything else is at hand without it.
        let proxy = Proxy::new(format!("http://{}", self.peer.addr())).unwrap().bypass(&["127.0.0.1"]);
        Client::builder().proxy(proxy).hook(Patient).max_connections_per_origin(1)
    }

    /// Makes a request that waits in this state until something ends it; tells when the wait was over.
    fn run(&self, doing: Doing, client: &Client, token: Option<&Cancel>) -> (Error, Instant) {
        let url = |path| self.peer.url(path);
        let with = |request: bowline::RequestBuilder| match token {
            Some(token) => request.cancel_on(token),
            None => request,
        };
        let error = match doing {
            Doing::Dialling => {
                with(client.get(format!("http://{}/", self.full.listener.local_addr().unwrap()))).send().err()
            }
            #[cfg(feature = "tls")]
            Doing::Handshaking => with(client.get(format!("https://{}/", self.peer.addr()))).send().err(),
            #[cfg(feature = "tls")]
            Doing::Tunnelling => with(client.get("https://name.test/")).send().err(),
            Doing::Queued => {
                let _first = client.get(url("/wait")).start();
                with(client.get(url("/wait"))).send().err()
            }
            Doing::Sending => {
                with(client.post(url("/stuck"))).body(Body::from_reader(Pattern::new(1 << 30))).send().err()
            }
            Doing::Awaiting100 => with(client.post(url("/wait"))).body("x").expect_continue(Duration::MAX).send().err(),
            Doing::Waiting => with(client.get(url("/wait"))).send().err(),
            Doing::Pausing => with(client.get(url("/busy"))).send().err(),
            Doing::ReadingBody => {
                let mut response = with(client.get(url("/body"))).send().unwrap();
                let mut got = Vec::new();
                let error = response.body().read_to_end(&mut got).unwrap_err();
                assert_eq!(got, b"half");
                Some(Error::from(error))
            }
            Doing::WritingBody => {
                let (mut writer, _pending) = with(client.post(url("/stuck"))).duplex().unwrap();
                let piece = vec![b'x'; 100_000];
                loop {
                    if let Err(e) = writer.write_all(&piece) {
                        break Some(Error::from(e));
                    }
                }
            }
        };
        (error.expect("nothing answers here"), Instant::now())
    }

    /// Checks that nothing is left behind: the next request has its connection at once.
    #[track_caller]
    fn check(&self, client: &Client, case: &str) {
        assert_eq!(client.stats().in_flight, 0, "{case}");
        let response = client.get(self.peer.url("/quick")).send().unwrap();
        assert_eq!(response.text().unwrap(), "quick", "{case}");
    }
}

#[test]
fn a_token_ends_every_state() {
    let world = World::new();
    for doing in ALL {
        let client = world.builder().build().unwrap();
        let token = Cancel::new();
        let elsewhere = token.clone();
        let cancelling = once_it_waits(move || elsewhere.cancel());
        let (error, ended) = world.run(*doing, &client, Some(&token));
        let cancelled = cancelling.join().unwrap();
        let took = ended.saturating_duration_since(cancelled);
        assert!(took < late(cancelled), "{doing:?}: ended {took:?} after the cancel");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Cancelled, doing.phase()), "{doing:?}: {error:?}");
        if *doing != Doing::Pausing {
            assert_eq!(error.processed(), doing.processed(), "{doing:?}");
        }
        assert!(!error.is_timeout() && !error.is_retryable(), "{doing:?}");
        world.check(&client, &format!("{doing:?}"));
    }
}

#[test]
fn a_token_of_the_client_ends_every_state() {
    let world = World::new();
    for doing in ALL {
        let token = Cancel::new();
        let client = world.builder().cancel_on(&token).build().unwrap();
        let elsewhere = token.clone();
        let cancelling = once_it_waits(move || elsewhere.cancel());
        let (error, ended) = world.run(*doing, &client, None);
        let cancelled = cancelling.join().unwrap();
        assert!(ended.saturating_duration_since(cancelled) < late(cancelled), "{doing:?}");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Cancelled, doing.phase()), "{doing:?}");
        let later = prompt(|| client.get(world.peer.url("/quick")).send().unwrap_err());
        assert_eq!(later.kind(), ErrorKind::Cancelled, "{doing:?}");
    }
}

#[test]
fn a_token_cancelled_beforehand_sends_nothing() {
    let peer = peer(|_, mut conn| conn.serve());
    let token = Cancel::new();
    token.cancel();
    let client = client();
    let error = client.get(peer.url("/")).cancel_on(&token).send().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Cancelled, Processed::No));
    let pending = client.get(peer.url("/")).cancel_on(&token).start();
    assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.post(peer.url("/")).cancel_on(&token).duplex().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!((peer.connections(), client.stats().in_flight), (0, 0));
}

#[test]
fn one_of_many_is_cancelled() {
    let (answer, go) = mpsc::channel::<()>();
    let go = Mutex::new(go);
    let peer = peer(move |_, mut conn| {
        while conn.head().is_some() {
            if go.lock().unwrap().recv().is_ok() {
                conn.answer("ok");
            }
        }
    });
    let client = client();
    let token = Cancel::new();
    let mut batch = Batch::new();
    batch.push(client.get(peer.url("/")).start(), "kept");
    batch.push(client.get(peer.url("/")).cancel_on(&token).start(), "cancelled");
    assert!(matches!(batch.recv_timeout(ms(10)), bowline::Recv::TimedOut));
    thread::spawn(move || token.cancel());
    let (tag, result) = batch.next().unwrap();
    assert_eq!((tag, result.unwrap_err().kind()), ("cancelled", ErrorKind::Cancelled));
    // Either of the two connections may take the permission.
    answer.send(()).unwrap();
    answer.send(()).unwrap();
    let (tag, result) = batch.next().unwrap();
    assert_eq!((tag, result.unwrap().text().unwrap().as_str()), ("kept", "ok"));
    assert!(batch.next().is_none());
}

#[test]
fn a_token_ends_connecting_by_hand() {
    let full = Full::new();
    let token = Cancel::new();
    let client = builder().cancel_on(&token).build().unwrap();
    let cancelling = once_it_waits(move || token.cancel());
    let url = format!("http://{}", full.listener.local_addr().unwrap());
    let error = client.connect(&url).unwrap_err();
    let ended = Instant::now();
    let cancelled = cancelling.join().unwrap();
    assert!(ended.saturating_duration_since(cancelled) < late(cancelled));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Cancelled, Phase::Connect));

    let client = support::client();
    let other = client.clone();
    let stopping = once_it_waits(move || other.shutdown());
    let error = client.connect(&url).unwrap_err();
    let ended = Instant::now();
    let stopped = stopping.join().unwrap();
    assert!(ended.saturating_duration_since(stopped) < late(stopped));
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

// ------------------------------------------------------------------------------------------------ interrupt

#[test]
fn an_interrupt_ends_every_state() {
    let world = World::new();
    const EVERY: Duration = ms(20);
    for doing in ALL {
        let asked = Arc::new(Mutex::new(Vec::<(ThreadId, Instant)>::new()));
        let seen = asked.clone();
        let check = move || {
            let mut asked = asked.lock().unwrap();
            asked.push((thread::current().id(), Instant::now()));
            if asked.len() < 5 { Flow::Go } else { Flow::Stop }
        };
        let client = world.builder().interrupt(EVERY, check).build().unwrap();
        let began = Instant::now();
        let (error, ended) = world.run(*doing, &client, None);
        let asked = seen.lock().unwrap();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Cancelled, doing.phase()), "{doing:?}");
        assert_eq!(asked.len(), 5, "{doing:?}");
        assert!(asked.iter().all(|(id, _)| *id == thread::current().id()), "{doing:?}: asked elsewhere");
        assert!(ended - asked[4].1 < late(asked[4].1), "{doing:?}");
        assert!(asked[4].1 - began >= EVERY * 5, "{doing:?}: asked early");
        for two in asked.windows(2) {
            assert!(two[1].1 - two[0].1 < EVERY + late(two[0].1), "{doing:?}: asked late");
        }
    }
}

#[test]
fn an_interrupt_that_lets_go_disturbs_nothing() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let check = move || {
        count.fetch_add(1, Ordering::SeqCst);
        Flow::Go
    };
    let peer = peer(|_, mut conn| {
        conn.head();
        conn.drip("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ntwenty bytes, slowly", ms(2));
    });
    let client = builder().interrupt(ms(1), check).build().unwrap();
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), "twenty bytes, slowly");
    assert!(asked.load(Ordering::SeqCst) > 20);
}

// ------------------------------------------------------------------------------------------------ shutdown

#[test]
fn a_shutdown_ends_every_state() {
    let world = World::new();
    for doing in ALL {
        let client = world.builder().build().unwrap();
        let other = client.derive().build().unwrap();
        let stopping = once_it_waits(move || other.shutdown());
        let (error, ended) = world.run(*doing, &client, None);
        let stopped = stopping.join().unwrap();
        let took = ended.saturating_duration_since(stopped);
        assert!(took < late(stopped), "{doing:?}: ended {took:?} after the shutdown");
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{doing:?}: {error:?}");
        assert!(!error.is_retryable(), "{doing:?}");
        let later = prompt(|| client.get(world.peer.url("/quick")).send().unwrap_err());
        assert_eq!((later.kind(), later.processed()), (ErrorKind::Cancelled, Processed::No), "{doing:?}");
        assert_eq!(client.stats().in_flight, 0, "{doing:?}");
    }
}

/// A peer that serves, and tells of each connection that it has ended.
fn tells_its_ends() -> (Peer, mpsc::Receiver<()>) {
    let (ended, wait) = mpsc::channel();
    let ended = Mutex::new(ended);
    let peer = peer(move |_, mut conn| {
        conn.serve();
        // At the end of the test nobody asks any more.
        let _ = ended.lock().unwrap().send(());
    });
    (peer, wait)
}

#[test]
fn a_shutdown_closes_what_is_idle() {
    let (peer, wait) = tells_its_ends();
    let client = client();
    client.get(peer.url("/")).send().unwrap().text().unwrap();
    let connection = client.connect(peer.url("/")).unwrap();
    connection.get("/").send().unwrap().text().unwrap();
    client.shutdown();
    (0..2).for_each(|_| wait.recv_timeout(support::GUARD).unwrap());
    assert_eq!(connection.get("/").send().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn idle_connections_can_be_closed() {
    let (peer, wait) = tells_its_ends();
    let client = client();
    assert_eq!(client.close_idle(), 0);
    let busy = client.get(peer.url("/busy")).start();
    client.get(peer.url("/")).send().unwrap().text().unwrap();
    assert_eq!(client.close_idle(), 1);
    wait.recv_timeout(support::GUARD).unwrap();
    assert_eq!(busy.wait().unwrap().text().unwrap(), "0 /busy");
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

// ------------------------------------------------------------------------------------------------ drop

#[test]
fn dropping_what_is_on_its_way_never_blocks() {
    let world = World::new();
    let url = |path| world.peer.url(path);
    let cases: [(&str, fn(&Client, &World)); 9] = [
        ("queued", |client, world| {
            let first = client.get(world.peer.url("/wait")).start();
            let second = client.get(world.peer.url("/wait")).start();
            prompt(|| drop(second));
            prompt(|| drop(first));
        }),
        ("sending", |client, world| {
            let mut pending =
                client.post(world.peer.url("/stuck")).body(Body::from_reader(Pattern::new(1 << 30))).start();
            assert!(pending.wait_timeout(ms(20)).unwrap().is_none());
            prompt(|| drop(pending));
        }),
        ("waiting", |client, world| {
            let mut pending = client.get(world.peer.url("/wait")).start();
            assert!(pending.wait_timeout(ms(20)).unwrap().is_none());
            prompt(|| drop(pending));
        }),
        ("pausing", |client, world| {
            let mut pending = client.get(world.peer.url("/busy")).start();
            assert!(pending.wait_timeout(ms(50)).unwrap().is_none());
            prompt(|| drop(pending));
        }),
        ("answered, not taken", |client, world| {
            let mut batch = Batch::new();
            batch.push(client.get(world.peer.url("/quick")).start(), ());
            assert!(matches!(batch.recv_timeout(ms(0)), bowline::Recv::TimedOut | bowline::Recv::Item(_)));
            prompt(|| drop(batch));
        }),
        ("response", |client, world| {
            let response = client.get(world.peer.url("/body")).send().unwrap();
            prompt(|| drop(response));
        }),
        ("body", |client, world| {
            let mut body = client.get(world.peer.url("/body")).send().unwrap().into_body();
            body.read_exact(&mut [0; 2]).unwrap();
            prompt(|| drop(body));
        }),
        ("writer first", |client, world| {
            let (mut writer, pending) = client.post(world.peer.url("/stuck")).duplex().unwrap();
            while writer.write_timeout(&[0; 100_000], ms(20)).unwrap() > 0 {}
            prompt(|| drop(writer));
            prompt(|| drop(pending));
        }),
        ("writer last", |client, world| {
            let (mut writer, pending) = client.post(world.peer.url("/stuck")).duplex().unwrap();
            while writer.write_timeout(&[0; 100_000], ms(20)).unwrap() > 0 {}
            prompt(|| drop(pending));
            // The system may have found more room meanwhile.
            writer.write_timeout(b"x", ms(20)).unwrap();
            prompt(|| drop(writer));
        }),
    ];
    for (name, case) in cases {
        let client = world.builder().build().unwrap();
        case(&client, &world);
        world.check(&client, name);
        assert!(client.get(url("/quick")).send().unwrap().reused(), "{name}");
    }
}

#[test]
fn dropping_while_another_thread_dials() {
    let full = Full::new();
    let client = builder().max_connections_per_origin(1).build().unwrap();
    let url = format!("http://{}/", full.listener.local_addr().unwrap());
    let token = Cancel::new();
    let dialling = {
        let (client, url, token) = (client.clone(), url.clone(), token.clone());
        thread::spawn(move || client.get(url).cancel_on(&token).send().unwrap_err().kind())
    };
    while client.connections().is_empty() {
        thread::yield_now();
    }
    let mut queued = prompt(|| client.get(&url).start());
    assert!(queued.wait_timeout(ms(20)).unwrap().is_none());
    prompt(|| drop(queued));
    token.cancel();
    assert_eq!(dialling.join().unwrap(), ErrorKind::Cancelled);
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn an_owned_connection_ends_with_its_owner() {
    let (near, far) = pair(1000);
    let connection = Connection::over(near, "http://pair.test", &client()).unwrap();
    let mut pending = connection.get("/").start();
    assert!(pending.try_wait().unwrap().is_none());
    prompt(|| drop(connection));
    let error = pending.wait().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Cancelled, Processed::Maybe));
    drop(far);
}

#[test]
fn a_client_dropped_before_its_requests_changes_nothing() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = client();
    let pending = client.get(peer.url("/")).start();
    drop(client);
    assert_eq!(pending.wait().unwrap().text().unwrap(), "0 /");
}
