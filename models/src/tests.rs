//! What must hold in every order, and the faults that must be found.

use crate::Fault;
use crate::borrowed::{Borrowed, Last};
use crate::connection::{Connection, Outcome, wait_any};
use crate::kernel::{Events, Kernel, Message};
use crate::messages::{self, CLOSE, MESSAGE, PING, PONG, Sent, Socket};
use crate::wait::Waiter;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Arc, mpsc};
use shuttle::{Config, Runner, thread};

/// How many schedules are tried of each scheduler.
fn rounds() -> usize {
    std::env::var("BOWLINE_MODEL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10_000)
}

/// Runs a model in many orders: at random, and with a few changes of priority at random places.
fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    const SEED: u64 = 20_250;
    let mut config = Config::new();
    config.stack_size = 0x20000;
    Runner::new(RandomScheduler::new_from_seed(SEED, rounds()), config.clone()).run(model.clone());
    Runner::new(PctScheduler::new_from_seed(SEED, 4, rounds()), config).run(model);
}

/// Threads that each say something and then wake the one that waits; returns when all was heard.
fn wakes(wakers: usize, polling: bool, fault: Fault) {
    let kernel = Arc::new(Kernel::new(1, 1));
    let (waiter, said) = (Waiter::new(&kernel, 0, fault), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..wakers)
        .map(|_| {
            let (waker, said) = (waiter.waker().clone(), said.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    said.fetch_add(1, Ordering::SeqCst);
                    waker.wake();
                }
            })
        })
        .collect();
    let sockets: &[(usize, Events)] = if polling { &[(0, Events { read: true, write: false })] } else { &[] };
    let mut consumed = 0;
    while said.load(Ordering::SeqCst) < 2 * wakers {
        consumed += usize::from(waiter.wait(sockets).1);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // At most one is left, and a signal that comes late ends nothing: `wait` checks that it has a reason.
    waiter.waker().expire();
    consumed += usize::from(waiter.wait(sockets).1);
    consumed += usize::from(waiter.wait(sockets).1);
    assert!(consumed <= 2 * wakers, "{consumed} wakes of {}", 2 * wakers);
}

/// A thread that changes between the two kinds of sleep, a socket that becomes ready, wakes, and a deadline.
fn mixed_sleeps(fault: Fault) {
    let kernel = Arc::new(Kernel::new(1, 1));
    let (waiter, said) = (Waiter::new(&kernel, 0, fault), Arc::new(AtomicUsize::new(0)));
    let talker = {
        let (waker, said) = (waiter.waker().clone(), said.clone());
        thread::spawn(move || {
            for _ in 0..4 {
                said.fetch_add(1, Ordering::SeqCst);
                waker.wake();
            }
        })
    };
    let peer = {
        let kernel = kernel.clone();
        thread::spawn(move || kernel.serve(0))
    };
    assert!(kernel.try_write(0, Message::Item(7)));
    let (mut answered, mut round) = (false, 0);
    while said.load(Ordering::SeqCst) < 4 || !answered {
        round += 1;
        let sockets: &[(usize, Events)] = if round % 2 == 0 && said.load(Ordering::SeqCst) < 4 {
            &[]
        } else {
            &[(0, Events { read: !answered, write: false })]
        };
        if waiter.wait(sockets).0.iter().any(|events| events.read) {
            answered = kernel.try_read(0) == Some(Message::Item(7));
        }
    }
    talker.join().unwrap();
    kernel.close();
    peer.join().unwrap();
    let timer = {
        let waker = waiter.waker().clone();
        thread::spawn(move || waker.expire())
    };
    // One wake may be left; after it only the deadline ends a wait.
    let _ = waiter.wait(&[(0, Events { read: true, write: false })]);
    let (ready, woken) = waiter.wait(&[(0, Events { read: true, write: false })]);
    assert!(waiter.is_expired() && !woken && !ready[0].any());
    timer.join().unwrap();
}

/// One thread of a run: on which connections its items are, and what happens to it.
#[derive(Clone, Debug, Default)]
struct Plan {
    connections: &'static [usize],
    /// A timer runs.
    deadline: bool,
    /// Another thread cancels the first item.
    cancelled: bool,
    /// In which turn as a reader it panics.
    panics: Option<usize>,
}

fn on(connections: &'static [usize]) -> Plan {
    Plan { connections, ..Plan::default() }
}

impl Plan {
    fn with_deadline(self) -> Self {
        Plan { deadline: true, ..self }
    }

    fn cancelled(self) -> Self {
        Plan { cancelled: true, ..self }
    }

    fn that_panics_in(self, turn: usize) -> Self {
        Plan { panics: Some(turn), ..self }
    }
}

