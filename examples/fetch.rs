//! Fetches URLs with one client, and says what happened: `fetch --report https://example.org`.
//!
//! Without `--report` the bodies go to standard output (or `-o`), one after the other. With it there is one JSON object a line
//! for each request. What failed is also said on standard error. The options are in `support/fetch_args.rs`.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "support/fetch_args.rs"]
mod fetch_args;
#[path = "support/filler.rs"]
mod filler;
#[path = "support/json.rs"]
mod json;
#[path = "support/trace.rs"]
mod trace;
#[path = "support/words.rs"]
mod words;

use bowline::{
    Batch, Body, Client, Error, Protocol, RequestBuilder, Response, Result, Timeouts, Tls,
    http::{HeaderMap, Method},
};
use fetch_args::{FETCH_USAGE, Fetch, Version};
use filler::Filler;
use json::Object;
use std::{
    fs::File,
    io::{self, Write},
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use words::Usage;

/// How often connections that nobody waits on are looked at while the program lingers.
const LOOK: Duration = Duration::from_millis(20);

/// How long what is still to be sent may take in the end.
const GOODBYE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let run = Fetch::parse(std::env::args().skip(1)).and_then(Run::new);
    match run {
        Ok(run) => ExitCode::from(u8::from(!run.all())),
        Err(usage) => usage.answer("fetch", FETCH_USAGE),
    }
}

/// A writer whose errors say where it writes: those of a connection may have the same words.
struct Named<W>(W, String);

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.1)))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.1)))
    }
}

/// Everything the requests have in common.
struct Run {
    options: Fetch,
    client: Client,
    method: Method,
    /// Where bodies go. Whoever holds it writes one whole body, so that those of several threads do not mix.
    output: Mutex<Box<dyn Write + Send>>,
}

impl Run {
    /// Makes the client and opens the files.
    ///
    /// # Errors
    ///
    /// `Usage`: an option whose value cannot be right.
    fn new(options: Fetch) -> Result<Self, Usage> {
        let method = match (&options.method, &options.body) {
            (Some(method), _) => Method::from_bytes(method.as_bytes())
                .map_err(|_| Usage::Wrong(format!("`{method}` is not a method")))?,
            (None, fetch_args::Body::None) => Method::GET,
            (None, _) => Method::POST,
        };
        if let fetch_args::Body::File(path) = &options.body {
            File::open(path).map_err(|e| Usage::Wrong(format!("{}: {e}", path.display())))?;
        }
        let client = client(&options).map_err(|e| Usage::Wrong(e.to_string()))?;
        let output: Box<dyn Write + Send> = match &options.output {
            Some(path) => {
                let file = File::create(path).map_err(|e| Usage::Wrong(format!("{}: {e}", path.display())))?;
                Box::new(Named(file, path.display().to_string()))
            }
            None if options.report => Box::new(io::sink()),
            None => Box::new(Named(io::stdout(), "standard output".into())),
        };
        Ok(Run { options, client, method, output: Mutex::new(output) })
    }

    /// Makes all the requests; returns whether all went well.
    fn all(&self) -> bool {
        let fine = thread::scope(|scope| {
            let start = |_| thread::Builder::new().spawn_scoped(scope, || self.one_thread());
            match (0..self.options.threads).map(start).collect::<io::Result<Vec<_>>>() {
                Ok(threads) => threads.into_iter().all(|thread| thread.join().unwrap_or(false)),
                Err(e) => {
                    warn!("fetch: a thread: {e}");
                    false
                }
            }
        });
        linger(&self.client, self.options.linger);
        // Says goodbye to the peers (GOAWAY), behind everything else that is still to be sent.
        self.client.drain(GOODBYE);
        fine
    }

    /// Makes the requests of one thread; returns whether all went well.
    fn one_thread(&self) -> bool {
        let urls = self.options.urls.iter();
        let requests = (0..self.options.repeat).flat_map(|_| urls.clone());
        if self.options.in_flight > 1 { self.many_at_a_time(requests) } else { self.one_at_a_time(requests) }
    }

