//! Time limits where code of the program's own resolves or connects: it is told of them, and what it brings too late is not used.

mod support;

use bowline::{
    Deadline, Error, ErrorKind, Phase, Processed, Timeouts,
    net::{Connect, Resolve, Target, Tcp, Wire},
};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};
use support::{builder, ms, pass, peer, timed};

/// Checks that it is the error of a limit: its phase, and the time it says it took.
#[track_caller]
fn expect(error: &Error, phase: Phase, took: Duration) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, phase), "{error:?}");
    assert!(error.is_timeout() && error.elapsed() >= took, "{error:?}");
}

/// Finds this address, after so long.
struct Slow(SocketAddr, Duration, mpsc::Sender<Option<Duration>>);

impl Resolve for Slow {
    fn resolve(&self, _host: &str, _port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        self.2.send(deadline.left(Instant::now())).unwrap();
        pass(self.1);
        Ok(vec![self.0])
    }
}

#[test]
fn a_resolver_of_the_program_is_told_and_not_interrupted() {
    let peer = peer(|_, mut conn| conn.serve());
    let (told, limit) = mpsc::channel();
    let resolver = Slow(peer.addr(), ms(300), told);
    let client = builder().resolver(resolver).build().unwrap();
    // What it finds too late is not used.
    for timeouts in
        [Timeouts::none().resolve(ms(100)), Timeouts::none().connect(ms(100)), Timeouts::none().total(ms(100))]
    {
        let request = client.get("http://name.test/").timeouts(timeouts);
        let error = timed(ms(300), || request.send().unwrap_err());
        expect(&error, Phase::Resolve, ms(300));
        assert_eq!((error.processed(), error.is_retryable()), (Processed::No, true));
        let left = limit.recv().unwrap().unwrap();
        assert!(left <= ms(100) && left > Duration::ZERO, "{left:?}");
    }
    assert_eq!(peer.connections(), 0);
    let request = client.get("http://name.test/").timeouts(Timeouts::none().resolve(ms(1000)));
    timed(ms(300), || request.send().unwrap());
}

#[test]
fn a_connector_of_the_program_is_told_and_not_interrupted() {
    struct Late(SocketAddr, mpsc::Sender<Option<Duration>>);
    impl Connect for Late {
        fn connect(&self, _: &Target, deadline: Deadline) -> bowline::Result<Box<dyn Wire>> {
            self.1.send(deadline.left(Instant::now())).unwrap();
            pass(ms(300));
            Ok(Box::new(Tcp::new(TcpStream::connect(self.0)?)?))
        }
    }
    let peer = peer(|_, mut conn| assert!(conn.rest().is_empty()));
    let (told, limit) = mpsc::channel();
    let client = builder().connector(Late(peer.addr(), told)).build().unwrap();
    for timeouts in [Timeouts::none().connect(ms(100)), Timeouts::none().total(ms(100))] {
        let request = client.get("http://name.test/").timeouts(timeouts);
        let error = timed(ms(300), || request.send().unwrap_err());
        expect(&error, Phase::Connect, ms(300));
        assert_eq!((error.processed(), error.bytes_written()), (Processed::No, 0));
        assert!(limit.recv().unwrap().unwrap() <= ms(100));
    }
}

#[test]
fn a_resolver_that_gives_up_in_time() {
    struct GivesUp;
    impl Resolve for GivesUp {
        fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    let client = builder().resolver(GivesUp).build().unwrap();
    expect(&client.get("http://name.test/").send().unwrap_err(), Phase::Resolve, Duration::ZERO);
}
