//! Attacks on the server, each beside a client that behaves: memory, processor time, and how long the other client waits.
//!
//! The server runs in a process of its own, which this program starts with itself. Without a word it is a test: every attack for
//! a moment, and the bounds are those that do not depend on how busy the machine is. `tests/attack/run` takes seconds for each, prints
//! a table, and measures idle connections too. `BOWLINE_ATTACK` names one attack by a part of its name.

mod attacks;
#[path = "../support/h2peer.rs"]
mod h2peer;
mod idle;
mod process;
#[path = "../support/tls.rs"]
mod tls;

use attacks::ATTACKS;
use process::{Target, Watched};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How much more memory than idle the server may need at any time. Without optimisation the frames of functions are several times as
/// large, and more than a thousand threads have some.
const MEMORY: u64 = if cfg!(debug_assertions) { 96 << 20 } else { 64 << 20 };

/// Below this a difference says nothing: a request takes less than a hundredth of it, and a thread that wants a processor waits that
/// long for others.
const FLOOR: Duration = Duration::from_millis(5);

/// How long the client that behaves may have to wait, on the busiest machine; without optimisation everything takes several times as long.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 5 });

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    if let Ok(kind) = std::env::var(process::SERVES) {
        return process::serve(&kind);
    }
    let long = std::env::var("BOWLINE_ATTACK_MILLIS").ok().and_then(|millis| millis.parse().ok());
    let phase = Duration::from_millis(long.unwrap_or(150));
    let wanted = std::env::var("BOWLINE_ATTACK").unwrap_or_default();
    println!(
        "Half of the requests without an attack take some microseconds, and the slowest hundredth what the machine does besides."
    );
    println!("So a 99th percentile during an attack of 3 times that before it, or of {FLOOR:?}, is within the bound.");
    println!(
        "attack | idle KiB | peak over it KiB | processor % | p50 before us | p99 before us | p99 during us | ratio | most us | p99"
    );
    let mut slow = Vec::new();
    for (name, target, attack) in ATTACKS.iter().filter(|(name, ..)| name.contains(&wanted)) {
        // On a busy machine once may be an accident; in a test nothing is said about times.
        let tries = if long.is_some() { 3 } else { 1 };
        if !(0..tries).any(|_| one(name, *target, *attack, phase)) {
            slow.push(*name);
        }
    }
    if long.is_some() && "idle".contains(&wanted) {
        idle::measure();
    }
    if long.is_some() && !slow.is_empty() {
        println!("above the bound of time, three times: {}", slow.join(", "));
        std::process::exit(1);
    }
}

/// Runs one attack beside a client that behaves; returns whether that one's 99th percentile was within the bound.
fn one(name: &str, kind: Target, attack: attacks::Attack, phase: Duration) -> bool {
    let server = Watched::start(kind);
    // The client that behaves speaks in the clear, to another port of the same server if need be.
    let mut before = ask(server.clear, phase);
    let (idle, _) = server.memory();
    server.forget_peak();
    let stop = Arc::new(AtomicBool::new(false));
    let attacker = thread::spawn({
        let (stop, address) = (stop.clone(), server.attacked);
        move || attack(address, &stop)
    });
    let (began, cpu) = (Instant::now(), server.cpu());
    let mut during = ask(server.clear, 2 * phase);
    let used = (server.cpu() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::SeqCst);
    attacker.join().expect("the attacker");
    let peak = server.memory().1.saturating_sub(idle);
    let (p50, p99, worse) = (at(&mut before, 50), at(&mut before, 99), at(&mut during, 99));
    let most = during.last().copied().unwrap_or_default();
    let within = worse <= FLOOR.max(3 * p99);
    let ratio = worse.as_secs_f64() / p99.as_secs_f64();
    println!(
        "{name} | {} | {} | {:.0} | {} | {} | {} | {ratio:.1} | {} | {}",
        idle >> 10,
        peak >> 10,
        used * 100.0,
        p50.as_micros(),
        p99.as_micros(),
        worse.as_micros(),
        most.as_micros(),
        if within { "within" } else { "above" }
    );
    assert!(peak <= MEMORY, "{name}: {peak} bytes more than idle");
    assert!(most <= PATIENCE, "{name}: the client that behaves waited for {most:?}");
    within
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Asks again and again for so long, on a new connection now and then; returns how long each answer took.
fn ask(address: SocketAddr, d: Duration) -> Vec<Duration> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < d || times.is_empty() {
        let mut connected = Instant::now();
        let mut socket = TcpStream::connect(address).expect("the server takes connections");
        socket.set_nodelay(true).expect("an option");
        socket.set_read_timeout(Some(2 * PATIENCE)).expect("a time limit");
        for _ in 0..20 {
            socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("the server takes requests");
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nok") {
                let mut buf = [0; 1024];
                let n = socket.read(&mut buf).expect("an answer");
                assert!(n > 0, "the server closed the connection: {}", answer.escape_ascii());
                answer.extend_from_slice(&buf[..n]);
            }
            times.push(connected.elapsed());
            connected = Instant::now();
        }
    }
    times
}
