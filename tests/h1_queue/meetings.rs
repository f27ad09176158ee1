//! Where threads, panics and limits meet in the line for a connection.

use crate::support::{builder, ms, pass, peer, prompt};
#[cfg(feature = "tls")]
use crate::{support::Conn, tls};
use bowline::{Batch, Exchange, Protocol, Server, Timeouts, http::Version};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, mpsc},
    thread,
};

/// A thread that panics gives back what it holds, and sends what was in line for that: its panic is none of theirs.
#[test]
fn a_panic_of_the_program_is_no_fault_of_who_is_in_line() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().max_connections_per_origin(1).build().unwrap();
    let connection = client.get(peer.url("/1")).start();
    let second = client.get(peer.url("/2")).start();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _held = connection;
        panic!("a panic of the program");
    }));
    assert!(panic.is_err());
    let text = prompt(|| second.wait()).unwrap().text().unwrap();
    assert!(text.ends_with("/2"), "{text}");
}

/// Of those that one thread waits for the first in line reads for all of them; once it is not in line any more the next one does.
#[test]
fn the_next_in_line_reads_once_the_first_has_gone() {
    let (go, gate) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<String>();
    let (gate, tell) = (Mutex::new(gate), Mutex::new(tell));
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            tell.lock().unwrap().send(request.target.clone()).unwrap();
            match request.target.as_str() {
                "/first" => {
                    let _ = gate.lock().unwrap().recv();
                    conn.answer("first");
                }
                "/never" => drop(conn.rest()),
                "/big" => conn.answer(&"x".repeat(5_000_000)),
                _ => conn.answer("second"),
            }
        }
    });
    let client = builder().max_connections_per_origin(2).build().unwrap();
    let _first = client.get(peer.url("/first")).start();
    let big = client.get(peer.url("/big")).send().unwrap();
    let never = client.get(peer.url("/never")).start();
    let second = client.get(peer.url("/second")).start();
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let mut batch = Batch::new();
            batch.push(second, "second");
            batch.push(never, "never");
            let (tag, answer) = batch.next().unwrap();
            (tag, answer.unwrap().text().unwrap())
        });
        // It waits in line for both.
        pass(ms(100));
        assert_eq!(big.bytes().unwrap().len(), 5_000_000);
        let seen: Vec<_> = told.iter().take(3).collect();
        assert_eq!(seen[2], "/never");
        pass(ms(20));
        go.send(()).unwrap();
        let (tag, text) = prompt(|| waits.join().unwrap());
        assert_eq!((tag, text.as_str()), ("second", "second"));
    });
}

/// An answer that arrived in its time is there, although nobody looked until that was up.
#[test]
fn nobody_s_wait_is_no_silence() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            pass(ms(50));
            conn.answer(&request.target);
        }
    });
    let client = builder().protocol(Protocol::Http1).timeouts(Timeouts::none().first_byte(ms(200))).build().unwrap();
    let mut pending = client.get(peer.url("/1")).start();
    assert!(pending.wait_timeout(ms(10)).unwrap().is_none());
    pass(ms(300));
    assert_eq!(prompt(|| pending.wait()).unwrap().text().unwrap(), "/1");
}

/// A connection that is not to be kept is closed when it has served, and not when its answer is dropped: else there were more than the
/// limit allows.
#[test]
fn what_is_not_kept_is_closed_at_once() {
    for (keep, most_idle) in [("Keep-Alive: timeout=1\r\n", 10), ("", 0)] {
        let (tell, closed) = mpsc::channel();
        let tell = Mutex::new(tell);
        let peer = peer(move |_, mut conn| {
            conn.request().unwrap();
            conn.say(format!("HTTP/1.1 200 OK\r\n{keep}Content-Length: 2\r\n\r\nok"));
            tell.lock().unwrap().send(conn.rest()).unwrap();
        });
        let client = builder().max_connections_per_origin(1).max_idle(most_idle).build().unwrap();
        let response = client.get(peer.url("/1")).send().unwrap();
        let kept = client.get(peer.url("/2")).start();
        let third = client.get(peer.url("/3")).send().unwrap();
        for _ in 0..3 {
            assert_eq!(closed.recv_timeout(ms(3000)).unwrap(), b"");
        }
        for response in [response, kept.wait().unwrap(), third] {
            assert_eq!(response.text().unwrap(), "ok");
        }
    }
}

/// A connection that changes to HTTP/2 is in nobody's way, although who asked for that is not waited for.
#[test]
fn an_upgrade_is_completed_by_those_who_wait_behind_it() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.spawn(|exchange: Exchange| exchange.reply(200, "ok")).unwrap();
    let client = builder().protocol(Protocol::H2cUpgrade).max_connections_per_origin(1).build().unwrap();
    let [first, second, third] = ["/1", "/2", "/3"].map(|path| client.get(server.url(path)).start());
    for pending in [third, second, first] {
        let response = prompt(|| pending.wait()).unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.text().unwrap(), "ok");
    }
    assert_eq!(client.connections().len(), 1);
}

/// A connection that was begun for one in line, whom nobody waits for, keeps others no longer than one that its owner has left.
#[cfg(feature = "tls")]
#[test]
fn nobody_hopes_for_a_connection_that_nobody_makes() {
    struct FailsOnce(Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>, std::net::SocketAddr);
    impl bowline::net::Resolve for FailsOnce {
        fn resolve(&self, _: &str, _: u16, _: bowline::Deadline) -> std::io::Result<Vec<std::net::SocketAddr>> {
            let first = self.0.lock().unwrap().take();
            let Some((asked, gate)) = first else { return Ok(vec![self.1]) };
            asked.send(()).unwrap();
            gate.recv().unwrap();
            Err(std::io::Error::other("not known"))
        }
    }
    let authority = tls::certs::Authority::new("test");
    let config = tls::config(&authority.issue(&["name.test"]), &[b"http/1.1"]);
    let trust = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    let peer = peer(move |n, mut conn| match n {
        0 => drop(conn.rest()),
        _ => Conn::over(tls::accept(conn.into_stream(), &config)).serve(),
    });
    let ((asked, is_asked), (go, gate)) = (mpsc::channel(), mpsc::channel());
    let resolver = FailsOnce(Mutex::new(Some((asked, gate))), peer.addr());
    let client = builder().tls(trust).resolver(resolver).timeout(ms(5000)).build().unwrap();
    let fails = {
        let client = client.clone();
        thread::spawn(move || client.get("https://name.test/1").send().map(drop))
    };
    is_asked.recv().unwrap();
    let _second = client.get("https://name.test/2").start();
    go.send(()).unwrap();
    assert!(fails.join().unwrap().is_err());
    assert!(client.get("https://name.test/3").send().unwrap().text().unwrap().ends_with("/3"));
}
