//! A peer that speaks HTTP/2 until it falls silent: it neither reads nor answers, and its sockets stay open.

use super::wire::{Got, Wire};
use crate::{
    frame::{DATA, END_HEADERS, END_STREAM, Frame, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE, SETTINGS},
    tls::{self, certs},
};
use rustls::ServerConfig;
use std::{
    io,
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Nothing but the socket bounds an upload.
const WINDOW: u32 = (1 << 31) - 1;

pub struct Quiet {
    tls: Option<Arc<ServerConfig>>,
    /// A request is answered once it has ended.
    answers: AtomicBool,
    /// Connections with numbers below this are silent.
    silent_below: AtomicU64,
    connections: AtomicU64,
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What arrived at the peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub requests: u64,
    /// Bytes of bodies.
    pub uploaded: u64,
}

impl Quiet {
    /// Starts one, with TLS or without; returns its URL and the authority to trust as well.
    pub fn start(tls: bool) -> io::Result<(Arc<Self>, String, String)> {
        let authority = certs::Authority::new("quiet");
        let tls = tls.then(|| tls::config(&authority.issue(&["127.0.0.1"]), &[b"h2"]));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("{scheme}://{}/", listener.local_addr()?);
        let peer = Arc::new(Quiet {
            tls,
            answers: AtomicBool::new(true),
            silent_below: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            seen: Mutex::default(),
            changed: Condvar::new(),
        });
        let served = peer.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let number = served.connections.fetch_add(1, Ordering::SeqCst);
                let peer = served.clone();
                // A client that goes away is nothing to speak of.
                thread::spawn(move || peer.serve(socket, number));
            }
        });
        Ok((peer, url, authority.pem()))
    }

    pub fn answer(&self, yes: bool) {
        self.answers.store(yes, Ordering::SeqCst);
    }

    /// Falls silent on all the connections there are.
    pub fn fall_silent(&self) {
        self.silent_below.store(self.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub fn seen(&self) -> Seen {
        *self.lock()
    }

    /// Waits until it has seen enough; returns whether it has.
    pub fn until(&self, enough: impl Fn(Seen) -> bool) -> bool {
        let limit = Duration::from_secs(10);
        let (seen, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |seen| !enough(*seen))
            .unwrap_or_else(PoisonError::into_inner);
        enough(*seen)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, socket: TcpStream, number: u64) -> io::Result<()> {
        let mut wire = Wire::new(socket, self.tls.clone())?;
        let mut greeting = Vec::new();
        Frame::settings(&[(INITIAL_WINDOW_SIZE, WINDOW)]).write(&mut greeting);
        Frame::window_update(0, WINDOW - 65_535).write(&mut greeting);
        let mut begun = false;
        loop {
            let got = wire.read_until(Instant::now() + Duration::from_millis(20))?;
            while number < self.silent_below.load(Ordering::SeqCst) {
                // Until the process ends: the socket stays open, and nothing is read from it.
                thread::park();
            }
            match got {
                Got::End => return Ok(()),
                Got::Nothing => continue,
                Got::Bytes => {}
            }
            if !begun {
                if wire.input.len() < PREFACE.len() {
                    continue;
                }
                wire.input.drain(..PREFACE.len());
                wire.send(&greeting)?;
                begun = true;
            }
            let mut out = Vec::new();
            while let Some(frame) = Frame::parse(&mut wire.input) {
                self.take(&frame, &mut out);
            }
            wire.send(&out)?;
        }
    }

    fn take(&self, frame: &Frame, out: &mut Vec<u8>) {
        match frame.kind {
            SETTINGS if !frame.is_ack() => Frame::settings_ack().write(out),
            PING if !frame.is_ack() => Frame::ping_ack(&frame.payload).write(out),
            _ => {}
        }
        let mut seen = self.lock();
        match frame.kind {
            HEADERS => seen.requests += 1,
            DATA => seen.uploaded += frame.payload.len() as u64,
            _ => {}
        }
        drop(seen);
        self.changed.notify_all();
        if frame.ends() && self.answers.load(Ordering::SeqCst) {
            // `:status: 200`
            Frame::new(HEADERS, END_HEADERS | END_STREAM, frame.stream, [0x88]).write(out);
        }
    }
}
