//! The command line of the example `ws`.

use super::words::{Usage, Word, Words};
use std::{path::PathBuf, time::Duration};

/// `ws`, see [`WS_USAGE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ws {
    pub echo: bool,
    pub deflate: bool,
    pub http2: bool,
    pub timeout: Option<Duration>,
    pub cacert: Option<PathBuf>,
    pub headers: Vec<(String, String)>,
    pub url: String,
}

/// The command line of `ws`.
pub const WS_USAGE: &str = "\
usage: ws [options] URL
  --echo              return every message until the peer closes
  --deflate           offer permessage-deflate
  --http2             insist on HTTP/2 (RFC 8441)
  --timeout S         give up when nothing comes for so long, in seconds, also fractional
  --cacert PEM        trust this certificate as well
  -H 'Name: value'    a header of the handshake; repeatable
Without --echo lines of standard input are sent as texts, and what arrives is printed.";

impl Ws {
    /// Takes the words behind the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut ws = Ws::default();
        let mut words = Words::new(words, &["-H"]);
        let mut urls = Vec::new();
        while let Some(word) = words.next()? {
            if let Word::Plain(url) = word {
                urls.push(url);
                continue;
            }
            match words.option() {
                "--echo" => ws.echo = true,
                "--deflate" => ws.deflate = true,
                "--http2" => ws.http2 = true,
                "--timeout" => ws.timeout = Some(words.seconds()?),
                "--cacert" => ws.cacert = Some(words.value()?.into()),
                "-H" => ws.headers.push(words.header()?),
                _ => return Err(words.unknown()),
            }
        }
        match <[String; 1]>::try_from(urls) {
            Ok([url]) => Ok(Ws { url, ..ws }),
            Err(urls) => Err(Usage::one("URL", urls.len())),
        }
    }
}
