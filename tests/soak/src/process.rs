//! Memory, descriptors and sockets of this process, as /proc tells them.

use rustix::ioctl::{Getter, ioctl};
use std::{collections::HashSet, fs, io, net::TcpStream};

/// What a process uses at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident memory in KiB.
    pub resident: u64,
    pub descriptors: usize,
    pub threads: usize,
    /// TCP sockets whose peer has closed and that are still open here.
    pub close_wait: usize,
    /// TCP sockets in any state but that.
    pub sockets: usize,
}

const CLOSE_WAIT: &str = "08";

impl Usage {
    pub fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        let mut inodes = HashSet::new();
        let mut descriptors = 0;
        for entry in fs::read_dir("/proc/self/fd")? {
            descriptors += 1;
            if let Ok(target) = fs::read_link(entry?.path()) {
                let target = target.to_string_lossy().into_owned();
                inodes.extend(target.strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned()));
            }
        }
        // The directory itself was open.
        descriptors -= 1;
        let mut usage =
            Usage { resident: number("VmRSS:"), descriptors, threads: number("Threads:") as usize, ..Usage::default() };
        for line in fs::read_to_string("/proc/self/net/tcp")?.lines().skip(1) {
            let words: Vec<_> = line.split_whitespace().collect();
            if words.get(9).is_some_and(|inode| inodes.contains(*inode)) {
                match words[3] == CLOSE_WAIT {
                    true => usage.close_wait += 1,
                    false => usage.sockets += 1,
                }
            }
        }
        Ok(usage)
    }
}

/// SIOCOUTQ, which has the number of TIOCOUTQ: how many bytes the peer's system has not acknowledged (tcp(7)).
const SIOCOUTQ: u32 = 0x5411;

/// Whether the peer's system has not acknowledged everything that was sent.
pub fn has_unsent(socket: &TcpStream) -> io::Result<bool> {
    // SAFETY: this request writes one `int`.
    let unsent = unsafe { ioctl(socket, Getter::<SIOCOUTQ, i32>::new()) }?;
    Ok(unsent > 0)
}
