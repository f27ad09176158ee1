//! The command line of the example `pool_watch`.

use super::words::{Usage, Word, Words};
use std::time::Duration;

/// `pool_watch`, see [`WATCH_USAGE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub seconds: Duration,
    pub threads: u32,
    pub http2: bool,
    pub insecure: bool,
    /// Where the requests go; `None`: to servers of its own.
    pub url: Option<String>,
}

/// The command line of `pool_watch`.
pub const WATCH_USAGE: &str = "\
usage: pool_watch [options] [URL]
  --seconds S      for how long (default: 10)
  --threads N      that make requests (default: 4)
  --http2          prior knowledge, where the URL is http:
  --insecure       trust any certificate
Without a URL the requests go to servers of its own.";

impl Watch {
    /// # Errors
    ///
    /// What is wrong with the words.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut words = Words::new(words, &[]);
        let mut watch =
            Watch { seconds: Duration::from_secs(10), threads: 4, http2: false, insecure: false, url: None };
        while let Some(word) = words.next()? {
            match word {
                Word::Plain(url) if watch.url.is_none() => watch.url = Some(url),
                Word::Plain(url) => return Err(Usage::unexpected(&url)),
                Word::Option => match words.option() {
                    "--seconds" => watch.seconds = words.seconds()?,
                    "--threads" => watch.threads = threads(&mut words)?,
                    "--http2" => watch.http2 = true,
                    "--insecure" => watch.insecure = true,
                    _ => return Err(words.unknown()),
                },
            }
        }
        Ok(watch)
    }
}

fn threads(words: &mut Words) -> Result<u32, Usage> {
    match words.number(1)? {
        threads @ 1..=1000 => Ok(threads),
        more => Err(Usage::Wrong(format!("--threads: {more} are too many, 1000 are allowed"))),
    }
}
