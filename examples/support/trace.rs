//! A hook that says on standard error what happens.

use bowline::{Attempt, Body, Error, Hook, Response, Result, Trace, Verdict, http::HeaderMap, http::Request};
use std::fmt::Write;

/// `>` is what we ask, `<` what is answered, `*` what happens below. Values that are secret are not shown.
#[derive(Debug)]
pub struct Stderr;

impl Hook for Stderr {
    fn before(&self, request: &mut Request<Body>, attempt: &Attempt) -> Result<()> {
        let mut text = format!("> [{}] {} {}\n", attempt.request_id, request.method(), request.uri());
        fields(&mut text, '>', request.headers());
        warn!("{}", text.trim_end());
        Ok(())
    }

    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        let id = attempt.request_id;
        match outcome {
            Ok(response) => {
                let connection = response.connection().id;
                let mut text = format!("< [{id}] {:?} {} on #{connection}\n", response.version(), response.status());
                fields(&mut text, '<', response.headers());
                warn!("{}", text.trim_end());
            }
            Err(e) => warn!("< [{id}] attempt {}: {e}", attempt.number),
        }
        Verdict::Pass
    }

    fn trace(&self, step: &Trace) {
        match step {
            Trace::Connected { connection: c, took } => {
                let tls = c.tls.as_deref().unwrap_or("in the clear");
                let peer = c.peer.map_or_else(|| "a wire of ours".into(), |peer| peer.to_string());
                warn!("* #{} to {} at {peer} in {took:?}: {:?}, {tls}", c.id, c.origin, c.version);
            }
            Trace::Informational { request_id, status, headers } => {
                let mut text = format!("< [{request_id}] {status}\n");
                fields(&mut text, '<', headers);
                warn!("{}", text.trim_end());
            }
            // The hooks above have said more.
            Trace::Answered { .. } => {}
            other => warn!("* {other:?}"),
        }
    }
}

fn fields(text: &mut String, mark: char, headers: &HeaderMap) {
    for (name, value) in headers {
        let value = if value.is_sensitive() { "(secret)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        writeln!(text, "{mark}   {name}: {value}").expect("a String takes everything");
    }
}
