//! Sockets, listeners and connecting, over 127.0.0.1.

#[cfg(unix)]
use super::sys::AcceptFailure;
use super::*;
use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, WouldBlock};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A bound on waits that must end for another reason.
const LONG: Duration = Duration::from_secs(30);

/// Waits for one wire; returns what it is ready for.
fn wait(wire: &dyn Wire, interest: Interest) -> Ready {
    let (deadline, mut ready) = (Deadline::after(LONG), Vec::new());
    with_waiter(|waiter| waiter.wait(&[(wire, interest)], deadline, &mut ready));
    assert!(!deadline.has_passed(Instant::now()), "nothing ended the wait for {interest:?}");
    ready[0]
}

/// Returns what one wire is ready for now.
fn look(wire: &dyn Wire, interest: Interest) -> Ready {
    let mut ready = Vec::new();
    with_waiter(|waiter| waiter.wait(&[(wire, interest)], Deadline::at(Instant::now()), &mut ready));
    ready[0]
}

fn listen() -> (Listener, SocketAddr) {
    let listener = Listener::tcp(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn accept(listener: &Listener) -> Arc<dyn Wire> {
    loop {
        if let Some(accepted) = listener.accept().unwrap() {
            return accepted.into_wire();
        }
        wait(listener, Interest::Read);
    }
}

/// Connects without blocking, by waiting for the socket.
fn connect(addr: SocketAddr, local: Option<IpAddr>) -> io::Result<Tcp> {
    let socket = start_connect(addr, local)?;
    let wire = Tcp::new(socket.try_clone()?)?;
    while !connect_result(&socket)? {
        wait(&wire, Interest::Write);
    }
    Tcp::new(socket)
}

/// What is accepted never blocks, never holds back small writes, stays in this process, and says who is at the other end.
#[cfg(unix)]
#[test]
fn what_is_accepted_needs_no_setting() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        // A system may have no IPv6.
        let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
        let listener = Listener::tcp(listener).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let wire = accept(&listener);
        assert_eq!(wire.peer_addr(), Some(client.local_addr().unwrap()));
        assert_eq!(wire.try_read(&mut [0]).unwrap_err().kind(), WouldBlock, "{ip}");
        let fd = wire.fd().unwrap();
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            let closes = u32::from_str_radix(flags, 8).unwrap() & 0o2_000_000 != 0;
            assert!(closes, "children do not have it: {flags}");
        }
        let socket = std::net::TcpStream::from(fd.try_clone_to_owned().unwrap());
        assert!(socket.nodelay().unwrap(), "{ip}");
    }
}

/// Both kinds of socket wires, connected.
fn wires() -> Vec<(&'static str, Arc<dyn Wire>, Arc<dyn Wire>)> {
    let (listener, addr) = listen();
    let near: Arc<dyn Wire> = Arc::new(connect(addr, None).unwrap());
    assert_eq!(near.peer_addr(), Some(addr));
    let tcp = ("tcp", near, accept(&listener));
    #[cfg(unix)]
    {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        vec![tcp, ("unix", Arc::new(Unix::new(near).unwrap()), Arc::new(Unix::new(far).unwrap()))]
    }
    #[cfg(windows)]
    vec![tcp]
}

#[test]
fn sockets_never_block_and_tell_when_they_are_ready() {
    for (name, near, far) in wires() {
        assert_eq!(near.try_read(&mut [0; 8]).unwrap_err().kind(), WouldBlock, "{name}");
        assert_eq!(look(&*near, Interest::Both), Ready { read: false, write: true }, "{name}");
        assert_eq!(far.try_write(b"hello").unwrap(), 5);
        assert!(wait(&*near, Interest::Read).read);
        assert_eq!(look(&*near, Interest::Both), Ready { read: true, write: true }, "{name}");
        assert_eq!(near.try_read(&mut [0; 8]).unwrap(), 5);
        far.finish().unwrap();
        far.finish().unwrap();
        assert!(wait(&*near, Interest::Read).read);
        assert_eq!(near.try_read(&mut [0; 8]).unwrap(), 0, "{name}");
        assert_eq!(near.try_write(b"answer").unwrap(), 6);
        assert!(wait(&*far, Interest::Read).read);
        near.shutdown();
        near.shutdown();
        assert!(near.try_write(b"x").is_err(), "{name}");
        near.finish().unwrap();
    }
}

