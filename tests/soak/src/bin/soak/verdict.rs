//! What is wrong in the end.

use bowline_soak::process::Usage;
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// After fewer requests nobody knows whether resident memory still grows: allocator, tickets and tables have to find their sizes.
const JUDGED: u64 = 500_000;

/// How much more may be in use when everything is still: tickets and tables that have grown.
const GROWTH: u64 = 32 * 1024;

pub struct Verdict {
    before: Usage,
    samples: Vec<Usage>,
    /// Bytes in use after each part.
    live: Vec<u64>,
    complaints: Vec<String>,
}

impl Verdict {
    pub fn new(before: Usage) -> Self {
        Verdict { before, samples: Vec::new(), live: Vec::new(), complaints: Vec::new() }
    }

    pub fn sample(&mut self, usage: Usage) {
        self.samples.push(usage);
    }

    pub fn live(&mut self, bytes: u64) {
        self.live.push(bytes);
    }

    pub fn complaints(&mut self, complaints: Vec<String>) {
        self.complaints.extend(complaints);
    }

    pub fn check(&mut self, what: &str, is: u64, expected: u64) {
        if is != expected {
            self.complaints.push(format!("{what}: {is}, not {expected}"));
        }
    }

    /// Once nothing is left of the client, the process is as it was; threads need a moment to end.
    pub fn in_the_end(&mut self, now: impl Fn() -> Usage) {
        let as_before = |u: &Usage| u.descriptors <= self.before.descriptors && u.threads <= self.before.threads;
        let until = Instant::now() + Duration::from_secs(5);
        let mut usage = now();
        while !as_before(&usage) && Instant::now() < until {
            sleep(Duration::from_millis(10));
            usage = now();
        }
        let before = self.before;
        self.check("descriptors without a client", usage.descriptors as u64, before.descriptors as u64);
        self.check("threads without a client", usage.threads as u64, before.threads as u64);
        self.check("sockets in CLOSE_WAIT without a client", usage.close_wait as u64, 0);
    }

    /// Shows the verdict; returns whether all is well.
    pub fn show(mut self, requests: u64) -> bool {
        self.leak();
        self.memory(requests);
        for complaint in self.complaints.iter().take(50) {
            println!("FAILED: {complaint}");
        }
        if self.complaints.is_empty() {
            println!("ok");
        }
        self.complaints.is_empty()
    }

    /// What is in use while everything is still does not grow, once the first parts have filled what is filled once.
    fn leak(&mut self) {
        println!("bytes in use after each part: {:?}", self.live);
        let parts = self.live.len();
        if parts < 8 {
            return self.complaints.push(format!("{parts} parts were measured"));
        }
        let median = |live: &[u64]| {
            let mut live = live.to_vec();
            live.sort_unstable();
            live[live.len() / 2]
        };
        let (early, late) = (median(&self.live[2..5]), median(&self.live[parts - 3..]));
        if late > early + GROWTH {
            self.complaints.push(format!("bytes in use have grown from {early} to {late}"));
        }
    }

    /// Memory in the last fifth is that of the second; before, it grows as it should: until allocator, tickets and tables have found
    /// their sizes, which takes some hundred thousand requests.
    fn memory(&mut self, requests: u64) {
        let fifth = self.samples.len() / 5;
        if fifth < 4 {
            return;
        }
        let median = |samples: &[Usage]| {
            let mut resident: Vec<_> = samples.iter().map(|usage| usage.resident).collect();
            resident.sort_unstable();
            resident[resident.len() / 2]
        };
        let (early, late) = (median(&self.samples[fifth..2 * fifth]), median(&self.samples[4 * fifth..]));
        let descriptors = self.samples.iter().map(|usage| usage.descriptors).max().unwrap_or(0);
        println!("memory {early} KiB early, {late} KiB late; at most {descriptors} descriptors");
        if requests >= JUDGED && late > early + early / 8 + 2048 {
            self.complaints.push(format!("memory has grown from {early} to {late} KiB"));
        }
    }
}
