//! The snippets of the README, each a function.
use super::world;
use bowline::{Batch, Client, Recv, Result, Server, ws::Message};
use std::time::Duration;

fn first() -> Result<()> {
    println!("{}", world::client().get("https://example.org").send()?.text()?);
    Ok(())
}

fn many_from_one_thread(urls: &[String]) -> Result<()> {
    let client = world::client();
    let mut batch = Batch::new();
    for url in urls {
        batch.push(client.get(url).start(), url);
    }
    for (url, answer) in batch {
        println!("{url}: {}", answer?.status());
    }
    Ok(())
}

fn a_socket_that_can_time_out(client: &Client) -> Result<()> {
    let mut socket = client.websocket("wss://example.org/feed").connect()?;
    socket.send("subscribe")?;
    loop {
        match socket.recv_timeout(Duration::from_secs(5))? {
            Recv::Item(Message::Text(text)) => println!("{text}"),
            Recv::Item(Message::Binary(bytes)) => println!("{} bytes", bytes.len()),
            Recv::TimedOut => socket.ping()?,
            Recv::Ended => return Ok(()),
        }
    }
}

fn kept_alive(client: &Client) {
    for c in client.upkeep_wait(Duration::from_secs(1)) {
        println!("{} {:?} {:?} {:?}", c.origin, c.state, c.action, c.rtt);
    }
}

fn a_server_for_tests() -> Result<()> {
    let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: bowline::Exchange| exchange.reply(200, "hi"))?;
    assert_eq!(bowline::get(server.url("/")).send()?.text()?, "hi");
    Ok(())
}

#[test]
fn main() -> Result<()> {
    let client = world::client();
    client.get("https://example.org").send()?.text()?;
    first()?;
    many_from_one_thread(&["https://example.org".into(), "https://a.test/none".into()])?;
    a_socket_that_can_time_out(&client)?;
    kept_alive(&client);
    a_server_for_tests()
}
