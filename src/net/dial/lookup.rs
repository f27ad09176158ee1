//! Looking up a name with the operating system, which can only be done by waiting: in a short-lived thread.

use crate::net::Waker;
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// A lookup under way. If it is dropped, the thread ends when the system has answered, and nobody hears of it.
pub(super) struct Lookup {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    found: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

impl Lookup {
    /// Begins to ask the system for the addresses of a host.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub(super) fn of(host: String, port: u16) -> io::Result<Self> {
        Self::with(move || Ok((host.as_str(), port).to_socket_addrs()?.collect()))
    }

    /// Begins to run `ask` in a thread.
    pub(super) fn with(ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Mutex<Shared>>::default();
        let answer = Arc::downgrade(&shared);
        thread::Builder::new().name("bowline-lookup".into()).spawn(move || {
            let found = ask();
            if let Some(shared) = answer.upgrade() {
                let waker = {
                    let mut shared = lock(&shared);
                    shared.found = Some(found);
                    shared.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        })?;
        Ok(Lookup { shared })
    }

    /// Returns what was found, once; before that `waker` is woken when it is.
    pub(super) fn poll(&mut self, waker: &Waker) -> Option<io::Result<Vec<SocketAddr>>> {
        let mut shared = lock(&self.shared);
        let found = shared.found.take();
        if found.is_none() && !shared.waker.as_ref().is_some_and(|w| w.same(waker)) {
            shared.waker = Some(waker.clone());
        }
        found
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Each holder writes one field at a time.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
