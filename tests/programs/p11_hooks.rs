//! A signer, a retry policy of one's own, and tracing: three hooks.
use super::world;
use bowline::{
    Attempt, Body, Error, Hook, Response, Result, Trace, Verdict,
    http::{HeaderValue, Request},
};
use std::time::Duration;

struct Signer {
    key: String,
}
impl Hook for Signer {
    fn before(&self, request: &mut Request<Body>, _attempt: &Attempt) -> Result<()> {
        let text = format!("{} {} {}", self.key, request.method(), request.uri());
        let mut value = HeaderValue::from_str(&format!("v1 {}", text.len())).map_err(Error::other)?;
        value.set_sensitive(true);
        request.headers_mut().insert("authorization", value);
        Ok(())
    }
}

struct Patience;
impl Hook for Patience {
    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        if attempt.number >= 4 {
            return Verdict::Deliver;
        }
        match outcome {
            Ok(r) if r.status() == 429 || r.status() == 503 => {
                let wait = r.header("retry-after").and_then(|s| s.parse().ok()).unwrap_or(1 << attempt.number);
                Verdict::RetryAfter(Duration::from_secs(wait))
            }
            Err(e) if e.is_retryable() => Verdict::RetryAfter(Duration::from_millis(200 << attempt.number)),
            _ => Verdict::Pass,
        }
    }
}

struct Log;
impl Hook for Log {
    fn trace(&self, step: &Trace) {
        match step {
            Trace::Connected { connection, took } => eprintln!("connected #{} in {took:?}", connection.id),
            Trace::Answered { request_id, status, took } => eprintln!("[{request_id}] {status} in {took:?}"),
            other => eprintln!("{other:?}"),
        }
    }
}

#[test]
fn main() -> Result<()> {
    let client = world::builder().hook(Log).hook(Patience).hook(Signer { key: "k".into() }).build()?;
    let strict = client.derive().timeout(Duration::from_secs(1)).build()?;
    assert_eq!(client.get("https://s3.test/bucket").send()?.text()?, "a bucket");
    assert_eq!(strict.get("https://s3.test/health").send()?.status(), 204);
    Ok(())
}
