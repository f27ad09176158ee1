use super::*;
use crate::net::Waiter;
use crate::time::Deadline;
use std::io::ErrorKind::{BrokenPipe, WouldBlock};
use std::thread;
use std::time::{Duration, Instant};

/// A bound on waits that must end for another reason.
const LONG: Duration = Duration::from_secs(30);

fn wait(waiter: &mut Waiter, end: &PairEnd, interest: Interest) {
    let deadline = Deadline::after(LONG);
    waiter.wait(&[(end, interest)], deadline, &mut Vec::new());
    assert!(!deadline.has_passed(Instant::now()), "nothing ended the wait for {interest:?}");
}

/// Returns whether the wait would end at once.
fn ends_at_once(end: &PairEnd, interest: Interest) -> bool {
    let (mut waiter, mut ready) = (Waiter::new(), Vec::new());
    waiter.wait(&[(end, interest)], Deadline::at(Instant::now()), &mut ready);
    ready[0].read || ready[0].write
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

fn write_all(end: &PairEnd, bytes: &[u8]) {
    let (mut waiter, mut sent) = (Waiter::new(), 0);
    while sent < bytes.len() {
        match end.try_write(&bytes[sent..]) {
            Ok(n) => sent += n,
            Err(error) => {
                assert_eq!(error.kind(), WouldBlock);
                wait(&mut waiter, end, Interest::Write);
            }
        }
    }
}

fn read_all(end: &PairEnd) -> Vec<u8> {
    let (mut waiter, mut all, mut buf) = (Waiter::new(), Vec::new(), [0; 64]);
    loop {
        match end.try_read(&mut buf) {
            Ok(0) => return all,
            Ok(n) => all.extend(&buf[..n]),
            Err(error) => {
                assert_eq!(error.kind(), WouldBlock);
                wait(&mut waiter, end, Interest::Read);
            }
        }
    }
}

#[test]
fn every_capacity_and_every_piece_give_the_same_bytes() {
    let sent: Vec<u8> = (0..500usize).map(|n| (n * 7 % 251) as u8).collect();
    for capacity in [0, 1, 2, 3, 7, 64, 500, 1000] {
        for piece in [0, 1, 2, 3, 5, 63, 64, 65, 500] {
            let (near, far) = pair(capacity);
            let near = near.max_piece(piece);
            thread::scope(|scope| {
                // Both directions at once.
                let reader = scope.spawn(|| read_all(&far));
                let back = scope.spawn(|| read_all(&near));
                scope.spawn(|| {
                    write_all(&far, &sent);
                    far.finish().unwrap();
                });
                write_all(&near, &sent);
                near.finish().unwrap();
                assert!(reader.join().unwrap() == sent, "capacity {capacity}, piece {piece}");
                assert!(back.join().unwrap() == sent, "capacity {capacity}, piece {piece}, back");
            });
        }
    }
}

#[test]
fn capacity_is_a_bound() {
    for capacity in [1, 2, 10] {
        let (near, far) = pair(capacity);
        assert_eq!(near.try_write(&vec![1; capacity + 1]).unwrap(), capacity);
        assert_eq!(kind(near.try_write(&[1])), WouldBlock);
        assert!(!ends_at_once(&near, Interest::Write) && ends_at_once(&far, Interest::Both));
        assert_eq!(far.try_read(&mut [0]).unwrap(), 1);
        assert!(ends_at_once(&near, Interest::Write));
        assert_eq!(near.try_write(&[1, 1]).unwrap(), 1);
    }
}

#[test]
fn a_piece_bounds_reads_and_writes() {
    let (near, far) = pair(100);
    let near = near.max_piece(3);
    assert_eq!(near.try_write(&[1; 10]).unwrap(), 3);
    assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 3);
    assert_eq!(far.try_write(&[1; 10]).unwrap(), 10);
    let read: Vec<usize> = (0..4).map(|_| near.try_read(&mut [0; 10]).unwrap()).collect();
    assert_eq!(read, [3, 3, 3, 1]);
    assert_eq!(kind(near.try_read(&mut [0; 10])), WouldBlock);
}

#[test]
fn finishing_ends_one_direction() {
    let (near, far) = pair(10);
    near.try_write(b"last").unwrap();
    near.finish().unwrap();
    near.finish().unwrap();
    assert_eq!(kind(near.try_write(b"x")), BrokenPipe);
    assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 4);
    assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 0);
    assert!(ends_at_once(&far, Interest::Read), "an end stays readable");
    assert_eq!(far.try_write(b"answer").unwrap(), 6);
    assert_eq!(near.try_read(&mut [0; 10]).unwrap(), 6);
}

#[test]
fn dropping_or_shutting_down_one_end_ends_the_other() {
    for dropped in [false, true] {
        let (near, far) = pair(10);
        near.try_write(b"last").unwrap();
        far.try_write(b"unread").unwrap();
        let kept = if dropped {
            drop(near);
            None
        } else {
            near.shutdown();
            Some(near)
        };
        assert_eq!(kind(far.try_write(b"x")), BrokenPipe, "dropped {dropped}");
        assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 4);
        assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 0);
        assert!(ends_at_once(&far, Interest::Read) && ends_at_once(&far, Interest::Write));
        if let Some(near) = kept {
            assert_eq!(near.try_read(&mut [0; 10]).unwrap(), 6, "what had arrived");
            assert_eq!(near.try_read(&mut [0; 10]).unwrap(), 0);
            assert_eq!(kind(near.try_write(b"x")), BrokenPipe);
        }
    }
}

#[test]
fn an_end_ends_the_waits_of_both_sides() {
    for interest in [Interest::Read, Interest::Write, Interest::Both] {
        for own in [false, true] {
            let (near, far) = pair(1);
            for end in [&near, &far] {
                end.try_write(b"x").unwrap();
            }
            if interest == Interest::Read {
                for end in [&near, &far] {
                    end.try_read(&mut [0; 1]).unwrap();
                }
            }
            if interest == Interest::Both {
                near.try_read(&mut [0; 1]).unwrap();
            }
            assert!(!ends_at_once(&near, interest));
            thread::scope(|scope| {
                scope.spawn(|| wait(&mut Waiter::new(), &near, interest));
                if own { near.shutdown() } else { far.shutdown() }
            });
        }
    }
}

#[test]
fn a_waker_is_kept_once() {
    let (near, far) = pair(1);
    let waiter = Waiter::new();
    for _ in 0..100 {
        near.watch(Interest::Read, waiter.waker());
    }
    assert_eq!(near.lanes()[near.inbound()].readers.len(), 1);
    far.try_write(b"x").unwrap();
    assert_eq!(near.lanes()[near.inbound()].readers.len(), 0);
}
