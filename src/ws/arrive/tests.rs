use super::{
    super::stage::{Outgoing, Sender},
    *,
};
use crate::{
    drive::{Limits, raw},
    net::{PairEnd, Waker, Wants, Wire, pair},
    proto::{Role as Side, ws::Agreed},
    ws::{Config, MessageRef, Sent},
};
use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A wire on which another thread does something whenever it is read, or written.
struct Busy {
    wire: PairEnd,
    then: Box<dyn Fn(Interest) + Send + Sync>,
}

impl Wire for Busy {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.wire.try_read(buf);
        (self.then)(Interest::Read);
        read
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.wire.try_write(bytes);
        (self.then)(Interest::Write);
        written
    }

    fn watch(&self, interest: Interest, waker: &Waker) {
        self.wire.watch(interest, waker);
    }

    fn finish(&self) -> io::Result<()> {
        self.wire.finish()
    }

    fn shutdown(&self) {
        self.wire.shutdown();
    }
}

#[test]
fn what_is_accepted_while_a_receiver_looks_goes_out_before_it_sleeps() {
    let (near, far) = pair(1000);
    let sender = Arc::new(OnceLock::<Arc<Socket>>::new());
    let other = sender.clone();
    let then = move |interest| {
        let other = other.get().filter(|_| interest == Interest::Read);
        if let Some(socket) = other.filter(|socket| socket.lock().stats.messages_out == 0) {
            assert!(socket.buffer_short(MessageRef::Binary(b"meanwhile")));
        }
    };
    let stream = raw(Arc::new(Busy { wire: near, then: Box::new(then) }), Instant::now());
    let socket = Arc::new(Socket::new(Side::Client, &Config::default(), &Agreed::default(), stream));
    sender.set(socket.clone()).unwrap();

    let waker = Waker::hooked(|| ());
    let mut wants = Wants::default();
    let mut cx = Cx::new(Instant::now(), &waker, &mut wants);
    assert!(socket.poll_arrived(Want::Message, &mut Look::Now, &mut cx).is_pending());
    assert_eq!(far.try_read(&mut [0; 100]).unwrap(), 6 + 9);
}

/// Who is writing takes along what others accept meanwhile, where nobody receives who would.
#[test]
fn what_is_accepted_while_a_sender_writes_goes_out_before_it_returns() {
    let (near, far) = pair(1000);
    let sender = Arc::new(OnceLock::<Arc<Socket>>::new());
    let other = sender.clone();
    let message = || Outgoing::Whole(MessageRef::Binary(b"message"));
    let then = move |interest| {
        let other = other.get().filter(|_| interest == Interest::Write);
        if let Some(socket) = other.filter(|socket| socket.lock().stats.messages_out < 4) {
            assert_eq!(socket.try_send(message(), Sender::Anybody).unwrap(), Sent::Accepted);
        }
    };
    let stream = raw(Arc::new(Busy { wire: near, then: Box::new(then) }), Instant::now());
    let socket = Arc::new(Socket::new(Side::Client, &Config::default(), &Agreed::default(), stream));
    sender.set(socket.clone()).unwrap();
    assert_eq!(socket.send(message(), Sender::Anybody, Duration::MAX, &Limits::default()).unwrap(), Sent::Accepted);
    assert_eq!(far.try_read(&mut [0; 100]).unwrap(), 4 * (6 + 7));
}

#[test]
fn what_is_left_unsent_while_a_receiver_goes_to_sleep_is_its_affair() {
    let (near, far) = pair(40);
    let stream = raw(Arc::new(near), Instant::now());
    let socket = Arc::new(Socket::new(Side::Client, &Config::default(), &Agreed::default(), stream));
    // Another thread sends when the receiver has found the wire worth waiting for, and does not wait until all of it has gone.
    let (sender, sent) = (socket.clone(), Arc::new(Mutex::new(None)));
    let result = sent.clone();
    let other = Waker::hooked(move || {
        let what = Outgoing::Whole(MessageRef::Binary(&[7; 60]));
        *result.lock().unwrap() = Some(sender.try_send(what, Sender::Anybody).unwrap());
    });
    socket.lock().readers.leave(&other);
    drop(other);

    let woken = Arc::new(AtomicUsize::new(0));
    let wakes = woken.clone();
    let own = Waker::hooked(move || {
        wakes.fetch_add(1, Ordering::SeqCst);
    });
    let poll = || {
        let mut wants = Wants::default();
        let mut cx = Cx::new(Instant::now(), &own, &mut wants);
        assert!(socket.poll_arrived(Want::Message, &mut Look::Later, &mut cx).is_pending());
        wants
    };
    // It waits for bytes alone, so it has to be told.
    let wants = poll();
    assert!(wants.shared.is_empty() && wants.wires.iter().all(|(_, interest)| *interest == Interest::Read));
    assert_eq!(*sent.lock().unwrap(), Some(Sent::Accepted));
    assert!(woken.load(Ordering::SeqCst) > 0, "nobody sees to the rest of the message");

    let mut buf = [0; 100];
    assert_eq!(far.try_read(&mut buf).unwrap(), 40);
    poll();
    assert_eq!(far.try_read(&mut buf).unwrap(), 26);
}
