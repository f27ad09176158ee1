//! Compares what the client says with what the server has logged.

use crate::{
    arrivals::Arrivals,
    nginx::{Trouble, What},
    traffic::{Asked, Failure, Outcome, Record, TOTAL},
};
use bowline::{ErrorKind, Processed};
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// What was answered may be killed before it is logged.
const UNLOGGED: Duration = Duration::from_millis(250);

/// What a kill breaks may be noticed so much later.
const NOTICED: Duration = Duration::from_millis(500);

/// How late a limit may be noticed.
const LATE: Duration = Duration::from_secs(2);

/// Prints counts and complaints; returns whether there are none of those.
pub fn judge(records: &[Record], troubles: &[Trouble], log: &str, arrivals: &Arrivals) -> bool {
    let (served, mut complaints) = served(log);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        let times = served.get(&record.plan.id).map_or(&[][..], Vec::as_slice);
        match verdict(record, times, troubles) {
            Ok(count) => *counts.entry(count).or_default() += 1,
            Err(complaint) => {
                complaints.push(format!("{complaint}: {:?} {:?}, logged {times:?}", record.plan, record.outcome));
            }
        }
        let arrived = arrivals.of(record.plan.id);
        if record.plan.asked == Asked::Post && (times.len() > 1 || arrived > 1) {
            complaints.push(format!("a POST arrived {arrived} times: {:?}, logged {times:?}", record.plan));
        }
        if arrived > 0 {
            *counts.entry("arrived behind nginx").or_default() += 1;
            if matches!(&record.outcome, Outcome::Failed(failure) if failure.processed == Processed::No) {
                complaints.push(format!("said to be unprocessed, and arrived: {:?} {:?}", record.plan, record.outcome));
            }
        }
    }
    let again = records.iter().filter(|record| matches!(record.outcome, Outcome::Ok(2..))).count();
    let twice = served.values().filter(|times| times.len() > 1).count();
    counts.insert("ok at the second attempt", again as u64);
    counts.insert("served twice, as it may be", twice as u64);
    for (what, count) in counts {
        println!("{count:9} {what}");
    }
    for complaint in complaints.iter().take(50) {
        println!("FAILED: {complaint}");
    }
    println!("{} complaints", complaints.len());
    complaints.is_empty()
}

/// The statuses logged for each request, and what is wrong with the log.
fn served(log: &str) -> (HashMap<u64, Vec<u16>>, Vec<String>) {
    let mut served: HashMap<u64, Vec<u16>> = HashMap::new();
    let mut complaints = Vec::new();
    for line in log.lines() {
        let mut words = line.split(' ');
        match (words.next().map(str::parse), words.next().map(str::parse)) {
            (Some(Ok(id)), Some(Ok(status))) => served.entry(id).or_default().push(status),
            // A connection that ended without a request.
            (Some(_), Some(Ok(400 | 408 | 499))) => {}
            _ => complaints.push(format!("nginx has logged `{line}`")),
        }
    }
    (served, complaints)
}

/// What to count a request as, or what is wrong with it.
fn verdict(record: &Record, times: &[u16], troubles: &[Trouble]) -> Result<&'static str, &'static str> {
    let (begin, end) = (record.plan.begin, record.end);
    let killed = overlaps(begin, end, troubles, NOTICED, |what| what != What::Reload);
    if end - begin > TOTAL + LATE {
        return Err("came too late");
    }
    match &record.outcome {
        Outcome::Wrong(_) => Err("a wrong answer"),
        Outcome::Ok(_) if times.iter().any(|status| (200..300).contains(status)) => Ok("ok"),
        // The answer says whose it is: nginx has made it, and was killed before it could say so.
        Outcome::Ok(_) if overlaps(begin, end + UNLOGGED, troubles, NOTICED, |what| what != What::Reload) => {
            Ok("ok, and killed before it was logged")
        }
        Outcome::Ok(_) => Err("reported, and not served"),
        Outcome::Failed(failure) if failure.processed == Processed::No && !times.is_empty() => {
            Err("said to be unprocessed, and was not")
        }
        Outcome::Failed(_) if overlaps(begin, end, troubles, NOTICED, |what| what == What::KillAll) => {
            Ok("failed while nginx was down")
        }
        Outcome::Failed(failure) => lost(record, failure, killed),
    }
}

/// Whether a failure while the server was up is one that the rules allow.
fn lost(record: &Record, failure: &Failure, killed: bool) -> Result<&'static str, &'static str> {
    let plan = &record.plan;
    let http1 = plan.kind != 2;
    if failure.kind == ErrorKind::TimedOut {
        return Err("timed out");
    }
    if failure.answered {
        return if killed { Ok("cut in the answer by a kill") } else { Err("cut in the answer") };
    }
    if failure.attempts > 1 {
        return if killed { Ok("failed at the second attempt in a kill") } else { Err("failed twice") };
    }
    if failure.processed == Processed::No && failure.bytes_written == 0 && failure.reused != Some(true) && killed {
        return Ok("not connected in a kill");
    }
    if plan.once {
        return Ok("failed, with a body that cannot be sent again");
    }
    if failure.processed == Processed::No {
        return Err("lost, and certainly unprocessed");
    }
    if !plan.is_idempotent() {
        return Ok("a POST that failed and may have been processed");
    }
    if http1 && failure.reused == Some(false) {
        return if killed { Ok("the first of its connection, killed") } else { Err("the first of its connection") };
    }
    Err("lost, and safe to repeat")
}

/// Whether the time from `begin` to `end` has something of such trouble, up to `after` behind it.
fn overlaps(begin: Instant, end: Instant, troubles: &[Trouble], after: Duration, such: impl Fn(What) -> bool) -> bool {
    troubles.iter().any(|trouble| such(trouble.what) && begin <= trouble.end + after && end >= trouble.begin)
}
