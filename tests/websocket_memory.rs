//! A message that is lent costs no allocation, and neither does one that is sent.

use bowline::{
    Recv,
    net::Tcp,
    ws::{Config, MessageRef, Role, WebSocket},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::{TcpListener, TcpStream},
    time::Duration,
};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: it passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn lending_and_sending_allocate_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = Tcp::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let far = Tcp::new(listener.accept().unwrap().0).unwrap();
    let second = Duration::from_secs(1);
    let mut client = WebSocket::over(near, Role::Client, Config::default()).unwrap();
    let mut server = WebSocket::over(far, Role::Server, Config::default()).unwrap();
    let bytes = vec![7u8; 500];
    let mut counts = Vec::new();
    for _ in 0..50 {
        let before = COUNT.get();
        for _ in 0..10 {
            client.send("a short text").unwrap();
            client.send(&bytes).unwrap();
        }
        for _ in 0..10 {
            assert_eq!(server.recv_ref(second).unwrap(), Recv::Item(MessageRef::Text("a short text")));
            assert_eq!(server.recv_ref(second).unwrap(), Recv::Item(MessageRef::Binary(&bytes)));
        }
        assert_eq!(server.recv_ref(Duration::ZERO).unwrap(), Recv::TimedOut);
        counts.push(COUNT.get() - before);
    }
    assert_eq!(counts[40..].iter().sum::<u64>(), 0, "{counts:?}");
}
