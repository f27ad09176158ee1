use super::*;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// A bound on waits that must end for another reason; failing is slow, not hanging.
const LONG: Duration = Duration::from_secs(30);

/// A connected socket as a wire that is only waited for.
struct Socket(TcpStream);

impl Wire for Socket {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }
    fn watch(&self, _: Interest, _: &Waker) {
        panic!("watched a wire with a descriptor");
    }
    fn finish(&self) -> io::Result<()> {
        self.0.shutdown(std::net::Shutdown::Write)
    }
    fn shutdown(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(std::os::fd::AsFd::as_fd(&self.0))
    }
    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        Some(std::os::windows::io::AsSocket::as_socket(&self.0))
    }
}

/// A wire without a descriptor.
#[derive(Default)]
struct Plain {
    open: AtomicBool,
    watchers: Mutex<Vec<Waker>>,
}

impl Plain {
    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        let watchers = std::mem::take(&mut *self.watchers.lock().unwrap());
        watchers.iter().for_each(Waker::wake);
    }
}

impl Wire for Plain {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    fn watch(&self, _: Interest, waker: &Waker) {
        self.watchers.lock().unwrap().push(waker.clone());
        if self.open.load(Ordering::SeqCst) {
            waker.wake();
        }
    }
    fn finish(&self) -> io::Result<()> {
        Ok(())
    }
    fn shutdown(&self) {}
}

fn sockets() -> (Socket, Socket) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (Socket(near), Socket(far))
}

