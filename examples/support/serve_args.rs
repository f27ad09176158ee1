//! The command line of the example `serve`.

use super::words::{Usage, Word, Words};
use std::path::PathBuf;

/// Where `serve` takes its certificate from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServeTls {
    /// In the clear.
    #[default]
    None,
    Files {
        cert: PathBuf,
        key: PathBuf,
    },
    SelfSigned,
}

/// The one version that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    Http1,
    Http2,
}

/// `serve`, see [`SERVE_USAGE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    pub listen: String,
    pub tls: ServeTls,
    /// `None` is both.
    pub only: Option<Only>,
    pub root: Option<PathBuf>,
}

/// The command line of `serve`.
pub const SERVE_USAGE: &str = "\
usage: serve [options]
  --listen ADDR        address and port (default 127.0.0.1:8080; port 0: any)
  --tls CERT KEY       serve https with these PEM files
  --self-signed        serve https with a certificate made now
  --http1 | --http2    only this version (default: both)
  --root DIR           serve the files below this directory";

impl Serve {
    /// Takes the words behind the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut serve = Serve { listen: "127.0.0.1:8080".into(), tls: ServeTls::None, only: None, root: None };
        let mut words = Words::new(words, &[]);
        while let Some(word) = words.next()? {
            if let Word::Plain(word) = word {
                return Err(Usage::unexpected(&word));
            }
            match words.option() {
                "--listen" => serve.listen = words.value()?,
                "--tls" => {
                    let (cert, key) = (words.value()?.into(), words.value()?.into());
                    set_tls(&mut serve.tls, ServeTls::Files { cert, key })?;
                }
                "--self-signed" => set_tls(&mut serve.tls, ServeTls::SelfSigned)?,
                "--http1" => set_only(&mut serve.only, Only::Http1)?,
                "--http2" => set_only(&mut serve.only, Only::Http2)?,
                "--root" => serve.root = Some(words.value()?.into()),
                _ => return Err(words.unknown()),
            }
        }
        Ok(serve)
    }
}

fn set_only(to: &mut Option<Only>, only: Only) -> Result<(), Usage> {
    match to.replace(only) {
        Some(before) if before != only => Err(Usage::Wrong("more than one version".into())),
        _ => Ok(()),
    }
}

fn set_tls(to: &mut ServeTls, tls: ServeTls) -> Result<(), Usage> {
    if *to != ServeTls::None {
        return Err(Usage::Wrong("more than one certificate".into()));
    }
    *to = tls;
    Ok(())
}
