//! The nginx of the mixed traffic, and what is done to it.

use std::{
    fs, io,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long nginx may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All of it is killed, and it is started again.
    KillAll,
    /// A worker is killed; the master starts another.
    KillWorker,
    /// New workers; the old ones finish what they have.
    Reload,
}

/// Something that was done.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub what: What,
    pub begin: Instant,
    /// When the server was itself again.
    pub end: Instant,
}

/// A running nginx with a group of processes of its own, which ends with this.
pub struct Nginx {
    prefix: PathBuf,
    /// An address that it listens on.
    address: String,
    master: Child,
}

impl Nginx {
    pub fn start(prefix: &Path, address: &str) -> io::Result<Self> {
        let mut nginx = Nginx { prefix: prefix.into(), address: address.into(), master: spawn(prefix)? };
        nginx.until_up()?;
        Ok(nginx)
    }

    /// Does that, with so long a gap before the server is started again.
    pub fn trouble(&mut self, what: What, gap: Duration) -> io::Result<Trouble> {
        let begin = Instant::now();
        match what {
            What::Reload => {
                let status = command(&self.prefix).args(["-s", "reload"]).status()?;
                if !status.success() {
                    return Err(io::Error::other(format!("nginx -s reload: {status}")));
                }
            }
            What::KillWorker => {
                let id = self.master.id();
                let workers = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
                signal("KILL", workers.split_whitespace().last().unwrap_or_default())?;
            }
            What::KillAll => {
                signal("KILL", &format!("-{}", self.master.id()))?;
                self.master.wait()?;
                sleep(gap);
                self.master = spawn(&self.prefix)?;
                self.until_up()?;
            }
        }
        Ok(Trouble { what, begin, end: Instant::now() })
    }

    /// Ends it once it has served what it has.
    pub fn quit(&mut self) -> io::Result<()> {
        signal("QUIT", &self.master.id().to_string())?;
        let until = Instant::now() + PATIENCE;
        while self.master.try_wait()?.is_none() {
            if Instant::now() > until {
                return Err(io::Error::other("nginx does not end"));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn until_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.address).is_err() {
            if self.master.try_wait()?.is_some() || Instant::now() > until {
                return Err(io::Error::other("nginx does not start; see its error.log"));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if matches!(self.master.try_wait(), Ok(None)) {
            // Nobody is left to be told.
            let _ = signal("KILL", &format!("-{}", self.master.id()));
            let _ = self.master.wait();
        }
    }
}

fn command(prefix: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(prefix).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

fn spawn(prefix: &Path) -> io::Result<Child> {
    command(prefix).process_group(0).spawn()
}

fn signal(name: &str, to: &str) -> io::Result<()> {
    let status = Command::new("kill").args(["-s", name, "--", to]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name} -- {to}: {status}"))) }
}
