//! The whole server over a wire that plays back what a client says: in which pieces, with which pauses, and how little it takes
//! of the answers at a time is up to the input. The end follows, so that every conversation has one.

use bowline::{
    Exchange, Result, Server,
    http::{Response, Version},
    net::{Interest, Waker, Wire},
    ws::Message,
};
use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The longest answer that is not an echo.
const BIG: usize = 100_000;

/// The most of a request's body that is taken.
const MAX_BODY: u64 = 1 << 20;

/// What a request was, as its handler saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// `None` if it could not be read to its end.
    pub body: Option<Vec<u8>>,
}

/// A client that says what it has to say, however it is answered.
struct Script {
    state: Mutex<State>,
}

struct State {
    input: Vec<u8>,
    at: usize,
    out: Vec<u8>,
    over: bool,
    /// Decides how much goes at a time; a multiplier of full period, so it does not stick.
    mood: u64,
}

impl State {
    /// Returns how many bytes go next, or `None` for a pause.
    fn piece(&mut self) -> Option<usize> {
        self.mood = self.mood.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match self.mood >> 61 {
            0 => None,
            1 => Some(1),
            2 => Some(9),
            3 | 4 => Some(1 + (self.mood >> 32) as usize % 300),
            _ => Some(usize::MAX),
        }
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for Player {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        let left = state.input.len() - state.at;
        if left == 0 || state.over {
            return Ok(0);
        }
        let Some(most) = state.piece() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let n = most.min(left).min(buf.len());
        buf[..n].copy_from_slice(&state.input[state.at..state.at + n]);
        state.at += n;
        Ok(n)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let Some(most) = state.piece() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let n = most.min(bytes.len());
        state.out.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn watch(&self, _: Interest, waker: &Waker) {
        // A pause is over at once.
        waker.wake();
    }

    fn finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self) {
        self.0.lock().over = true;
    }
}

/// The server's hold on the script.
struct Player(Arc<Script>);

/// Serves a connection on which a client says `input`; returns the requests that came to a handler, and what was answered.
pub fn serve(mood: u64, input: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    serve_by(mood, input, |exchange, notes| answer(exchange, &notes))
}

/// The same with a thread for each request.
pub fn serve_at_once(mood: u64, input: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let handlers = Arc::new(Mutex::new(Vec::new()));
    let begun = handlers.clone();
    let result = serve_by(mood, input, move |exchange, notes| {
        // What becomes of it is the client's affair.
        let handler = thread::spawn(move || drop(answer(exchange, &notes)));
        begun.lock().unwrap_or_else(PoisonError::into_inner).push(handler);
        Ok(())
    });
    // The connection is over, so all of them come to their end.
    for handler in std::mem::take(&mut *handlers.lock().unwrap_or_else(PoisonError::into_inner)) {
        handler.join().expect("a panic ends the process");
    }
    result
}

fn serve_by(
    mood: u64,
    input: &[u8],
    handle: impl Fn(Exchange, Arc<Mutex<Vec<Seen>>>) -> Result<()> + Send + Sync + 'static,
) -> (Vec<Seen>, Vec<u8>) {
    let state = State { input: input.to_vec(), at: 0, out: Vec::new(), over: false, mood };
    let script = Arc::new(Script { state: Mutex::new(state) });
    let seen = Mutex::new(Vec::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let (notes, counts) = (Arc::new(seen), calls.clone());
    let handler = {
        let notes = notes.clone();
        move |exchange: Exchange| -> Result<()> {
            counts.fetch_add(1, Ordering::Relaxed);
            handle(exchange, notes.clone())
        }
    };
    // How a client breaks the rules is not what is asked.
    let _ = Server::unbound().max_body(MAX_BODY).serve_wire(Player(script.clone()), &handler);
    let out = std::mem::take(&mut script.lock().out);
    let most = 8192 + 64 * input.len() + calls.load(Ordering::Relaxed) * (BIG + 4096);
    assert!(
        out.len() <= most,
        "{} bytes in, {} requests, {} bytes out",
        input.len(),
        calls.load(Ordering::Relaxed),
        out.len()
    );
    let seen = notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (seen, out)
}

/// One of each way to answer, by the first letter of the path.
fn answer(mut exchange: Exchange, notes: &Mutex<Vec<Seen>>) -> Result<()> {
    let note = |exchange: &Exchange, body| {
        let seen = Seen { method: exchange.method().to_string(), target: exchange.uri().to_string(), body };
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    };
    match exchange.path().as_bytes().get(1) {
        Some(b'b') => exchange.reply(200, vec![b'b'; BIG]),
        Some(b'd') => Ok(()),
        Some(b'i') => {
            exchange.inform(bowline::http::StatusCode::EARLY_HINTS, Default::default())?;
            exchange.reply(204, "")
        }
        Some(b's') => {
            let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            io::copy(&mut (&mut body).take(MAX_BODY), &mut writer)?;
            match body.trailers().cloned() {
                Some(trailers) => writer.finish_with_trailers(trailers),
                None => writer.finish(),
            }
        }
        Some(b'u') => {
            let mut tunnel = exchange.upgrade(Default::default())?;
            let mut buf = [0; 500];
            while let Ok(n @ 1..) = tunnel.read(&mut buf) {
                tunnel.write_all(&buf[..n])?;
            }
            Ok(())
        }
        Some(b'w') if exchange.is_websocket() => {
            let mut socket = exchange.websocket(&["chat"])?;
            while let bowline::Recv::Item(message) = socket.recv_timeout(Duration::from_secs(5))? {
                match message {
                    Message::Text(text) => socket.send(text.as_str())?,
                    other => socket.send(&other)?,
                }
            }
            Ok(())
        }
        _ => {
            let mut body = Vec::new();
            let read = exchange.body().take(MAX_BODY).read_to_end(&mut body);
            note(&exchange, read.is_ok().then(|| body.clone()));
            read?;
            let version = if exchange.version() == Version::HTTP_2 { "h2" } else { "h1" };
            exchange.respond(Response::builder().header("x-version", version).body(body)?)
        }
    }
}
