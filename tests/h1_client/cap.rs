//! A limit on connections is one on what the peer sees: one that is being closed counts until it is.

use super::*;
use bowline::{
    Client, ClientBuilder, Deadline, Pending,
    net::{Connect, Interest, Target, Tcp, Waker, Wire},
};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Counts connections that are open, and holds whoever closes one until it is told.
#[derive(Default)]
struct Gate {
    open: AtomicUsize,
    most: AtomicUsize,
    /// Who closes one is held.
    shut: AtomicBool,
    held: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Gate {
    /// Holds the next one who closes a connection; returns what tells that somebody is held, and what lets go.
    fn shut(&self) -> (Receiver<()>, Sender<()>) {
        let ((told, tells), (go, goes)) = (mpsc::channel(), mpsc::channel());
        *self.held.lock().unwrap() = Some((told, goes));
        self.shut.store(true, Ordering::SeqCst);
        (tells, go)
    }
}

struct Through(Arc<Gate>);

struct Held {
    tcp: Tcp,
    gate: Arc<Gate>,
    over: AtomicBool,
}

impl Connect for Through {
    fn connect(&self, target: &Target, _: Deadline) -> bowline::Result<Box<dyn Wire>> {
        let socket = TcpStream::connect((&*target.host, target.port)).map_err(Error::other)?;
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(open, Ordering::SeqCst);
        Ok(Box::new(Held { tcp: Tcp::new(socket)?, gate: self.0.clone(), over: AtomicBool::new(false) }))
    }
}

impl Held {
    fn end(&self) {
        if self.over.swap(true, Ordering::SeqCst) {
            return;
        }
        if self.gate.shut.swap(false, Ordering::SeqCst) {
            let (told, goes) = self.gate.held.lock().unwrap().take().unwrap();
            // If the test has failed nobody listens, and nobody lets go.
            let _ = told.send(());
            let _ = goes.recv();
        }
        self.gate.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wire for Held {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.tcp.try_read(buf)
    }
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.try_write(bytes)
    }
    fn watch(&self, interest: Interest, waker: &Waker) {
        self.tcp.watch(interest, waker);
    }
    fn finish(&self) -> io::Result<()> {
        self.end();
        self.tcp.finish()
    }
    fn shutdown(&self) {
        self.end();
        self.tcp.shutdown();
    }
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.tcp.fd()
    }
    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.tcp.socket()
    }
    fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp.peer_addr()
    }
}

/// Has `cap` connections idle, lets `close` close one of them, and asks for as many answers again meanwhile.
fn assert_counts_until_closed(cap: usize, builder: ClientBuilder, close: impl FnOnce(&Client, &str) + Send) {
    let gate = Arc::<Gate>::default();
    let peer = peer(|_, mut conn| conn.serve());
    let client =
        builder.max_connections_per_origin(cap).connector(Through(gate.clone())).timeout(ms(20_000)).build().unwrap();
    let url = peer.url("/");
    let ask = || -> Vec<Pending> { (0..cap).map(|_| client.get(&url).start()).collect() };
    let read = |pending: Pending| assert_eq!(prompt(|| pending.wait()).unwrap().status(), 200);
    let answers: Vec<_> = ask().into_iter().map(|pending| pending.wait().unwrap()).collect();
    answers.into_iter().for_each(drop);
    assert_eq!(gate.open.load(Ordering::SeqCst), cap);
    thread::scope(|scope| {
        // Let go with everything else if the test fails.
        let (held, go) = gate.shut();
        scope.spawn(|| close(&client, &url));
        held.recv_timeout(ms(10_000)).expect("a connection was closed");
        let mut asked = ask();
        let last = asked.pop().unwrap();
        let waiting = scope.spawn(move || last.wait());
        pass(ms(50));
        // Nobody waits for a connection for longer than it takes to close one.
        assert!(!waiting.is_finished(), "it went out on one connection too many");
        go.send(()).unwrap();
        asked.into_iter().for_each(read);
        prompt(|| waiting.join().unwrap()).unwrap();
    });
    assert_eq!(gate.most.load(Ordering::SeqCst), cap);
}

#[test]
fn what_the_program_closes() {
    assert_counts_until_closed(1, builder(), |client, _| assert_eq!(client.close_idle(), 1));
    assert_counts_until_closed(3, builder(), |client, _| assert_eq!(client.close_idle(), 3));
}

#[test]
fn what_was_unused_for_too_long() {
    let limit = ms(300);
    assert_counts_until_closed(1, builder().idle_timeout(limit), |client, _| {
        pass(limit);
        client.upkeep();
    });
}

#[test]
fn what_a_request_finds_past_its_time() {
    let limit = ms(300);
    assert_counts_until_closed(1, builder().idle_timeout(limit), |client, url| {
        let old = client.connections()[0].id;
        pass(limit);
        // It may be served behind one of those that ask meanwhile.
        assert_ne!(client.get(url).send().unwrap().connection().id, old);
    });
}

#[test]
fn what_is_one_too_many_to_be_kept() {
    let gate = Arc::<Gate>::default();
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder()
        .max_connections_per_origin(2)
        .max_idle_per_origin(1)
        .connector(Through(gate.clone()))
        .build()
        .unwrap();
    let url = peer.url("/");
    let [first, second] = [client.get(&url).start(), client.get(&url).start()];
    thread::scope(|scope| {
        // Let go with everything else if the test fails.
        let (held, go) = gate.shut();
        // The second to be served is the one too many.
        scope.spawn(|| (first.wait().unwrap(), second.wait().unwrap()));
        held.recv_timeout(ms(10_000)).expect("a connection was closed");
        // The first goes out on the one that is kept.
        let asked = [client.get(&url).start(), client.get(&url).start()];
        let waiting = asked.map(|pending| scope.spawn(|| pending.wait()));
        pass(ms(50));
        assert_eq!(gate.most.load(Ordering::SeqCst), 2);
        go.send(()).unwrap();
        for waiting in waiting {
            prompt(|| waiting.join().unwrap()).unwrap();
        }
    });
    assert_eq!(gate.most.load(Ordering::SeqCst), 2);
}
