//! Over TLS: ALPN decides between a stream and a connection of its own.

use bowline::{
    Client, Exchange, Protocol, Recv, Server, Tls,
    ws::{CloseCode, Message},
};
use std::time::Duration;

#[path = "../../src/net/tls/certs.rs"]
mod certs;

use certs::Authority;

#[test]
fn over_tls_by_either_version() {
    let authority = Authority::new("websocket test");
    let identity = authority.issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .tls_pem(identity.chain.as_bytes(), identity.key.as_bytes())
        .spawn(|exchange: Exchange| {
            let mut socket = exchange.websocket(&[])?;
            // All in one record, or nearly.
            for n in 0..300 {
                socket.send(&format!("{n}"))?;
            }
            while let Some(message) = socket.recv()? {
                socket.send(&message)?;
            }
            Ok(())
        })
        .unwrap();
    let tls = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    let client = Client::builder().proxy(None).tls(tls).build().unwrap();
    for (protocol, has_fd) in [(Protocol::Auto, false), (Protocol::Http1, true), (Protocol::Http2, false)] {
        let mut socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        assert_eq!(socket.fd().is_some(), has_fd, "{protocol:?}");
        for n in 0..300 {
            assert_eq!(socket.recv().unwrap(), Some(Message::Text(format!("{n}"))));
        }
        assert_eq!(socket.recv_timeout(Duration::from_millis(20)).unwrap(), Recv::TimedOut);
        let large = vec![3u8; 2 << 20];
        socket.send(&large).unwrap();
        assert!(socket.recv().unwrap().unwrap().as_bytes() == large);
        socket.close(CloseCode::NORMAL, "").unwrap();
    }
}
