//! Started requests that stand in line while another thread makes the connection go out as soon as it is there.

use super::*;
use bowline::{
    ClientBuilder, Deadline,
    net::{Connect, Target, Tcp, Wire},
};
use std::{
    net::TcpStream,
    sync::mpsc::{self, Receiver, Sender},
};

/// Connects when it is told to, and says that it was asked to.
struct Gated {
    asked: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Connect for Gated {
    fn connect(&self, target: &Target, _: Deadline) -> Result<Box<dyn Wire>> {
        self.asked.send(()).unwrap();
        self.go.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        let socket = TcpStream::connect((&*target.host, target.port)).map_err(bowline::Error::other)?;
        Ok(Box::new(Tcp::new(socket)?))
    }
}

fn gated(builder: ClientBuilder) -> (Client, Receiver<()>, Sender<()>) {
    let ((asked, asks), (go, goes)) = (mpsc::channel(), mpsc::channel());
    (builder.connector(Gated { asked, go: Mutex::new(goes) }).build().unwrap(), asks, go)
}

#[test]
fn they_go_out_as_soon_as_it_is_made() {
    for builder in [builder(), builder().max_connections_per_origin(1), builder().max_connections_per_origin(2)] {
        let (peer, case) = (Peer::new(), format!("{builder:?}"));
        let (client, asks, go) = gated(builder);
        let first = get(&client, &peer);
        asks.recv_timeout(PATIENCE).unwrap();
        // Two threads, and none of them waits.
        let (started, url) = (client.clone(), peer.url("/"));
        let others = task(move || [started.get(&url).start(), started.get(&url).body("1").start()]).join();
        let own = [start(&client, &peer), start(&client, &peer)];
        go.send(()).unwrap();
        let mut link = peer.h2();
        let streams: Vec<_> = link.requests(5).into_iter().collect();
        let bodies: Vec<_> = streams.iter().map(|(_, body)| body.len()).collect();
        // In the order in which they began, behind the one for which the connection was made.
        assert_eq!(bodies, [0, 0, 1, 0, 0], "{case}");
        for (stream, _) in streams {
            link.answer(stream, 204, b"");
        }
        first.join().unwrap();
        for pending in others.into_iter().chain(own) {
            assert!(task(move || pending.wait()).join().unwrap().reused(), "{case}");
        }
        peer.assert_no_more();
    }
}

#[test]
fn they_go_out_although_the_one_it_was_made_for_does_not() {
    let peer = Peer::new();
    let (client, asks, go) = gated(builder());
    let cancel = Cancel::new();
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let first = task(|| request.send());
    asks.recv_timeout(PATIENCE).unwrap();
    let other = start(&client, &peer);
    cancel.cancel();
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap_err().kind(), ErrorKind::Cancelled);
    // Either on that connection, or on one that is made for it.
    let _ = go.send(());
    let mut link = peer.h2();
    let streams = link.requests(1);
    link.answer(*streams.keys().next_back().unwrap(), 204, b"");
    task(move || other.wait()).join().unwrap();
}