/// Runs these threads against peers that answer; everybody must come back with what became of each item.
fn run(plans: &[Plan], fault: Fault) {
    let count = 1 + plans.iter().flat_map(|plan| plan.connections).max().unwrap();
    let kernel = Arc::new(Kernel::new(count, plans.len()));
    let connections: Arc<Vec<Connection>> = Arc::new((0..count).map(|n| Connection::new(&kernel, n, fault)).collect());
    let peers: Vec<_> = (0..count)
        .map(|n| {
            let kernel = kernel.clone();
            thread::spawn(move || kernel.serve(n))
        })
        .collect();
    let mut helpers = Vec::new();
    let threads: Vec<_> = plans
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, plan)| {
            let waiter = Waiter::new(&kernel, number, fault);
            if plan.deadline {
                let waker = waiter.waker().clone();
                helpers.push(thread::spawn(move || waker.expire()));
            }
            if plan.cancelled {
                let connections = connections.clone();
                helpers.push(thread::spawn(move || connections[plan.connections[0]].cancel(number * 10)));
            }
            let connections = connections.clone();
            thread::spawn(move || {
                let (mut panics, mut outcomes) = (plan.panics, Vec::new());
                let mut items: Vec<_> =
                    plan.connections.iter().enumerate().map(|(n, c)| (&connections[*c], number * 10 + n)).collect();
                items.iter().for_each(|(connection, item)| connection.start(*item));
                while !items.is_empty() {
                    outcomes.push(wait_any(&mut items, &waiter, &mut panics));
                }
                outcomes
            })
        })
        .collect();
    let outcomes: Vec<Vec<(usize, Outcome)>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    helpers.into_iter().for_each(|thread| thread.join().unwrap());
    kernel.close();
    peers.into_iter().for_each(|thread| thread.join().unwrap());

    let dispatched: Vec<Vec<usize>> = connections.iter().map(Connection::finish).collect();
    let panics = plans.iter().any(|plan| plan.panics.is_some());
    for (number, (plan, outcomes)) in plans.iter().zip(outcomes).enumerate() {
        for (item, outcome) in outcomes {
            let came = dispatched[plan.connections[item % 10]].contains(&item);
            let cancelled = plan.cancelled && item % 10 == 0;
            assert_eq!(came, outcome == Outcome::Ready, "thread {number}, item {item}: {outcome:?}");
            match outcome {
                Outcome::Ready => {}
                Outcome::Cancelled => assert!(cancelled),
                Outcome::Dead => assert!(panics),
                Outcome::TimedOut => assert!(plan.deadline),
            }
        }
    }
}

/// A test of these threads, and one for each fault that must show in them.
macro_rules! threads {
    ($name:ident: [$($plan:expr),+ $(,)?] $(, finds $fault_name:ident: $fault:ident)*) => {
        mod $name {
            use super::*;

            fn model(fault: Fault) {
                explore(move || run(&[$($plan),+], fault));
            }

            #[test]
            fn holds() {
                model(Fault::None);
            }

            $(
                #[test]
                #[should_panic(expected = "deadlock")]
                fn $fault_name() {
                    model(Fault::$fault);
                }
            )*
        }
    };
}

threads!(one_alone: [on(&[0])]);

threads!(two_on_one: [on(&[0]), on(&[0])],
    finds leaving_silently: LeavesSilently,
    finds registering_late: RegistersLate,
    finds a_reader_that_only_reads: ReaderOnlyReads,
    finds unsent_bytes_nobody_knows_of: UnsentIsSilent,
    finds a_handle_that_is_not_polled: WakeHandleIsNotPolled,
    finds wakes_that_do_not_stick: WakesAreNotSticky);

threads!(three_on_one: [on(&[0]), on(&[0]), on(&[0])]);

threads!(four_on_one: [on(&[0]), on(&[0]), on(&[0]), on(&[0])]);

threads!(a_deadline_among_three: [on(&[0]), on(&[0]).with_deadline(), on(&[0])],
    finds followers_that_just_go: FollowersJustGo,
    finds leaving_silently: LeavesSilently);

threads!(deadlines_for_all_but_one: [on(&[0]).with_deadline(), on(&[0]).with_deadline(), on(&[0])]);

threads!(a_cancel_from_another_thread: [on(&[0]).cancelled(), on(&[0])],
    finds leaving_silently: LeavesSilently,
    finds wakes_that_do_not_stick: WakesAreNotSticky);

threads!(a_cancel_and_a_deadline: [on(&[0]).cancelled(), on(&[0]).with_deadline(), on(&[0])],
    finds followers_that_just_go: FollowersJustGo);

