//! The server under attack, in a process of its own, and what the system says about that process (Linux).

use crate::tls::certs::Authority;
use bowline::{Exchange, Result, Server, http::Response};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Set in the process that is the server, to what it serves.
pub const SERVES: &str = "BOWLINE_ATTACKED";

/// What is attacked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Clear,
    /// In a process that may have few descriptors.
    Few,
    Tls,
}

/// How many descriptors those are.
const FEW: usize = 200;

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/read" => {
            let n = std::io::copy(exchange.body(), &mut std::io::sink())?;
            exchange.reply(200, n.to_string())
        }
        "/large" => exchange.reply(200, bowline::Body::from_reader(std::io::repeat(7).take(64 << 20))),
        // As much as a page has that is made for whoever asks.
        "/page" => exchange.reply(200, vec![b'x'; 8 << 10]),
        "/file" => exchange.reply(200, bowline::Body::from_file(large()?)?),
        "/stream" | "/both" => {
            // The body of the request stays where it is.
            let (_body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            (0..1024).try_for_each(|_| writer.write_all(&[7; 64 << 10]))?;
            writer.finish()
        }
        _ => exchange.reply(200, "ok"),
    }
}

/// Opens a file of 64 MiB in which nothing is, and which has no name.
fn large() -> std::io::Result<fs::File> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("bowline-attack-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    file.set_len(64 << 20)?;
    Ok(file)
}

/// Serves until the process that started this one is gone.
pub fn serve(kind: &str) {
    let clear = Server::bind("127.0.0.1:0").expect("a port").spawn(handle).expect("a server");
    let tls = (kind == "tls").then(|| {
        let identity = Authority::new("attack").issue(&["127.0.0.1"]);
        let server = Server::bind("127.0.0.1:0").expect("a port");
        server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(handle).expect("a server")
    });
    println!("{} {}", clear.local_addr(), tls.as_ref().unwrap_or(&clear).local_addr());
    let _ = std::io::stdin().read(&mut [0]);
}

/// Returns how many descriptors this process may have.
pub fn descriptors() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}

/// The process of a server. Dropping it ends it.
pub struct Watched {
    child: Child,
    /// Where it serves in the clear, and where it is attacked.
    pub clear: SocketAddr,
    pub attacked: SocketAddr,
}

impl Watched {
    pub fn start(target: Target) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = match target {
            Target::Clear | Target::Tls => Command::new(program),
            Target::Few => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {FEW}; exec \"$0\"")]).arg(program);
                shell
            }
        };
        let mut child = command
            .env(SERVES, if target == Target::Tls { "tls" } else { "clear" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output")).read_line(&mut line).expect("its addresses");
        let mut addresses = line.split_whitespace().map(|address| address.parse().expect("an address"));
        let (clear, attacked) = (addresses.next().expect("one"), addresses.next().expect("two"));
        Watched { child, clear, attacked }
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// Returns how many bytes it has in memory now, and had at most.
    pub fn memory(&self) -> (u64, u64) {
        let status = self.proc("status");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        (kib("VmRSS").unwrap_or(0) << 10, kib("VmHWM").unwrap_or(0) << 10)
    }

    /// From now on the most is counted anew.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// Returns how much processor time it has used.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // Behind the name, which may hold anything: user and system time are fields 14 and 15, in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
