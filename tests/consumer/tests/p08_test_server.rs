//! A server inside a test: HTTP and WebSocket echo on one port.

use bowline::{Client, Exchange, Recv, Result, Server, ws::Message};
use std::time::Duration;

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/hello" => exchange.reply(200, "hello"),
        "/upper" => {
            let text = std::io::read_to_string(exchange.body())?;
            exchange.reply(200, text.to_uppercase())
        }
        "/echo" => {
            let mut socket = exchange.websocket(&[])?;
            while let Some(message) = socket.recv()? {
                socket.send(&message)?;
            }
            Ok(())
        }
        _ => exchange.reply(404, "no such page"),
    }
}

#[test]
fn one_port_speaks_all() -> Result<()> {
    let server = Server::bind("127.0.0.1:0")?.spawn(handle)?;
    let client = Client::new();
    assert_eq!(client.get(server.url("/hello")).send()?.text()?, "hello");
    assert_eq!(client.post(server.url("/upper")).body("abc").send()?.text()?, "ABC");
    assert_eq!(client.get(server.url("/none")).send()?.status(), 404);

    let mut socket = client.websocket(server.ws_url("/echo")).connect()?;
    socket.send("ping?")?;
    assert!(matches!(socket.recv_timeout(Duration::from_secs(10))?, Recv::Item(Message::Text(t)) if t == "ping?"));
    Ok(())
}
