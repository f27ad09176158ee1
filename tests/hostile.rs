//! Clients that attack a server over real sockets: rules broken one by one, and floods. Beside each of them a well-behaved client
//! keeps getting its answers, and the memory of the process stays bounded.

#[path = "hostile/h1.rs"]
mod h1;
#[path = "hostile/h2_floods.rs"]
mod h2_floods;
#[path = "hostile/h2_rules.rs"]
mod h2_rules;
#[path = "hostile/peer.rs"]
mod peer;
#[path = "server/raw.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod raw;