#[test]
fn a_full_socket_becomes_writable_when_the_peer_reads() {
    const BYTES: usize = 20 << 20;
    for (name, near, far) in wires() {
        let (mut sent, bytes) = (0, vec![7; 1 << 18]);
        // Nobody reads yet, so it fills up.
        while let Ok(n) = near.try_write(&bytes) {
            sent += n;
        }
        assert_eq!(look(&*near, Interest::Both), Ready::default(), "{name}");
        let total = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut total, mut buf) = (0, vec![0; 1 << 16]);
                loop {
                    match far.try_read(&mut buf) {
                        Ok(0) => return total,
                        Ok(n) => total += n,
                        Err(error) => {
                            assert_eq!(error.kind(), WouldBlock, "{name}");
                            assert!(wait(&*far, Interest::Read).read);
                        }
                    }
                }
            });
            while sent < BYTES {
                match near.try_write(&bytes[..bytes.len().min(BYTES - sent)]) {
                    Ok(n) => sent += n,
                    Err(error) => {
                        assert_eq!(error.kind(), WouldBlock, "{name}");
                        assert_eq!(wait(&*near, Interest::Both), Ready { read: false, write: true }, "{name}");
                    }
                }
            }
            near.finish().unwrap();
            reader.join().unwrap()
        });
        assert_eq!(total, BYTES, "{name}");
    }
}

#[test]
fn shutting_down_ends_a_wait_of_another_thread() {
    for (name, near, _far) in wires() {
        thread::scope(|scope| {
            let reader = scope.spawn(|| (wait(&*near, Interest::Read), near.try_read(&mut [0; 8])));
            near.shutdown();
            let (ready, read) = reader.join().unwrap();
            assert!(ready.read, "{name}");
            assert_eq!(read.unwrap(), 0, "{name}");
        });
    }
}