fn soon(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

/// Waits for this with a bound; returns what was ready and how long it took.
fn wait(waiter: &mut Waiter, wires: &[(&dyn Wire, Interest)], deadline: Deadline) -> (Vec<Ready>, Duration) {
    let (mut ready, start) = (Vec::new(), Instant::now());
    waiter.wait(wires, deadline.earlier(Deadline::after(LONG)), &mut ready);
    let took = start.elapsed();
    assert!(took < LONG, "nothing ended the wait");
    assert_eq!(ready.len(), wires.len());
    (ready, took)
}

/// Returns once the thread of `waker` is in this state.
fn until(waker: &Waker, state: Sleep) {
    while *waker.shared.sleep() != state {
        thread::yield_now();
    }
}

#[test]
fn a_wake_before_the_wait_ends_it_once() {
    let (near, _far) = sockets();
    let mut waiter = Waiter::new();
    for wires in [&[][..], &[(&near as &dyn Wire, Interest::Read)]] {
        waiter.waker().wake();
        waiter.waker().clone().wake();
        let (ready, _) = wait(&mut waiter, wires, Deadline::NEVER);
        assert!(ready.iter().all(|r| !r.any()), "{ready:?}");
        let (_, took) = wait(&mut waiter, wires, soon(2));
        assert!(took >= Duration::from_millis(2), "the wake was consumed, {took:?}");
    }
}

#[test]
fn a_wake_ends_a_sleep_of_either_kind() {
    let (near, _far) = sockets();
    for state in [Sleep::Parked, Sleep::Polling] {
        let mut waiter = Waiter::new();
        for round in 0..20 {
            let waker = waiter.waker().clone();
            thread::scope(|scope| {
                scope.spawn(move || {
                    until(&waker, state);
                    waker.wake();
                });
                let wires: &[(&dyn Wire, Interest)] =
                    if state == Sleep::Parked { &[] } else { &[(&near, Interest::Read)] };
                let (ready, _) = wait(&mut waiter, wires, Deadline::NEVER);
                assert!(ready.iter().all(|r| !r.any()), "{state:?}, round {round}: {ready:?}");
            });
        }
    }
}

#[test]
fn a_deadline_is_never_early_and_soon_enough() {
    let (near, _far) = sockets();
    let plain = Plain::default();
    let mut waiter = Waiter::new();
    let sets: [&[(&dyn Wire, Interest)]; 4] = [
        &[],
        &[(&near, Interest::Read)],
        &[(&plain, Interest::Both)],
        &[(&near, Interest::Read), (&plain, Interest::Read)],
    ];
    for wires in sets {
        let mut best = LONG;
        for micros in [0, 1, 999, 1000, 1001, 3500] {
            for _ in 0..5 {
                let deadline = Deadline::after(Duration::from_micros(micros));
                let (ready, took) = wait(&mut waiter, wires, deadline);
                assert!(deadline.has_passed(Instant::now()), "early by {micros} µs: {took:?}");
                assert!(ready.iter().all(|r| !r.any()), "{ready:?}");
                if micros == 1000 {
                    best = best.min(took);
                }
            }
        }
        if cfg!(target_os = "linux") {
            assert!(best < Duration::from_micros(1900), "a millisecond took {best:?} at best");
        }
    }
}

#[test]
fn a_passed_deadline_looks_once() {
    let (near, far) = sockets();
    far.try_write(b"x").unwrap();
    let mut waiter = Waiter::new();
    wait(&mut waiter, &[(&near, Interest::Read)], Deadline::NEVER);
    let passed = Deadline::at(Instant::now());
    assert_eq!(wait(&mut waiter, &[(&near, Interest::Read)], passed).0, [Ready { read: true, write: false }]);
    assert_eq!(wait(&mut waiter, &[(&near, Interest::Both)], passed).0, [Ready::BOTH]);
    assert_eq!(wait(&mut waiter, &[(&near, Interest::Write)], passed).0, [Ready { read: false, write: true }]);
    assert_eq!(wait(&mut waiter, &[(&far, Interest::Read)], passed).0, [Ready::default()]);
    waiter.waker().wake();
    assert_eq!(wait(&mut waiter, &[(&near, Interest::Read)], soon(10_000)).0, [Ready { read: true, write: false }]);
    assert!(wait(&mut waiter, &[(&far, Interest::Read)], soon(1)).1 >= Duration::from_millis(1), "consumed");
}

#[test]
fn of_several_wires_the_ready_one_is_told() {
    let pairs: Vec<_> = (0..5).map(|_| sockets()).collect();
    let plain = Plain::default();
    let mut waiter = Waiter::new();
    for n in 0..pairs.len() {
        pairs[n].1.try_write(b"x").unwrap();
        let mut wires: Vec<(&dyn Wire, Interest)> =
            pairs.iter().map(|(near, _)| (near as &dyn Wire, Interest::Read)).collect();
        wires.insert(2, (&plain, Interest::Read));
        let (ready, _) = wait(&mut waiter, &wires, Deadline::NEVER);
        let told: Vec<usize> = ready.iter().enumerate().filter(|(_, r)| r.any()).map(|(n, _)| n).collect();
        assert_eq!(told, [if n < 2 { n } else { n + 1 }]);
        assert_eq!(pairs[n].0.try_read(&mut [0; 8]).unwrap(), 1);
    }
}

#[test]
fn a_wire_without_a_descriptor_wakes_every_kind_of_set() {
    let (near, far) = sockets();
    for mixed in [false, true] {
        let plain = Plain::default();
        let mut waiter = Waiter::new();
        let waker = waiter.waker().clone();
        let mut wires: Vec<(&dyn Wire, Interest)> = vec![(&plain, Interest::Write)];
        if mixed {
            wires.push((&near, Interest::Read));
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                until(&waker, if mixed { Sleep::Polling } else { Sleep::Parked });
                plain.open();
            });
            let (ready, _) = wait(&mut waiter, &wires, Deadline::NEVER);
            assert_eq!(ready[0], Ready { read: false, write: true }, "what was asked for");
            assert!(!mixed || !ready[1].any());
        });
        // Open before the wait: found even with a deadline that has passed.
        let (ready, _) = wait(&mut waiter, &wires, Deadline::at(Instant::now()));
        assert_eq!(ready[0], Ready { read: false, write: true });
    }
    far.try_write(b"x").unwrap();
    let plain = Plain::default();
    let (ready, _) = wait(&mut Waiter::new(), &[(&plain, Interest::Both), (&near, Interest::Read)], Deadline::NEVER);
    assert_eq!(ready, [Ready::default(), Ready { read: true, write: false }]);
}

