//! A game loop that never blocks: a request now and then, and upkeep, between frames.
use super::world;
use bowline::{Client, Connection, Pending, Result};
use std::{
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

struct Net {
    client: Client,
    api: Connection,
    scores: Option<Pending>,
    next_ask: Instant,
    answers: Vec<String>,
}

impl Net {
    /// Behind the loading screen: this blocks.
    fn load() -> Result<Net> {
        let client = world::client();
        let api = client.connect("https://api.game.test")?;
        Ok(Net { client, api, scores: None, next_ask: Instant::now(), answers: Vec::new() })
    }

    /// Every frame: none of this blocks.
    fn frame(&mut self, now: Instant) -> Result<bool> {
        if self.scores.is_none() && now >= self.next_ask {
            self.scores = Some(self.api.get("/scores").timeout(Duration::from_secs(5)).start());
            self.next_ask = now + Duration::from_millis(50);
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
        Ok(self.answers.len() < 3)
    }
}

#[test]
fn main() -> Result<()> {
    let mut net = Net::load()?;
    println!("descriptor for the window system's loop: {:?}", net.api.fd().map(|fd| fd.as_raw_fd()));
    while net.frame(Instant::now())? {
        std::thread::sleep(Duration::from_millis(16));
    }
    assert_eq!(net.answers, ["scores 200 OK"; 3]);
    assert_eq!(net.api.info().requests, 3);
    Ok(())
}