    fn one_at_a_time<'a>(&self, requests: impl Iterator<Item = &'a String>) -> bool {
        let mut fine = true;
        for (n, url) in requests.enumerate() {
            self.gap(n);
            let began = Instant::now();
            let answer = self.request(url).and_then(RequestBuilder::send);
            fine &= self.finish(url, began, answer);
        }
        fine
    }

    /// Keeps so many requests on their way.
    fn many_at_a_time<'a>(&self, requests: impl Iterator<Item = &'a String>) -> bool {
        let mut fine = true;
        let mut batch = Batch::new();
        let mut requests = requests.enumerate();
        loop {
            while batch.len() < self.options.in_flight as usize {
                let Some((n, url)) = requests.next() else { break };
                self.gap(n);
                let began = Instant::now();
                match self.request(url) {
                    Ok(request) => batch.push(request.start(), (url, began)),
                    Err(e) => fine &= self.finish(url, began, Err(e)),
                }
            }
            let Some(((url, began), answer)) = batch.next() else { return fine };
            fine &= self.finish(url, began, answer);
        }
    }

    fn gap(&self, n: usize) {
        if n > 0 {
            thread::sleep(self.options.gap);
        }
    }

    fn request(&self, url: &str) -> Result<RequestBuilder> {
        let request = self.client.request(self.method.clone(), url);
        let request = match &self.options.body {
            fetch_args::Body::None => request,
            fetch_args::Body::Text(text) => request.body(text),
            fetch_args::Body::File(path) => request.body(File::open(path).map_err(Error::other)?),
            fetch_args::Body::Bytes(n) => {
                let n = *n;
                request.body(Body::from_fn(move || Ok(Filler::new(n))).with_len(n))
            }
        };
        Ok(self.options.headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
    }

    /// Reads the body and reports; returns whether all went well.
    fn finish(&self, url: &str, began: Instant, answer: Result<Response>) -> bool {
        let outcome = answer.and_then(|response| self.deliver(response));
        if self.options.report {
            let line = match &outcome {
                Ok(done) => done.line(url, began.elapsed()),
                Err(e) => failed_line(url, e),
            };
            // A reader that has gone needs no report; the requests are made all the same.
            match writeln!(io::stdout(), "{line}") {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                    warn!("fetch: {url}: its report: {e}");
                    return false;
                }
                _ => {}
            }
        }
        if let Err(e) = &outcome {
            warn!("fetch: {url}: {e}");
        }
        outcome.is_ok()
    }

    /// Writes head and body to where they go.
    fn deliver(&self, mut response: Response) -> Result<Done> {
        let to_terminal = !self.options.report || self.options.output.is_some();
        let mut output: MutexGuard<'_, Box<dyn Write + Send>>;
        let mut nowhere = io::sink();
        let to: &mut dyn Write = if to_terminal {
            output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            &mut **output
        } else {
            &mut nowhere
        };
        if self.options.include_head {
            to.write_all(&head(&response)).map_err(Error::other)?;
        }
        let body_bytes = io::copy(response.body(), to)?;
        to.flush().map_err(Error::other)?;
        Ok(Done {
            status: response.status().as_u16(),
            version: response.version(),
            connection: response.connection().id,
            reused: response.reused(),
            attempts: response.attempts(),
            body_bytes,
            trailers: response.body().trailers().cloned().unwrap_or_default(),
        })
    }
}

/// What there is to say of a request that went well.
struct Done {
    status: u16,
    version: bowline::http::Version,
    connection: u64,
    reused: bool,
    attempts: u32,
    body_bytes: u64,
    trailers: HeaderMap,
}

impl Done {
    fn line(&self, url: &str, took: Duration) -> String {
        let trailers = self.trailers.keys().fold(Object::new(), |object, name| {
            let values: Vec<_> =
                self.trailers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
            object.string(name.as_str(), &values.join(", "))
        });
        Object::new()
            .string("url", url)
            .raw("ok", true)
            .raw("status", self.status)
            .string("version", &format!("{:?}", self.version))
            .raw("connection", self.connection)
            .raw("reused", self.reused)
            .raw("attempts", self.attempts)
            .raw("body_bytes", self.body_bytes)
            .raw("trailers", trailers.end())
            .raw("ms", format_args!("{:.3}", took.as_secs_f64() * 1000.0))
            .end()
    }
}

fn failed_line(url: &str, e: &Error) -> String {
    let status = e.response().map_or("null".into(), |response| response.status().as_str().to_owned());
    Object::new()
        .string("url", url)
        .raw("ok", false)
        .string("kind", &format!("{:?}", e.kind()))
        .string("phase", &format!("{:?}", e.phase()))
        .string("processed", &format!("{:?}", e.processed()))
        .raw("status", status)
        .string("message", &e.to_string())
        .end()
}

/// The head of a response as text.
fn head(response: &Response) -> Vec<u8> {
    let mut text = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
    }
    text.push(b'\n');
    text
}

fn client(options: &Fetch) -> Result<Client> {
    let mut timeouts = Timeouts::default();
    if let Some(limit) = options.connect_timeout {
        timeouts = timeouts.connect(limit);
    }
    if let Some(limit) = options.timeout {
        timeouts = timeouts.total(limit);
    }
    let mut tls = Tls::new();
    if let Some(path) = &options.cacert {
        let pem = std::fs::read(path).map_err(|e| Error::other(format!("{}: {e}", path.display())))?;
        tls = tls.add_root_pem(&pem);
    }
    if options.insecure {
        tls = tls.dangerously_trust_anyone();
    }
    let protocol = match options.version {
        Version::Auto => Protocol::Auto,
        Version::Http1 => Protocol::Http1,
        Version::Http2 => Protocol::Http2,
        Version::H2cUpgrade => Protocol::H2cUpgrade,
    };
    let builder = Client::builder().timeouts(timeouts).tls(tls).protocol(protocol);
    if options.verbose { builder.hook(trace::Stderr).build() } else { builder.build() }
}

/// Keeps answering the peers' PINGs and SETTINGS for so long.
fn linger(client: &Client, time: Duration) {
    let began = Instant::now();
    while let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        client.upkeep();
        thread::sleep(left.min(LOOK));
    }
}
