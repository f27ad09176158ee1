//! The peer, in a process of its own, so that what this process uses is what the client uses.

use crate::options::Options;
use bowline_soak::fate::{Seen, decode};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

pub struct Peer {
    child: Child,
    ports: Vec<u16>,
    pub authority: String,
}

impl Peer {
    pub fn start(options: &Options) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?.with_file_name("faults"))
            .args([options.requests, options.seed, options.faults].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let first = lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
        let ports = first.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let mut authority = String::new();
        for line in lines.by_ref().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())) {
            authority.push_str(&line?);
            authority.push('\n');
        }
        Ok(Peer { child, ports, authority })
    }

    /// Where HTTP/1.1 and HTTP/2 are spoken, in the clear and over TLS.
    pub fn urls(&self) -> [String; 4] {
        let url = |scheme: &str, at: usize| format!("{scheme}://127.0.0.1:{}", self.ports[at]);
        [url("http", 0), url("http", 1), url("https", 2), url("https", 3)]
    }

    pub fn questions(&self) -> io::Result<Questions> {
        let socket = TcpStream::connect(("127.0.0.1", self.ports[4]))?;
        Ok(Questions { answers: BufReader::new(socket.try_clone()?), socket })
    }

    /// What the peer has to complain of.
    pub fn report(&self) -> io::Result<Vec<String>> {
        let mut questions = self.questions()?;
        questions.socket.write_all(b"report\n")?;
        let mut complaints = Vec::new();
        for line in questions.answers.lines() {
            let line = line?;
            match line.strip_prefix("! ") {
                _ if line == "." => break,
                None => println!("the peer: {line}"),
                Some(complaint) => complaints.push(format!("the peer: {complaint}")),
            }
        }
        Ok(complaints)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Somebody to ask what the peer has seen.
pub struct Questions {
    socket: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Questions {
    /// What became of the attempts at a request.
    pub fn history(&mut self, id: u64) -> io::Result<Vec<Seen>> {
        self.socket.write_all(format!("{id}\n").as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.trim_end().parse().map(decode).map_err(io::Error::other)
    }
}
