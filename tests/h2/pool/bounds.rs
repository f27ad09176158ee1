//! How many connections are kept, how old they become, and that nothing is left of those that are over.

use super::*;
use bowline::{
    Deadline, Error,
    net::{Connect, Interest, Target, Tcp, Waker, Wire},
};
use std::{
    io,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
};

/// One request of each kind is open on so many connections, each to a peer of its own.
fn busy(client: &Client, n: usize) -> Vec<(Link, u32, Task<Result<Response>>)> {
    (0..n)
        .map(|_| {
            let peer = Peer::new();
            let asked = get(client, &peer);
            let mut link = peer.h2();
            let head = link.request();
            (link, head.stream, asked)
        })
        .collect()
}

/// Answers those requests, so that their connections are idle.
fn answer_all(busy: Vec<(Link, u32, Task<Result<Response>>)>) -> Vec<Link> {
    busy.into_iter()
        .map(|(mut link, stream, asked)| {
            link.answer(stream, 200, b"");
            asked.join().unwrap();
            link
        })
        .collect()
}

/// Those that were in use together are idle together; nothing is made that would make room for itself.
#[test]
fn what_becomes_idle_is_bounded_by_every_operation() {
    type Operation = fn(&Client);
    let operations: [(&str, Operation); 2] = [
        ("upkeep", |client| _ = client.upkeep()),
        // To a peer that is there already: no connection is made.
        ("a request", |client| {
            let origin = client.connections().pop().expect("the newest").origin;
            drop(client.get(origin).start());
        }),
    ];
    for (name, operation) in operations {
        let client = builder().max_idle(3).build().unwrap();
        let mut links = answer_all(busy(&client, 6));
        assert_eq!(client.connections().len(), 6, "{name}");
        // Everything is looked at again after a while.
        links[5].assert_quiet(ms(20));
        operation(&client);
        assert_eq!(client.connections().len(), 3, "{name}");
        for link in &mut links[..3] {
            assert_eq!(link.rest().iter().map(|f| f.kind).collect::<Vec<_>>(), [GOAWAY], "{name}");
        }
    }
}

#[test]
fn a_hundred_are_kept_if_nothing_is_said() {
    let client = client();
    let links = answer_all(busy(&client, 102));
    client.upkeep();
    assert_eq!(client.connections().len(), 100);
    drop(links);
}

#[test]
fn ten_are_kept_of_an_origin_if_nothing_is_said() {
    let client = builder().more_connections_when_full().build().unwrap();
    let peer = Peer::new();
    let mut open = Vec::new();
    for _ in 0..12 {
        let asked = get(&client, &peer);
        let mut link = peer.h2_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
        let head = link.request();
        client.upkeep();
        open.push((link, head.stream, asked));
    }
    let links = answer_all(open);
    client.upkeep();
    assert_eq!(client.connections().len(), 10);
    drop(links);
}

/// Connections made together do not end together: each has its lifetime, which is shorter than what was set by a tenth at most.
#[test]
fn lifetimes_differ() {
    let most = Duration::from_secs(10_000);
    let mut lives = Vec::new();
    for _ in 0..16 {
        let forever = Duration::MAX;
        let client = builder().max_lifetime(most).idle_timeout(forever).upkeep_interval(forever).build().unwrap();
        let peer = Peer::new();
        let _link = idle(&client, &peer);
        let life = client.next_upkeep().expect("its age") - only(&client).created;
        assert!(
            life <= most + Duration::from_secs(1) && life >= most.mul_f64(0.9) - Duration::from_secs(1),
            "{life:?}"
        );
        lives.push(life.as_secs());
    }
    lives.sort_unstable();
    lives.dedup();
    assert!(lives.len() > 8, "{lives:?}");
    assert!(lives[lives.len() - 1] - lives[0] > 100, "{lives:?}");
}

/// Counts wires that are not closed yet.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

struct Counted(Tcp, Count);

impl Connect for Count {
    fn connect(&self, target: &Target, _: Deadline) -> Result<Box<dyn Wire>> {
        let socket = TcpStream::connect((&*target.host, target.port)).map_err(Error::other)?;
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Counted(Tcp::new(socket)?, self.clone())))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wire for Counted {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }
    fn watch(&self, interest: Interest, waker: &Waker) {
        self.0.watch(interest, waker);
    }
    fn finish(&self) -> io::Result<()> {
        self.0.finish()
    }
    fn shutdown(&self) {
        self.0.shutdown();
    }
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.0.fd()
    }
    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.0.socket()
    }
}

/// Whoever finds out that a connection is over closes it: its descriptor does not wait for the next use of the pool.
#[test]
fn nothing_is_left_of_a_connection_that_is_known_to_be_over() {
    type End = fn(&mut Link, u32);
    let ends: [(&str, End); 5] = [
        ("FIN", |link, _| link.finish()),
        ("GOAWAY and FIN", |link, _| {
            link.send(&[Frame::goaway(0, NO_ERROR, b"")]);
            link.finish();
        }),
        ("a violation", |link, _| link.send(&[Frame::new(DATA, 0, 0, [])])),
        ("silence", |_, _| ()),
        ("GOAWAY and an answer", |link, stream| {
            link.send(&[Frame::goaway(stream, NO_ERROR, b"")]);
            link.answer(stream, 200, b"");
        }),
    ];
    for (name, end) in ends {
        let count = Count::default();
        let client = builder()
            .connector(count.clone())
            .read_idle_ping(ms(100))
            .ping_ack_timeout(ms(100))
            .retry(bowline::Retry::Never)
            .build()
            .unwrap();
        let peer = Peer::new();
        let request = client.post(peer.url("/")).body("x");
        let asked = task(|| request.send().map(drop));
        let mut link = peer.h2();
        let (stream, _) = link.request_with_body();
        end(&mut link, stream);
        let result = asked.join();
        assert_eq!(result.is_ok(), name == "GOAWAY and an answer", "{name}: {result:?}");
        let began = Instant::now();
        while count.0.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < ms(2000), "{name}: the wire is still open");
            std::thread::yield_now();
        }
        assert!(client.connections().is_empty(), "{name}");
        assert_eq!(client.stats().closed, 1, "{name}");
    }
}
