//! One side of a connection with its buffers, and events as text.

use super::super::{Config, Connection, Event, Length, Misuse, TargetForm, Violation};
use crate::{
    buf::RecvBuf,
    proto::{End, Role},
};
use http::{Request, Response};
use std::time::Instant;

/// A connection with its input and output.
pub(super) struct Side {
    pub connection: Connection,
    pub input: RecvBuf,
    pub out: Vec<u8>,
    pub now: Instant,
}

impl Side {
    pub fn new(role: Role) -> Self {
        Self::with(role, Config::default())
    }

    pub fn with(role: Role, config: Config) -> Self {
        let (now, mut out) = (Instant::now(), Vec::new());
        let connection = Connection::new(role, config, now, &mut out);
        assert!(out.is_empty());
        Side { connection, input: RecvBuf::new(), out, now }
    }

    /// A client that has sent a request without a body.
    pub fn client(method: &str) -> Self {
        Self::asking(Config::default(), method)
    }

    pub fn asking(config: Config, method: &str) -> Self {
        let mut side = Self::with(Role::Client, config);
        side.ask(method);
        side.out.clear();
        side
    }

    /// Sends a request without a body; `UPGRADE` is a GET that offers one.
    pub fn ask(&mut self, method: &str) {
        let (method, upgrade) = if method == "UPGRADE" { ("GET", true) } else { (method, false) };
        let mut request = Request::builder().method(method).uri("http://example.com:80/");
        if upgrade {
            request = request.header("connection", "upgrade").header("upgrade", "x");
        }
        let request = request.body(()).unwrap();
        self.connection.send_request(&request, TargetForm::Origin, Length::Empty, &mut self.out).unwrap();
    }

    pub fn respond(&mut self, status: u16, length: Length) -> Result<(), Misuse> {
        let head = Response::builder().status(status).body(()).unwrap();
        self.connection.send_response(&head, length, &mut self.out)
    }

    pub fn send(&mut self, data: &[u8], end: End) -> Result<usize, Misuse> {
        self.connection.send_data(data, end, &mut self.out)
    }

    /// The next event as text.
    pub fn poll(&mut self) -> Result<Option<String>, Violation> {
        let event = self.connection.poll_event(self.now, &mut self.input, &mut self.out)?;
        Ok(event.map(text))
    }

    pub fn end_of_input(&mut self) -> Result<Option<String>, Violation> {
        let event = self.connection.end_of_input(self.now, &self.input, &mut self.out)?;
        Ok(event.map(text))
    }

    /// All events that the bytes make; see [`run`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Violation> {
        self.input.extend(bytes);
        let mut events = Vec::new();
        while let Some(event) = self.poll()? {
            events.push(event);
        }
        Ok(events)
    }

    pub fn output(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

/// An event in few words.
pub(super) fn text(event: Event<'_>) -> String {
    let fields = |fields: &crate::fields::Fields| {
        fields.iter().map(|(n, v)| format!(" {}={}", n.escape_ascii(), v.escape_ascii())).collect::<String>()
    };
    match event {
        Event::Head(head) => {
            format!("{} {} {:?}{}", head.method, head.uri, head.version, fields(&head.fields))
        }
        Event::Informational(head) | Event::Answer(head) => {
            format!("{} {:?}{}", head.status.as_u16(), head.version, fields(&head.fields))
        }
        Event::Data(data) => {
            assert!(!data.is_empty());
            format!("+{}", data.escape_ascii())
        }
        Event::Trailers(trailers) => format!("trailers{}", fields(&trailers)),
        Event::Ended => "ended".into(),
        Event::Upgraded => "upgraded".into(),
    }
}

/// What a whole transcript makes of a side: events with data joined, how it ended, what it wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub events: String,
    pub violation: Option<Violation>,
    pub out: Vec<u8>,
    /// What is left in the input.
    pub rest: Vec<u8>,
    pub persists: bool,
}

