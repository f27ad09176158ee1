//! A relay: CONNECT for anything, and a WebSocket gateway, over raw bytes and over messages.
use super::world;
use bowline::{
    Client, Error, Exchange, Proxy, Result, Server,
    http::{HeaderMap, Method, StatusCode},
    net::Tcp,
    ws::{CloseCode, Message, WsReceiver, WsSender},
};
use std::{net::TcpStream, thread, time::Duration};

fn handle(client: &Client, exchange: Exchange) -> Result<()> {
    if exchange.method() == Method::CONNECT {
        let target = exchange.uri().authority().map(|a| a.to_string()).unwrap_or_default();
        return match TcpStream::connect(&target) {
            Ok(upstream) => {
                let tunnel = exchange.upgrade(HeaderMap::new())?;
                let (up, down) = tunnel.relay(Tcp::new(upstream)?, Duration::from_secs(300))?;
                eprintln!("{target}: {up} up, {down} down");
                Ok(())
            }
            Err(e) => exchange.reply(502, e.to_string()),
        };
    }
    if !exchange.is_websocket() {
        return exchange.reply(426, "a WebSocket, please");
    }
    let upstream = match client.websocket(format!("wss://inside.test{}", exchange.path())).connect() {
        Ok(upstream) => upstream,
        Err(e) => return exchange.reply(e.response().map_or(StatusCode::BAD_GATEWAY, |r| r.status()), e.to_string()),
    };
    let (to_client, from_client) = exchange.websocket(&[])?.split();
    let (to_upstream, from_upstream) = upstream.split();
    let back = thread::spawn(move || forward(from_upstream, to_client));
    forward(from_client, to_upstream)?;
    back.join().map_err(|_| Error::other("the other direction panicked"))?
}

fn forward(mut from: WsReceiver, to: WsSender) -> Result<()> {
    while let Some(message) = from.recv()? {
        to.send(&message)?;
    }
    let code = from.closed().and_then(|c| CloseCode::new(c.code?).ok()).unwrap_or(CloseCode::NORMAL);
    to.close(code, "")
}

fn relay() -> Result<bowline::ServerHandle> {
    let client = world::client();
    Server::bind("127.0.0.1:0")?.spawn(move |exchange: Exchange| handle(&client, exchange))
}

#[test]
fn a_tunnel_for_anything() -> Result<()> {
    let relay = relay()?;
    let plain = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
        if exchange.is_websocket() {
            let mut socket = exchange.websocket(&[])?;
            while let Some(message) = socket.recv()? {
                socket.send(&message)?;
            }
            return Ok(());
        }
        exchange.reply(200, "behind the relay")
    })?;
    let client = Client::builder().proxy(Some(Proxy::new(relay.url("/"))?)).build()?;

    // A WebSocket goes through a proxy by CONNECT, whether it is secure or not.
    let mut socket = client.websocket(plain.ws_url("/")).connect()?;
    let large = vec![5u8; 1 << 20];
    socket.send(&large)?;
    assert_eq!(socket.recv()?, Some(Message::Binary(large)));
    socket.close(CloseCode::NORMAL, "")?;

    // Nobody listens there any more.
    let gone = plain.ws_url("/");
    plain.shutdown(Duration::from_secs(5));
    let e = client.websocket(gone).connect().expect_err("nobody answers");
    assert!(e.to_string().contains("502"), "{e}");
    Ok(())
}

#[test]
fn a_gateway_of_messages() -> Result<()> {
    let relay = relay()?;
    let client = Client::builder().proxy(None).build()?;

    // The client closes.
    let mut socket = client.websocket(relay.ws_url("/echo")).connect()?;
    for text in ["hello", "", "ümläut"] {
        socket.send(text)?;
        assert_eq!(socket.recv()?, Some(Message::Text(text.into())));
    }
    socket.send(&vec![1u8; 300_000])?;
    assert_eq!(socket.recv()?, Some(Message::Binary(vec![1; 300_000])));
    socket.close(CloseCode::new(4001)?, "")?;

    // The server behind it closes.
    let mut socket = client.websocket(relay.ws_url("/bye")).connect()?;
    assert_eq!(socket.recv()?, Some(Message::Text("bye".into())));
    assert_eq!(socket.recv()?, None);
    assert_eq!(socket.closed().and_then(|closed| closed.code), Some(4002));

    // It refuses, and what is asked is no WebSocket.
    let e = client.websocket(relay.ws_url("/forbidden")).connect().expect_err("it is forbidden");
    assert_eq!(e.response().map(|response| response.status()), Some(StatusCode::FORBIDDEN));
    assert_eq!(client.get(relay.url("/echo")).send()?.status(), 426);
    Ok(())
}
