//! The server behind nginx for POST, which writes down what arrives before it answers: what is killed afterwards counts, too.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How long nginx may keep a request to itself once it has begun.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often each request has arrived.
#[derive(Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<u64, u32>>>);

impl Arrivals {
    /// Listens there for as long as the program runs.
    pub fn listen(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let arrivals = Arrivals::default();
        let list = arrivals.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let list = list.clone();
                // What nginx breaks off when it is killed ends with an error, and has arrived.
                thread::spawn(move || _ = list.serve(socket));
            }
        });
        Ok(arrivals)
    }

    /// How often this one has.
    pub fn of(&self, id: u64) -> u32 {
        self.0.lock().expect("nobody panicked").get(&id).copied().unwrap_or_default()
    }

    /// One request of HTTP/1.0, which is what nginx speaks to a server behind it.
    fn serve(&self, socket: TcpStream) -> io::Result<()> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(&socket);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let id = line.split_once("?id=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let id: u64 = id.ok_or_else(|| io::Error::other(format!("a request without a number: {line:?}")))?;
        *self.0.lock().expect("nobody panicked").entry(id).or_default() += 1;
        let mut len = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    len = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        io::copy(&mut reader.take(len), &mut io::sink())?;
        (&socket).write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\ntaken\n")
    }
}
