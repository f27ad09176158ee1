//! A game loop that never blocks: a socket, a request now and then, and upkeep, between frames.
use super::world;
use bowline::{
    Client, Connection, Pending, Recv, Result,
    ws::{Message, Sent, WebSocket},
};
use std::{
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

struct Net {
    client: Client,
    api: Connection,
    socket: WebSocket,
    scores: Option<Pending>,
    next_ask: Instant,
    answers: Vec<String>,
}

impl Net {
    /// Behind the loading screen: this blocks.
    fn load() -> Result<Net> {
        let client = world::client();
        let api = client.connect("https://api.game.test")?;
        let socket = client.websocket("wss://play.game.test").connect()?;
        Ok(Net { client, api, socket, scores: None, next_ask: Instant::now(), answers: Vec::new() })
    }

    /// Every frame: none of this blocks.
    fn frame(&mut self, now: Instant, moves: &mut Vec<Message>) -> Result<bool> {
        loop {
            match self.socket.try_recv()? {
                Recv::Item(message) => moves.push(message),
                Recv::TimedOut => break,
                Recv::Ended => return Ok(false),
            }
        }
        if self.scores.is_none() && now >= self.next_ask {
            self.scores = Some(self.api.get("/scores").timeout(Duration::from_secs(5)).start());
            self.next_ask = now + Duration::from_secs(10);
        }
        if let Some(pending) = &mut self.scores {
            match pending.try_wait() {
                Ok(None) => {}
                Ok(Some(response)) => {
                    self.answers.push(format!("scores {}", response.status()));
                    self.scores = None
                }
                Err(e) => {
                    self.answers.push(format!("scores: {e}"));
                    self.scores = None
                }
            }
        }
        if self.client.next_upkeep().is_some_and(|due| now >= due) {
            self.client.upkeep();
        }
        Ok(true)
    }
}

#[test]
fn main() -> Result<()> {
    let mut net = Net::load()?;
    println!("descriptor for the window system's loop: {:?}", net.socket.fd().map(|fd| fd.as_raw_fd()));
    let (mut moves, mut seen) = (Vec::new(), 0);
    while net.frame(Instant::now(), &mut moves)? {
        if net.socket.try_send(&format!("{} seen", moves.len()))? == Sent::Accepted {
            seen += moves.len();
            moves.clear();
        }
        // The rest of the frame.
        std::thread::sleep(Duration::from_millis(16));
    }
    assert_eq!(seen + moves.len(), world::MOVES);
    assert_eq!(net.answers, ["scores 200 OK"]);
    Ok(())
}
