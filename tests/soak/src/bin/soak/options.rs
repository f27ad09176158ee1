//! The command line of the soak.

use std::time::Duration;

pub const USAGE: &str = "\
usage: soak [options]
  --requests N     how many (default 20000)
  --seconds S      over how long (default 30)
  --threads N      from how many threads (default 16)
  --one-in N       one request in N meets a fault; 0: none (default 20)
  --seed N         what faults there are, and when (default 1)";

#[derive(Clone, Debug)]
pub struct Options {
    pub requests: u64,
    pub seconds: Duration,
    pub threads: u64,
    pub faults: u64,
    pub seed: u64,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Options { requests: 20_000, seconds: Duration::from_secs(30), threads: 16, faults: 20, seed: 1 };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let value: u64 = value.parse().map_err(|_| format!("{word}: `{value}` is not a number"))?;
            match &word[..] {
                "--requests" => options.requests = value,
                "--seconds" => options.seconds = Duration::from_secs(value),
                "--threads" => options.threads = value.max(1),
                "--one-in" => options.faults = value,
                "--seed" => options.seed = value,
                _ => return Err(format!("no such option: {word}")),
            }
        }
        Ok(options)
    }
}