#[test]
fn an_end_or_a_broken_socket_is_ready() {
    let (near, far) = sockets();
    let mut waiter = Waiter::new();
    far.finish().unwrap();
    assert!(wait(&mut waiter, &[(&near, Interest::Read)], Deadline::NEVER).0[0].read);
    far.shutdown();
    drop(far);
    near.shutdown();
    assert!(wait(&mut waiter, &[(&near, Interest::Write)], Deadline::NEVER).0[0].write);
    assert!(wait(&mut waiter, &[(&near, Interest::Read)], Deadline::NEVER).0[0].read);
}

#[test]
fn a_late_signal_of_a_consumed_wake_ends_nothing() {
    let (near, _far) = sockets();
    let mut waiter = Waiter::new();
    wait(&mut waiter, &[(&near, Interest::Read)], soon(1));
    waiter.waker().shared.wake_handle().unwrap().signal();
    let (_, took) = wait(&mut waiter, &[(&near, Interest::Read)], soon(3));
    assert!(took >= Duration::from_millis(3), "{took:?}");
}

/// Two threads that wake each other `rounds` times, each sleeping in its own way; counts are exact, so none is lost.
fn ping_pong(rounds: usize, polling: [bool; 2]) -> Duration {
    let pairs = [sockets(), sockets()];
    let turn = AtomicUsize::new(0);
    let (sender, wakers) = mpsc::channel();
    let start = Instant::now();
    thread::scope(|scope| {
        let mut back = Vec::new();
        for me in 0..2 {
            let (turn, pairs, sender) = (&turn, &pairs, sender.clone());
            let (other_sender, other) = mpsc::channel::<Waker>();
            back.push(other_sender);
            scope.spawn(move || {
                let mut waiter = Waiter::new();
                sender.send((me, waiter.waker().clone())).unwrap();
                let other = other.recv().unwrap();
                let wires: &[(&dyn Wire, Interest)] = if polling[me] { &[(&pairs[me].0, Interest::Read)] } else { &[] };
                loop {
                    let now = turn.load(Ordering::SeqCst);
                    if now == rounds {
                        break;
                    }
                    if now % 2 == me {
                        turn.store(now + 1, Ordering::SeqCst);
                        other.wake();
                    } else {
                        wait(&mut waiter, wires, Deadline::NEVER);
                    }
                }
            });
        }
        for _ in 0..2 {
            let (me, waker): (usize, Waker) = wakers.recv().unwrap();
            back[1 - me].send(waker).unwrap();
        }
    });
    start.elapsed()
}

#[test]
fn a_thousand_rounds_of_waking_each_other() {
    for polling in [[false, false], [false, true], [true, true]] {
        ping_pong(1000, polling);
    }
}

#[test]
fn many_threads_wake_one_and_none_is_lost() {
    const EACH: usize = 200;
    for polling in [false, true] {
        let (near, _far) = sockets();
        let (wanted, mut waiter) = (AtomicUsize::new(0), Waiter::new());
        let waker = waiter.waker().clone();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        wanted.fetch_add(1, Ordering::SeqCst);
                        waker.wake();
                        thread::yield_now();
                    }
                });
            }
            let wires: &[(&dyn Wire, Interest)] = if polling { &[(&near, Interest::Read)] } else { &[] };
            while wanted.load(Ordering::SeqCst) < 4 * EACH {
                wait(&mut waiter, wires, Deadline::NEVER);
            }
        });
    }
}

