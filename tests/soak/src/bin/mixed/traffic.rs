//! The requests of the mixed traffic, and what the client says of each.

use bowline::{
    Batch, Body, Client, Error, ErrorKind, Processed, Protocol, RequestBuilder, Response, Result, Timeouts, Tls,
    http::Method,
};
use bowline_soak::Random;
use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

/// The limit of every request.
pub const TOTAL: Duration = Duration::from_secs(10);

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Get,
    /// With an `Idempotency-Key`.
    KeyedPost,
    Post,
    Put,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub id: u64,
    pub asked: Asked,
    /// 0: HTTP/1.1; 1: with TLS; 2: HTTP/2 with TLS.
    pub kind: usize,
    /// Its body, if it has one, cannot be sent again.
    pub once: bool,
    pub begin: Instant,
}

impl Plan {
    pub fn is_idempotent(&self) -> bool {
        self.asked != Asked::Post
    }
}

/// How a request failed.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the text is for whoever reads a complaint")]
pub struct Failure {
    pub kind: ErrorKind,
    pub processed: Processed,
    pub attempts: u32,
    pub reused: Option<bool>,
    /// Some of the answer had come.
    pub answered: bool,
    pub bytes_written: u64,
    pub text: String,
}

/// What came of a request.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the text is for whoever reads a complaint")]
pub enum Outcome {
    Failed(Failure),
    /// All of the right answer, after so many attempts.
    Ok(u32),
    /// An answer that is not the one that was asked for.
    Wrong(String),
}

#[derive(Clone, Debug)]
pub struct Record {
    pub plan: Plan,
    pub end: Instant,
    pub outcome: Outcome,
}

pub fn client(authority: &[u8]) -> Result<Client> {
    Client::builder()
        .tls(Tls::new().only_added_roots().add_root_pem(authority))
        .proxy(None)
        .timeouts(Timeouts::default().total(TOTAL))
        .build()
}

/// Makes requests until that is true.
pub fn run(
    client: &Client,
    urls: &[String; 3],
    next: &AtomicU64,
    ended: &AtomicBool,
    mut random: Random,
) -> Vec<Record> {
    let mut records = Vec::new();
    while !ended.load(Ordering::SeqCst) {
        let many = if random.once_in(10) { 2 + random.below(20) } else { 1 };
        let mut batch = Batch::new();
        let kind = random.below(3) as usize;
        for _ in 0..many {
            let (request, plan) = request(client, urls, kind, next.fetch_add(1, Ordering::Relaxed), &mut random);
            batch.push(request.start(), plan);
        }
        let before = records.len();
        records.extend(batch.map(|(plan, answer)| {
            let outcome = outcome(answer, plan.id);
            Record { plan, end: Instant::now(), outcome }
        }));
        let failed = records[before..].iter().any(|record| matches!(record.outcome, Outcome::Failed(_)));
        // Around nginx's keepalive_timeout now and then; not too many while nobody listens.
        sleep(match (random.once_in(100), failed) {
            (true, _) => Duration::from_millis(1900 + random.below(200)),
            (false, true) => Duration::from_millis(20),
            (false, false) => Duration::from_micros(random.below(5_000)),
        });
    }
    records
}

fn request(client: &Client, urls: &[String; 3], kind: usize, id: u64, random: &mut Random) -> (RequestBuilder, Plan) {
    let asked = random.pick(&[(50, Asked::Get), (10, Asked::KeyedPost), (30, Asked::Post), (10, Asked::Put)]);
    let (method, path) = match asked {
        Asked::Get if random.once_in(10) => (Method::GET, "big".to_owned()),
        Asked::Get if random.once_in(2) => (Method::GET, "slow".to_owned()),
        Asked::Get => (Method::GET, "small".to_owned()),
        Asked::KeyedPost | Asked::Post => (Method::POST, "post".to_owned()),
        Asked::Put => (Method::PUT, format!("put/{}", id % 64)),
    };
    let protocol = if kind == 2 { Protocol::Http2 } else { Protocol::Http1 };
    let mut request = client.request(method, format!("{}/{path}?id={id}", urls[kind])).protocol(protocol);
    if asked == Asked::KeyedPost {
        request = request.header("idempotency-key", id.to_string());
    }
    let mut once = false;
    if asked != Asked::Get {
        let most = random.pick(&[(90, 1_000), (10, 200_000)]);
        let bytes = vec![b'x'; random.below(most) as usize];
        once = random.once_in(5);
        request = if once { request.body(Body::from_reader(io::Cursor::new(bytes))) } else { request.body(bytes) };
    }
    (request, Plan { id, asked, kind, once, begin: Instant::now() })
}

/// Reads the answer, which says whose it is.
fn outcome(answer: Result<Response>, id: u64) -> Outcome {
    let mut response = match answer {
        Ok(response) => response,
        Err(e) => return Outcome::Failed(failure(&e, false)),
    };
    let fine = response.status().is_success() && response.header("x-id") == Some(&id.to_string());
    let (attempts, head) = (response.attempts(), format!("{} {:?}", response.status(), response.headers()));
    match io::copy(response.body(), &mut io::sink()) {
        Err(e) => Outcome::Failed(failure(&e.into(), true)),
        Ok(_) if fine => Outcome::Ok(attempts),
        Ok(_) => Outcome::Wrong(head),
    }
}

fn failure(e: &Error, in_body: bool) -> Failure {
    Failure {
        kind: e.kind(),
        processed: e.processed(),
        attempts: e.attempts(),
        reused: e.reused(),
        answered: in_body || e.processed() == Processed::Yes,
        bytes_written: e.bytes_written(),
        text: e.to_string(),
    }
}
