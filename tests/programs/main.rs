//! Programs as users write them, against a server of our own: what they rely on keeps compiling, and does what they expect.
//!
//! They name hosts of the internet; [`world`] makes clients that find all of them on the one embedded server. That is why
//! `Client::new()` is `world::client()` here, and `Client::builder()` is `world::builder()`.

mod p00_readme;
mod p01_health;
mod p02_packages;
mod p03_git;
mod p06_feed;
#[cfg(unix)]
mod p07_game;
#[cfg(feature = "unstable-proto")]
mod p09_fuzz;
mod p10_daemon;
mod p11_hooks;
mod p12_embedder;
mod p13_uploader;
mod p14_relay;
mod world;