#[test]
fn connecting_does_not_block_and_tells_how_it_ended() {
    let (listener, addr) = listen();
    let wire = connect(addr, Some(IpAddr::V4(Ipv4Addr::LOCALHOST))).unwrap();
    let far = accept(&listener);
    assert_eq!(far.peer_addr().map(|addr| addr.ip()), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    drop((wire, far, listener));

    assert_eq!(connect(addr, None).unwrap_err().kind(), ConnectionRefused);
    let foreign = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(connect(addr, foreign).unwrap_err().kind(), AddrNotAvailable);
    let other_family = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
    assert!(connect(addr, other_family).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_to_itself_is_refused() {
    // Bound to the port it connects to, as the system may choose for a local port where nobody listens.
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = probe.local_addr().unwrap();
    drop(probe);
    let socket = sys::connect_to_itself(addr).unwrap();
    assert_eq!(connect_result(&socket).unwrap_err().kind(), ConnectionRefused);
}

#[test]
fn one_listener_feeds_many_threads() {
    const PEERS: usize = 64;
    let (listener, addr) = listen();
    assert!(listener.accept().unwrap().is_none());
    assert_eq!(look(&listener, Interest::Read), Ready::default());
    let (done_near, done_far) = &pair(1);
    let accepted = thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let listener = &listener;
                scope.spawn(move || {
                    let (mut mine, mut ready) = (Vec::new(), Vec::new());
                    while done_far.try_read(&mut []).is_err() {
                        mine.extend(listener.accept().unwrap());
                        let wires: [(&dyn Wire, Interest); 2] =
                            [(listener, Interest::Read), (done_far, Interest::Read)];
                        with_waiter(|waiter| waiter.wait(&wires, Deadline::after(LONG), &mut ready));
                    }
                    mine.len()
                })
            })
            .collect();
        let peers: Vec<_> = (0..PEERS).map(|_| connect(addr, None).unwrap()).collect();
        // Each is in the queue of the listener now: take what the workers left, then tell them.
        while look(&listener, Interest::Read).read {
            thread::yield_now();
        }
        done_near.finish().unwrap();
        drop(peers);
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    assert_eq!(accepted, PEERS);
}

#[cfg(unix)]
#[test]
fn unix_sockets_are_accepted_too() {
    let path = std::env::temp_dir().join(format!("bowline-{}.socket", std::process::id()));
    let listener = Listener::unix(&path).unwrap();
    assert_eq!((listener.local_addr(), listener.accept().unwrap().is_none()), (None, true));
    let near = Unix::new(connect_unix(&path).unwrap()).unwrap();
    let far = accept(&listener);
    near.try_write(b"hello").unwrap();
    assert!(wait(&*far, Interest::Read).read);
    assert_eq!(far.try_read(&mut [0; 8]).unwrap(), 5);
    drop((listener.spare().unwrap(), connect_unix(&path).unwrap()));
    drop(listener);
    assert_eq!(connect_unix(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[cfg(unix)]
#[test]
fn the_failures_of_accept_are_sorted() {
    use rustix_codes::*;
    for (code, failure) in [
        (EMFILE, AcceptFailure::Exhausted),
        (ENFILE, AcceptFailure::Exhausted),
        (EINTR, AcceptFailure::Peer),
        (EBADF, AcceptFailure::Final),
    ] {
        assert_eq!(AcceptFailure::of(&io::Error::from_raw_os_error(code)), failure, "error {code}");
    }
    assert_eq!(AcceptFailure::of(&io::ErrorKind::Other.into()), AcceptFailure::Final);

    /// The same number on every Unix.
    mod rustix_codes {
        pub(super) const EINTR: i32 = 4;
        pub(super) const EBADF: i32 = 9;
        pub(super) const ENFILE: i32 = 23;
        pub(super) const EMFILE: i32 = 24;
    }
}

/// Runs itself again in a process that may open few descriptors, for the limit is the whole process's.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_waits_and_accepting_go_on() {
    const FEW: &str = "BOWLINE_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(FEW).is_some() {
        return few_descriptors();
    }
    let name = "net::tests::without_descriptors_waits_and_accepting_go_on";
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("ulimit -n 24; exec \"$0\" --exact --test-threads 1 {name}")])
        .arg(std::env::current_exe().unwrap())
        .env(FEW, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
fn few_descriptors() {
    let (listener, addr) = listen();
    let near = std::net::TcpStream::connect(addr).unwrap();
    let far = accept(&listener);
    // A peer waits, and not one descriptor is left.
    let _waiting = std::net::TcpStream::connect(addr).unwrap();
    let mut hoard = Vec::new();
    while let Ok(another) = near.try_clone() {
        hoard.push(another);
    }
    assert!(hoard.len() < 24, "the limit holds");
    let error = listener.accept().unwrap_err();
    assert!(Listener::is_exhausted(&error), "{error}");

    // A thread without a wake handle cannot make one, and is woken all the same, by a waker and by a wire.
    thread::scope(|scope| {
        let near = Tcp::new(near).unwrap();
        let (sender, wakers) = std::sync::mpsc::channel();
        let waiting = scope.spawn(move || {
            let (mut waiter, mut ready, start) = (Waiter::new(), Vec::new(), Instant::now());
            sender.send(waiter.waker().clone()).unwrap();
            waiter.wait(&[(&near, Interest::Read)], Deadline::after(LONG), &mut ready);
            let woken = ready[0];
            sender.send(waiter.waker().clone()).unwrap();
            waiter.wait(&[(&near, Interest::Read)], Deadline::after(LONG), &mut ready);
            assert!(start.elapsed() < LONG);
            (woken, ready[0])
        });
        wakers.recv().unwrap().wake();
        wakers.recv().unwrap();
        far.try_write(b"x").unwrap();
        assert_eq!(waiting.join().unwrap(), (Ready::default(), Ready { read: true, write: false }));
    });

    hoard.clear();
    assert!(listener.accept().unwrap().is_some(), "the peer is still there");
}

#[test]
fn wires_are_shared_and_printed() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<Tcp>();
    #[cfg(unix)]
    shared::<Unix>();
    shared::<PairEnd>();
    shared::<Listener>();
    shared::<Waker>();
}
