//! Inside another language's runtime: every wait looks for a signal at least every 100 ms.
use super::world;
use bowline::{Client, ErrorKind, Flow, Recv, Result};
use std::time::Duration;

/// `PyErr_CheckSignals` under the lock of the interpreter.
fn signal_is_pending() -> bool {
    false
}

fn client() -> Result<Client> {
    world::builder()
        .interrupt(Duration::from_millis(100), || if signal_is_pending() { Flow::Stop } else { Flow::Go })
        .build()
}

/// `get(url)`: name lookup, connecting, TLS, the answer and its body, all interruptible.
fn get(client: &Client, url: &str) -> Result<Option<Vec<u8>>> {
    match client.get(url).send().and_then(|r| r.bytes()) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::Cancelled => Ok(None), // KeyboardInterrupt is set
        Err(e) => Err(e),
    }
}

/// The same by hand: the embedder owns the loop and needs no callback.
fn get_by_hand(client: &Client, url: &str) -> Result<Option<Vec<u8>>> {
    let tick = Duration::from_millis(100);
    let mut pending = client.get(url).start();
    let mut body = loop {
        if let Some(response) = pending.wait_timeout(tick)? {
            break response.into_body();
        }
        if signal_is_pending() {
            return Ok(None);
        }
    };
    let (mut all, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match body.read_timeout(&mut piece, tick)? {
            Recv::Item(n) => all.extend_from_slice(&piece[..n]),
            Recv::TimedOut if signal_is_pending() => return Ok(None),
            Recv::TimedOut => {}
            Recv::Ended => return Ok(Some(all)),
        }
    }
}

#[test]
fn main() -> Result<()> {
    let client = client()?;
    let expected = Some(b"the page of a.test".to_vec());
    assert_eq!(
        (get(&client, "https://a.test")?, get_by_hand(&client, "https://a.test")?),
        (expected.clone(), expected)
    );
    Ok(())
}