threads!(a_reader_that_panics: [on(&[0]).that_panics_in(0), on(&[0]), on(&[0])],
    finds a_silent_death: DeathIsSilent);

threads!(a_reader_that_panics_later: [on(&[0]).that_panics_in(1), on(&[0]).with_deadline(), on(&[0])]);

threads!(many_items_of_one_thread: [on(&[0, 0, 0]), on(&[0])],
    finds a_reader_that_only_reads: ReaderOnlyReads);

threads!(one_thread_on_two_connections: [on(&[0, 1]), on(&[0]), on(&[1])],
    finds leaving_silently: LeavesSilently);

threads!(two_threads_on_two_connections_in_either_order: [on(&[0, 1]), on(&[1, 0])],
    finds leaving_silently: LeavesSilently,
    finds unsent_bytes_nobody_knows_of: UnsentIsSilent);

threads!(two_connections_with_everything:
    [on(&[0, 1]).with_deadline(), on(&[1, 0]).cancelled(), on(&[0]), on(&[1]).that_panics_in(1)]);

#[test]
fn no_wake_of_a_parked_thread_is_lost() {
    explore(|| wakes(2, false, Fault::None));
}

#[test]
fn no_wake_of_a_polling_thread_is_lost() {
    explore(|| wakes(2, true, Fault::None));
}

