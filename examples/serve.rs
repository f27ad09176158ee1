//! Serves a few pages for those who try a client: `serve --self-signed --listen 127.0.0.1:8443`.
//!
//! The first line of the output is `listening on http://ADDR`, or `https`; with `--self-signed` the authority follows that clients
//! have to trust. SIGINT and SIGTERM end it; what runs then may finish.
//! The pages are those of `support/site.rs`, the options are in `support/serve_args.rs`.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "../src/net/tls/certs.rs"]
mod certs;
#[path = "support/filler.rs"]
mod filler;
#[path = "support/serve_args.rs"]
mod serve_args;
#[path = "support/site.rs"]
mod site;
#[path = "support/words.rs"]
mod words;

use bowline::{Error, Exchange, Result, Server, http::Version};
use serve_args::{Only, SERVE_USAGE, Serve, ServeTls};
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};

/// How long what runs may go on after a signal.
const GOODBYE: Duration = Duration::from_secs(2);

/// Sixteen times as many may wait for their clients: as many WebSockets as there may be connections.
const WORKERS: usize = 64;

fn main() -> ExitCode {
    let options = match Serve::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => return usage.answer("serve", SERVE_USAGE),
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            warn!("serve: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Serve) -> Result<()> {
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Who is not there to listen has ended already.
        let _ = stop.send(());
    })
    .map_err(Error::other)?;
    let (server, authority) = server(&options)?;
    let root = options.root;
    let handle = server.spawn(move |exchange: Exchange| site::answer(exchange, root.as_deref()))?;
    // Whoever started it may read no more than the first line.
    let _ = write!(io::stdout(), "listening on {}\n{authority}", handle.url("/").trim_end_matches('/'));
    stopped.recv().map_err(Error::other)?;
    handle.shutdown(GOODBYE);
    Ok(())
}

/// The server, and the authority to trust as PEM, if it was made now.
fn server(options: &Serve) -> Result<(Server, String)> {
    // Whoever tries a client may send as much as he likes.
    let server = Server::bind(&options.listen)
        .map_err(|e| Error::other(format!("{}: {e}", options.listen)))?
        .max_body(u64::MAX)
        .workers(WORKERS);
    #[cfg(feature = "deflate")]
    let server = server.websocket_config(bowline::ws::Config::default().deflate(0));
    let server = match options.only {
        None => server,
        Some(Only::Http1) => server.only(Version::HTTP_11),
        Some(Only::Http2) => server.only(Version::HTTP_2),
    };
    Ok(match &options.tls {
        ServeTls::None => (server, String::new()),
        ServeTls::Files { cert, key } => (server.tls_pem(&read(cert)?, &read(key)?), String::new()),
        ServeTls::SelfSigned => {
            let authority = certs::Authority::new("serve");
            let identity = authority.issue(&["localhost", "127.0.0.1", "::1"]);
            (server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()), authority.pem())
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::other(format!("{}: {e}", path.display())))
}
