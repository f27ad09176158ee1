//! What happens on an idle HTTP/1 connection over TLS, and whether it is used again.
#![cfg(feature = "tls")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use bowline::{Tls, http::Version};
use rustls::{ServerConnection, StreamOwned};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};
use support::builder;

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Reads a request head and answers it.
fn serve(stream: &mut Stream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1..) => head.push(byte[0]),
            _ => return false,
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    stream.flush().unwrap();
    true
}

/// Sends what the session itself has to say.
fn flush(stream: &mut Stream) {
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut stream.sock).unwrap();
    }
}

type Happens = fn(&mut Stream);

#[test]
fn what_happens_on_an_idle_connection() {
    let cases: [(&str, bool, Happens); 7] = [
        ("nothing", true, |_| {}),
        // A message of TLS between its records, as tickets are: nothing that HTTP would see.
        ("a key update", true, |stream| {
            stream.conn.refresh_traffic_keys().unwrap();
            flush(stream);
        }),
        ("two of them", true, |stream| {
            for _ in 0..2 {
                stream.conn.refresh_traffic_keys().unwrap();
                flush(stream);
            }
        }),
        ("one byte", false, |stream| {
            stream.write_all(b"x").unwrap();
            stream.flush().unwrap();
        }),
        ("close_notify", false, |stream| {
            stream.conn.send_close_notify();
            flush(stream);
        }),
        ("an end without it", false, |stream| stream.sock.shutdown(Shutdown::Write).unwrap()),
        ("what is no record", false, |stream| {
            stream.sock.write_all(b"\x17\x03\x03\x00\x20not what was sealed with this key").unwrap()
        }),
    ];
    let authority = tls::certs::Authority::new("test");
    let config = tls::config(&authority.issue(&["127.0.0.1"]), &[b"http/1.1"]);
    for (case, kept, happens) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let (go, wait) = mpsc::channel::<()>();
        let (done, happened) = mpsc::channel();
        let config = config.clone();
        let server = thread::spawn(move || {
            for n in 0.. {
                let Ok((socket, _)) = listener.accept() else { return };
                // Else what happens may wait for the acknowledgement of the answer.
                socket.set_nodelay(true).unwrap();
                // The last connection is that of the test itself, which says nothing.
                let mut stream = tls::accept(socket, &config);
                if !serve(&mut stream) {
                    return;
                }
                if n == 0 {
                    wait.recv().unwrap();
                    happens(&mut stream);
                    done.send(()).unwrap();
                }
                while serve(&mut stream) {}
            }
        });
        let trust = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
        let client = builder().tls(trust).build().unwrap();
        // POST: a repetition would hide that a connection was not to be used.
        let first = client.post(&url).send().unwrap();
        assert_eq!(first.version(), Version::HTTP_11);
        assert_eq!(first.text().unwrap(), "hi");
        go.send(()).unwrap();
        happened.recv_timeout(Duration::from_secs(20)).unwrap();
        let second = client.post(&url).send().unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(second.reused(), kept, "{case}");
        assert_eq!(second.text().unwrap(), "hi", "{case}");
        assert_eq!(client.stats().retries, 0, "{case}");
        drop(client);
        TcpStream::connect(url.trim_start_matches("https://").trim_end_matches('/')).unwrap();
        server.join().unwrap();
    }
}