#[test]
fn a_thread_may_sleep_in_both_ways() {
    explore(|| mixed_sleeps(Fault::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_parked_thread_shows_wakes_that_do_not_stick() {
    explore(|| wakes(2, false, Fault::WakesAreNotSticky));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_polling_thread_shows_wakes_that_do_not_stick() {
    explore(|| wakes(2, true, Fault::WakesAreNotSticky));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_polling_thread_shows_a_handle_that_is_not_polled() {
    explore(|| wakes(2, true, Fault::WakeHandleIsNotPolled));
}

/// An owner that comes and goes, and two threads in line, each of which moves the request at most so often.
fn lends(times: usize, last: Last, most: usize, fault: Fault) {
    let kernel = Arc::new(Kernel::new(1, 3));
    let request = Arc::new(Borrowed::new(fault));
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let (waiter, request) = (Waiter::new(&kernel, number, fault), request.clone());
            thread::spawn(move || match number {
                0 => request.own(&waiter, times, last),
                _ => request.wait_behind(&waiter, most),
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_request_is_lent_and_comes_back() {
    use Last::{Answered, Leaves, Stays};
    for (times, last, most) in
        [(1, Answered, 1), (2, Answered, 2), (3, Answered, 1), (1, Leaves, 2), (2, Leaves, 3), (2, Stays, 2)]
    {
        explore(move || lends(times, last, most, Fault::None));
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_owner_that_is_not_told_waits_for_ever() {
    explore(|| lends(2, Last::Answered, 2, Fault::GivesBackSilently));
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_is_in_line_and_not_told_waits_for_ever() {
    explore(|| lends(2, Last::Stays, 2, Fault::RestsSilently));
}

/// Frames of the peer, while two threads send and one receives; then a Close of one who sent. Returns what the peer heard.
fn converse(kernel: &Arc<Kernel>, waiters: [Waiter; 3], closes_early: bool, fault: Fault) -> Vec<(u8, u8)> {
    let socket = Arc::new(Socket::new(kernel, fault));
    let talker = {
        let kernel = kernel.clone();
        thread::spawn(move || {
            for (kind, number) in [(PING, 1), (MESSAGE, 1), (PING, 2), (MESSAGE, 2)] {
                messages::say(&kernel, kind, number);
            }
        })
    };
    let listener = {
        let kernel = kernel.clone();
        thread::spawn(move || {
            let mut heard = vec![messages::hear(&kernel)];
            while heard.last().is_some_and(|(kind, _)| *kind != CLOSE) {
                heard.push(messages::hear(&kernel));
            }
            talker.join().unwrap();
            messages::say(&kernel, CLOSE, 0);
            heard
        })
    };
    let [receives, sends, closes] = waiters;
    let (told, all) = mpsc::channel();
    let receiver = {
        let socket = socket.clone();
        thread::spawn(move || {
            let mut received = Vec::new();
            while let Some(number) = socket.receive(&receives) {
                received.push(number);
                if received.len() == 2 {
                    told.send(()).unwrap();
                }
            }
            received
        })
    };
    let sender = {
        let socket = socket.clone();
        thread::spawn(move || [3, 4].map(|number| socket.send(number, &sends)))
    };
    socket.try_send(5, &closes);
    if closes_early {
        socket.close(&closes);
    }
    let sent = sender.join().unwrap();
    if !closes_early {
        all.recv().unwrap();
        assert_eq!(sent, [Sent::Gone; 2]);
        socket.close(&closes);
    }
    let (received, heard) = (receiver.join().unwrap(), listener.join().unwrap());
    assert!([1, 2].starts_with(&received) && (closes_early || received.len() == 2), "{received:?}");
    for (sent, number) in sent.into_iter().zip([3, 4]) {
        assert!(sent == Sent::Lost || heard.contains(&(MESSAGE, number)), "{number}: {sent:?} of {heard:?}");
    }
    heard
}

fn conversation(closes_early: bool, fault: Fault) {
    let kernel = Arc::new(Kernel::for_all(1, 3));
    let waiters = [0, 1, 2].map(|number| Waiter::new(&kernel, number, fault));
    let heard = converse(&kernel, waiters, closes_early, fault);
    let of = |wanted: u8| heard.iter().filter(|(kind, _)| *kind == wanted).map(|(_, number)| *number).collect();
    let (pongs, messages): (Vec<_>, Vec<_>) = (of(PONG), of(MESSAGE));
    assert!([1, 2].starts_with(&pongs) && (closes_early || pongs.len() == 2), "answers {pongs:?}");
    let in_order = messages.iter().filter(|number| **number != 5).is_sorted();
    assert!(in_order && (closes_early || messages.len() == 3), "messages {messages:?}");
    assert_eq!(heard.last(), Some(&(CLOSE, 0)));
}

/// A peer that leaves after the first frame it hears, while two threads send and one receives.
fn a_peer_that_leaves(fault: Fault) {
    let kernel = Arc::new(Kernel::for_all(1, 3));
    let socket = Arc::new(Socket::new(&kernel, fault));
    let peer = {
        let kernel = kernel.clone();
        thread::spawn(move || {
            messages::hear(&kernel);
            kernel.leave(0);
        })
    };
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let (socket, waiter) = (socket.clone(), Waiter::new(&kernel, number, fault));
            thread::spawn(move || match number {
                0 => assert_eq!(socket.receive(&waiter), None),
                _ => _ = [0, 1].map(|n| socket.send(2 * number as u8 + n, &waiter)),
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    peer.join().unwrap();
}

/// A message that its sender does not wait for, a peer that says nothing before it has it, and somebody who receives.
fn left_to_the_receiver(fault: Fault) {
    let kernel = Arc::new(Kernel::for_all(1, 2));
    let socket = Arc::new(Socket::new(&kernel, fault));
    let peer = {
        let kernel = kernel.clone();
        thread::spawn(move || {
            assert_eq!(messages::hear(&kernel), (MESSAGE, 5));
            messages::say(&kernel, CLOSE, 0);
        })
    };
    let receiver = {
        let (socket, waiter) = (socket.clone(), Waiter::new(&kernel, 0, fault));
        thread::spawn(move || assert_eq!(socket.receive(&waiter), None))
    };
    socket.try_send(5, &Waiter::new(&kernel, 1, fault));
    receiver.join().unwrap();
    peer.join().unwrap();
}

#[test]
fn who_receives_sends_what_nobody_waits_for() {
    explore(|| left_to_the_receiver(Fault::None));
}

#[test]
fn who_receives_answers_while_others_send() {
    explore(|| conversation(false, Fault::None));
}

#[test]
fn a_close_ends_a_conversation_at_any_moment() {
    explore(|| conversation(true, Fault::None));
}

#[test]
fn a_peer_that_leaves_holds_nobody() {
    explore(|| a_peer_that_leaves(Fault::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn what_is_left_unsent_and_nobody_knows_of_stays() {
    explore(|| left_to_the_receiver(Fault::HandsNothingOver));
}

#[test]
#[should_panic(expected = "deadlock")]
fn what_is_left_while_a_receiver_looks_elsewhere_stays() {
    explore(|| left_to_the_receiver(Fault::LooksOnce));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_whose_waker_comes_late_is_not_found() {
    explore(|| left_to_the_receiver(Fault::LeavesItsWakerLate));
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_waits_for_a_silent_writer_waits_for_ever() {
    explore(|| conversation(false, Fault::WritesSilently));
}

#[test]
#[should_panic(expected = "a frame within a frame")]
fn two_who_write_at_a_time_mix_their_frames() {
    explore(|| conversation(false, Fault::WritesWithoutTheRole));
}

#[test]
#[should_panic(expected = "is said to have gone")]
fn what_is_lost_and_forgotten_is_said_to_have_gone() {
    explore(|| a_peer_that_leaves(Fault::ForgetsWhatIsLost));
}
