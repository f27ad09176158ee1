//! The command line of the example `fetch`.

use super::words::{Usage, Word, Words};
use std::{path::PathBuf, time::Duration};

/// The version asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What ALPN chooses; HTTP/1.1 in the clear.
    #[default]
    Auto,
    Http1,
    Http2,
    H2cUpgrade,
}

/// The body to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    None,
    Text(String),
    File(PathBuf),
    /// So many bytes of no meaning.
    Bytes(u64),
}

/// `fetch`, see [`FETCH_USAGE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub version: Version,
    pub method: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub cacert: Option<PathBuf>,
    pub insecure: bool,
    pub connect_timeout: Option<Duration>,
    pub timeout: Option<Duration>,
    pub repeat: u32,
    pub gap: Duration,
    pub threads: u32,
    pub in_flight: u32,
    pub linger: Duration,
    /// `-i`: show the head of the response as well.
    pub include_head: bool,
    pub output: Option<PathBuf>,
    pub verbose: bool,
    pub report: bool,
    pub urls: Vec<String>,
}

/// The command line of `fetch`.
pub const FETCH_USAGE: &str = "\
usage: fetch [options] URL...
  --http1 | --http2 | --h2c-upgrade   the version (default: what ALPN chooses; HTTP/1.1 in the clear)
  -X METHOD                           the method (default: GET, with a body POST)
  -H 'Name: value'                    a header; repeatable
  -d TEXT | --body-file PATH | --body-bytes N   the body
  --cacert PEM                        trust this certificate as well
  --insecure                          trust any certificate
  --connect-timeout S, --timeout S    time limits in seconds, also fractional
  --repeat N                          send each request so many times (default 1)
  --gap-ms N                          pause between repetitions
  --threads N                         from so many threads (default 1)
  --in-flight N                       at most so many at a time from each thread (default 1)
  --linger-ms N                       serve the connections so long before the end
  -i                                  show the head of the response
  -o PATH                             write the bodies to a file
  -v                                  say what happens, on standard error
  --report                            print a JSON object for each request instead of its body";

impl Default for Fetch {
    fn default() -> Self {
        Fetch {
            version: Version::Auto,
            method: None,
            headers: Vec::new(),
            body: Body::None,
            cacert: None,
            insecure: false,
            connect_timeout: None,
            timeout: None,
            repeat: 1,
            gap: Duration::ZERO,
            threads: 1,
            in_flight: 1,
            linger: Duration::ZERO,
            include_head: false,
            output: None,
            verbose: false,
            report: false,
            urls: Vec::new(),
        }
    }
}

impl Fetch {
    /// Takes the words behind the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut fetch = Fetch::default();
        let mut words = Words::new(words, &["-X", "-H", "-d", "-o"]);
        while let Some(word) = words.next()? {
            if let Word::Plain(url) = word {
                fetch.urls.push(url);
                continue;
            }
            match words.option() {
                "--http1" => set_version(&mut fetch.version, Version::Http1)?,
                "--http2" => set_version(&mut fetch.version, Version::Http2)?,
                "--h2c-upgrade" => set_version(&mut fetch.version, Version::H2cUpgrade)?,
                "-X" => fetch.method = Some(words.value()?),
                "-H" => fetch.headers.push(words.header()?),
                "-d" => set_body(&mut fetch.body, Body::Text(words.value()?))?,
                "--body-file" => set_body(&mut fetch.body, Body::File(words.value()?.into()))?,
                "--body-bytes" => set_body(&mut fetch.body, Body::Bytes(words.number(0)?))?,
                "--cacert" => fetch.cacert = Some(words.value()?.into()),
                "--insecure" => fetch.insecure = true,
                "--connect-timeout" => fetch.connect_timeout = Some(words.seconds()?),
                "--timeout" => fetch.timeout = Some(words.seconds()?),
                "--repeat" => fetch.repeat = words.number(1)?,
                "--gap-ms" => fetch.gap = Duration::from_millis(words.number(0)?),
                "--threads" => fetch.threads = words.number(1)?,
                "--in-flight" => fetch.in_flight = words.number(1)?,
                "--linger-ms" => fetch.linger = Duration::from_millis(words.number(0)?),
                "-i" => fetch.include_head = true,
                "-o" => fetch.output = Some(words.value()?.into()),
                "-v" => fetch.verbose = true,
                "--report" => fetch.report = true,
                _ => return Err(words.unknown()),
            }
        }
        if fetch.urls.is_empty() { Err(Usage::Wrong("no URL".into())) } else { Ok(fetch) }
    }
}

fn set_version(to: &mut Version, version: Version) -> Result<(), Usage> {
    if *to != Version::Auto && *to != version {
        return Err(Usage::Wrong("more than one version".into()));
    }
    *to = version;
    Ok(())
}

fn set_body(to: &mut Body, body: Body) -> Result<(), Usage> {
    if *to != Body::None {
        return Err(Usage::Wrong("more than one body".into()));
    }
    *to = body;
    Ok(())
}
