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
                Word::Plain(url) => return Err(Usage(format!("one URL is enough: {url}"))),
                Word::Option => match words.option() {
                    "--seconds" => watch.seconds = seconds(&mut words)?,
                    "--threads" => watch.threads = threads(&mut words)?,
                    "--http2" => watch.http2 = true,
                    "--insecure" => watch.insecure = true,
                    option => return Err(Usage(format!("no such option: {option}"))),
                },
            }
        }
        Ok(watch)
    }
}

fn seconds(words: &mut Words) -> Result<Duration, Usage> {
    let value = words.value()?;
    let seconds = value.parse().ok().and_then(|n: f64| Duration::try_from_secs_f64(n).ok());
    seconds.ok_or_else(|| Usage(format!("--seconds: `{value}` is not a time")))
}

fn threads(words: &mut Words) -> Result<u32, Usage> {
    let value = words.value()?;
    let threads = value.parse().ok().filter(|n| (1..=1000).contains(n));
    threads.ok_or_else(|| Usage(format!("--threads: `{value}` is not a number from 1 to 1000")))
}