/// Gives a side its bytes in pieces that end at the cuts, then the end of the connection if `bytes` has it.
///
/// A server answers each request with 204 when it has ended, or 200 to CONNECT, and goes on with the next; a client asks
/// again with the same method.
pub(super) fn run(side: &mut Side, method: &str, bytes: &[u8], cuts: &[usize], eof: bool) -> Outcome {
    let mut outcome = Outcome { events: String::new(), violation: None, out: vec![], rest: vec![], persists: false };
    let mut bounds = vec![0];
    bounds.extend_from_slice(cuts);
    bounds.push(bytes.len());
    for bound in bounds.windows(2) {
        side.input.extend(&bytes[bound[0]..bound[1]]);
        drain(side, method, &mut outcome);
    }
    if eof && outcome.violation.is_none() {
        match side.end_of_input() {
            Ok(event) => note(event.as_deref().unwrap_or("nothing"), &mut outcome.events),
            Err(violation) => outcome.violation = Some(violation),
        }
    }
    outcome.out = std::mem::take(&mut side.out);
    outcome.rest = side.input.peek().to_vec();
    outcome.persists = side.connection.persists();
    outcome
}

fn note(event: &str, events: &mut String) {
    match event.strip_prefix('+') {
        Some(data) if events.rsplit('|').next().is_some_and(|last| last.starts_with('+')) => events.push_str(data),
        _ if events.is_empty() => events.push_str(event),
        _ => {
            events.push('|');
            events.push_str(event);
        }
    }
}

fn drain(side: &mut Side, method: &str, outcome: &mut Outcome) {
    loop {
        match side.poll() {
            Ok(Some(event)) => {
                note(&event, &mut outcome.events);
                if event == "ended" {
                    after_end(side, method, &outcome.events);
                }
            }
            Ok(None) => return,
            Err(violation) => {
                assert!(outcome.violation.is_none_or(|v| v == violation));
                outcome.violation = Some(violation);
                return;
            }
        }
    }
}

fn after_end(side: &mut Side, method: &str, events: &str) {
    if side.connection.wants_continue() {
        panic!("a body that ended needs no 100");
    }
    let head = events.rsplit('|').find(|e| e.contains("HTTP/1")).unwrap();
    if !side.connection.is_sent() {
        let status = if head.starts_with("CONNECT ") { 200 } else { 204 };
        side.respond(status, Length::Empty).unwrap();
    }
    if side.connection.persists() {
        side.connection.next_cycle().unwrap();
        if method != "once" && !method.is_empty() {
            side.ask(method);
        }
    }
}

/// Runs the transcript whole, at every cut, and, if it is short, at every pair of cuts; all outcomes must be the same.
pub(super) fn run_all_cuts(mut side: impl FnMut() -> Side, method: &str, bytes: &[u8], eof: bool) -> Outcome {
    let whole = run(&mut side(), method, bytes, &[], eof);
    for first in 0..=bytes.len() {
        // A violation leaves in the input whatever had arrived by then.
        let check = |mut cut: Outcome, cuts: &[usize]| {
            if whole.violation.is_some() {
                cut.rest.clone_from(&whole.rest);
            }
            assert_eq!(cut, whole, "{} cut at {cuts:?}", bytes.escape_ascii());
        };
        check(run(&mut side(), method, bytes, &[first], eof), &[first]);
        if bytes.len() <= 48 {
            for second in first..=bytes.len() {
                check(run(&mut side(), method, bytes, &[first, second], eof), &[first, second]);
            }
        }
    }
    let each: Vec<usize> = (1..bytes.len()).collect();
    let mut dripped = run(&mut side(), method, bytes, &each, eof);
    if whole.violation.is_some() {
        dripped.rest.clone_from(&whole.rest);
    }
    assert_eq!(dripped, whole, "{} byte by byte", bytes.escape_ascii());
    whole
}
