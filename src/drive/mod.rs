//! Drivers: an engine, a wire, and the threads that wait.

#[cfg(feature = "gzip")]
mod inflate;
