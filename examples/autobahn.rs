//! Both roles of the Autobahn TestSuite: `autobahn serve ADDRESS` echoes what it gets; `autobahn client ws://ADDRESS` has itself
//! tested by a fuzzing server, case by case, and has it write its report.

use bowline::{
    Client, Exchange, Result, Server,
    ws::{Config, WebSocket},
};

/// The name of the agent in reports.
const AGENT: &str = "bowline";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => {
            let server = Server::bind(address)?.websocket_config(config());
            server.serve(|exchange: Exchange| {
                // How a case ends is in the report of the suite.
                let _ = exchange.websocket(&[]).and_then(echo);
                Ok(())
            })
        }
        ["client", url] => client(url),
        _ => Err(bowline::Error::other("usage: autobahn serve ADDRESS | client ws://ADDRESS")),
    }
}

fn config() -> Config {
    // The longest message of the suite has 16 MiB.
    let config = Config::default().max_message(16 << 20);
    #[cfg(feature = "deflate")]
    let config = config.deflate(0);
    config
}

fn client(url: &str) -> Result<()> {
    let client = Client::builder().proxy(None).build()?;
    let count = client.websocket(format!("{url}/getCaseCount")).connect()?.recv()?;
    let count: u32 = count.and_then(|m| m.as_text()?.parse().ok()).unwrap_or(0);
    for case in 1..=count {
        let url = format!("{url}/runCase?case={case}&agent={AGENT}");
        if let Err(e) = client.websocket(url).config(config()).connect().and_then(echo) {
            println!("case {case} of {count}: {e}");
        }
    }
    let update = client.websocket(format!("{url}/updateReports?agent={AGENT}")).connect()?.recv();
    println!("{count} cases, {update:?}");
    Ok(())
}

/// Returns every message until the end.
fn echo(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.recv()? {
        socket.send(&message)?;
    }
    Ok(())
}