#[test]
fn without_a_wake_handle_a_nap_still_ends_at_once() {
    // What `poll` does where the system gives no handle: it looks, and parks for a while.
    let (near, far) = sockets();
    let waiter = Waiter::new();
    let shared = waiter.waker().shared.clone();
    let (mut memory, interest) = (PollMemory::default(), Interest::Read);
    let mut set = PollSet::new(&mut memory);
    set.push(sys::handle(&near).unwrap(), interest);
    let mut polled = [Polled { index: 0, interest, ready: Ready::default() }];
    for ready in [false, true] {
        let woken = thread::scope(|scope| {
            let waker = waiter.waker().clone();
            let far = &far;
            scope.spawn(move || {
                until(&waker, Sleep::Parked);
                if ready {
                    far.try_write(b"x").unwrap();
                } else {
                    waker.wake();
                }
            });
            shared.nap(&mut set, &mut polled, Deadline::after(LONG))
        });
        assert_eq!((woken, polled[0].ready.read), (!ready, ready));
    }
}

#[test]
fn a_nested_call_gets_another_waiter() {
    let first = with_waiter(|outer| {
        let waker = outer.waker().clone();
        with_waiter(|inner| assert!(!inner.waker().same(&waker)));
        with_waiter(|inner| {
            waker.wake();
            let (_, took) = wait(inner, &[], soon(1));
            assert!(took >= Duration::from_millis(1), "the outer one was woken");
        });
        wait(outer, &[], Deadline::NEVER);
        waker
    });
    with_waiter(|again| assert!(again.waker().same(&first), "it is reused"));
}

#[test]
fn a_panic_gives_the_waiter_back() {
    let first = with_waiter(|waiter| waiter.waker().clone());
    let panicked = std::panic::catch_unwind(|| with_waiter(|_| panic!("in the call")));
    assert!(panicked.is_err());
    with_waiter(|again| assert!(again.waker().same(&first)));
}

#[test]
fn an_old_wake_does_not_end_the_first_wait_of_the_next_use() {
    with_waiter(|waiter| waiter.waker().clone()).wake();
    let took = with_waiter(|waiter| wait(waiter, &[], soon(1)).1);
    assert!(took >= Duration::from_millis(1));
}

#[test]
fn a_thread_that_ends_can_still_wait() {
    struct Last(mpsc::Sender<Duration>);
    impl Drop for Last {
        fn drop(&mut self) {
            let took = with_waiter(|waiter| wait(waiter, &[], soon(1)).1);
            self.0.send(took).unwrap();
        }
    }
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    for waiter_first in [false, true] {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            if waiter_first {
                with_waiter(|_| ());
            }
            LAST.with(|last| *last.borrow_mut() = Some(Last(sender)));
            with_waiter(|_| ());
        })
        .join()
        .unwrap();
        assert!(receiver.recv().unwrap() >= Duration::from_millis(1), "waiter first: {waiter_first}");
    }
}

#[test]
fn a_quick_wait_ends_with_bytes_a_wake_or_the_time() {
    let (near, far) = sockets();
    with_any_waiter(|waiter| {
        let began = Instant::now();
        assert!(!waiter.wait_to_read(&near, Some(Duration::from_millis(30))));
        assert!(began.elapsed() >= Duration::from_millis(30), "early");

        far.try_write(b"x").unwrap();
        assert!(waiter.wait_to_read(&near, None));
        assert_eq!(near.try_read(&mut [0; 8]).unwrap(), 1);

        // A wake before the wait, which then does not look; and one meanwhile.
        waiter.waker().wake();
        assert!(waiter.wait_to_read(&near, None));
        let waker = waiter.waker().clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                until(&waker, Sleep::Polling);
                waker.wake();
            });
            assert!(waiter.wait_to_read(&near, None));
        });
        // Both wakes are used up.
        assert!(!waiter.wait_to_read(&near, Some(Duration::from_millis(1))));
        assert!(!waiter.wait_to_read(&near, Some(Duration::ZERO)));
    });
}

#[test]
fn a_quick_wait_for_a_wire_without_a_descriptor() {
    let wire = Plain::default();
    with_waiter(|waiter| {
        thread::scope(|scope| {
            let waker = waiter.waker().clone();
            let wire = &wire;
            scope.spawn(move || {
                until(&waker, Sleep::Parked);
                wire.open();
            });
            assert!(waiter.wait_to_read(wire, None));
        });
    });
}
