//! A peer that leaves in every way, while many requests are under way.

use super::*;

/// How the peer of a race leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// GOAWAY that names the last stream seen.
    At,
    /// GOAWAY that names an earlier one than were seen: what is above is not answered.
    Below,
    /// GOAWAY at 2^31-1, then at the last one seen.
    Twice,
    /// GOAWAY with an error code.
    InTrouble,
    /// GOAWAY at the last one seen; what was seen is answered, then the connection is closed.
    AndClose,
    /// No GOAWAY: the connection is closed with requests unanswered.
    Cut,
    /// Each second stream is refused.
    Refusing,
}

/// What the peer of a race has seen: how often each request was processed, by its body.
type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

/// Serves a connection: after some requests it leaves. A request counts as processed if it is at or below the last id and complete.
fn serve(mut link: Link, leaving: Leaving, after: u32, seen: &Seen) {
    link.handshake(&[]);
    let mut bodies: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let (mut complete, mut last, mut gone) = (0, 0, false);
    while let Some(frame) = link.next_or_end() {
        match frame.kind {
            HEADERS => _ = bodies.insert(frame.stream, Vec::new()),
            DATA => bodies.get_mut(&frame.stream).expect("a head").extend(&frame.payload),
            _ => continue,
        }
        if gone && frame.stream > last || !frame.ends() {
            continue;
        }
        complete += 1;
        let body = String::from_utf8(bodies.remove(&frame.stream).expect("a head")).expect("text");
        if matches!(leaving, Leaving::Refusing) && complete % 2 == 0 {
            if !link.try_send(&[Frame::reset(frame.stream, REFUSED_STREAM)]) {
                return;
            }
            continue;
        }
        let leaves = !gone && complete >= after && !matches!(leaving, Leaving::Refusing);
        if leaves {
            gone = true;
            last = frame.stream.max(bodies.keys().copied().max().unwrap_or(0));
            let farewell = match leaving {
                Leaving::At | Leaving::AndClose => vec![Frame::goaway(last, NO_ERROR, b"")],
                Leaving::Below => {
                    last = frame.stream.saturating_sub(2);
                    vec![Frame::goaway(last, NO_ERROR, b"")]
                }
                Leaving::Twice => {
                    vec![Frame::goaway(0x7fff_ffff, NO_ERROR, b""), Frame::goaway(last, NO_ERROR, b"")]
                }
                Leaving::InTrouble => vec![Frame::goaway(last, INTERNAL_ERROR, b"")],
                Leaving::Cut => {
                    // It was processed, and nobody will know.
                    *seen.lock().unwrap().entry(body).or_default() += 1;
                    return;
                }
                Leaving::Refusing => Vec::new(),
            };
            if !link.try_send(&farewell) {
                return;
            }
        }
        if !gone || frame.stream <= last {
            *seen.lock().unwrap().entry(body.clone()).or_default() += 1;
            if !link.try_send(&answer(frame.stream, 200, body.as_bytes())) {
                return;
            }
        }
        if gone && matches!(leaving, Leaving::AndClose) && bodies.keys().all(|id| *id > last) {
            return;
        }
    }
}

/// Eight threads, each with some requests one after the other, against a peer that leaves again and again.
fn race(leaving: Leaving, method: Method, round: u32) -> (Vec<(String, Result<String>)>, BTreeMap<String, u32>) {
    let (peer, client) = (Peer::new(), client());
    let url = peer.url("/");
    let seen = Seen::default();
    let (at_peer, turn) = (seen.clone(), Arc::new(AtomicU32::new(round)));
    peer.serve(move |link| {
        // The n-th connection of a round leaves after a different number of requests.
        let after = 1 + turn.fetch_add(1, Ordering::Relaxed) % 7;
        serve(link, leaving, after, &at_peer);
    });
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (client, url, barrier, method) = (client.clone(), url.clone(), barrier.clone(), method.clone());
            task(move || {
                barrier.wait();
                (0..4)
                    .map(|n| {
                        let name = format!("request {n} of thread {thread}");
                        let request = client.request(method.clone(), &url).body(name.clone());
                        (name, request.send().and_then(Response::text))
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let outcomes = threads.into_iter().flat_map(Task::join).collect();
    let seen = seen.lock().unwrap().clone();
    (outcomes, seen)
}

/// What holds whatever happens.
fn check(case: &str, method: &Method, outcomes: &[(String, Result<String>)], seen: &BTreeMap<String, u32>) {
    for (name, outcome) in outcomes {
        let times = seen.get(name).copied().unwrap_or(0);
        match outcome {
            Ok(body) => {
                assert_eq!(body, name, "{case}: the answer of another request");
                assert!(times >= 1, "{case}: {name} was answered and never processed");
            }
            Err(e) => match e.processed() {
                Processed::No => assert_eq!(times, 0, "{case}: {name} is said not to have been processed: {e:?}"),
                Processed::Maybe | Processed::Yes => {}
            },
        }
        if *method == Method::POST {
            assert!(times <= 1, "{case}: {name} was processed {times} times");
        }
    }
}

#[test]
fn every_request_completes_exactly_once_however_the_peer_leaves() {
    use Leaving::*;
    for leaving in [At, Twice, AndClose, Refusing] {
        for round in 0..rounds() {
            for method in [Method::POST, Method::PUT] {
                let case = format!("{leaving:?}, {method}, round {round}");
                let (outcomes, seen) = race(leaving, method.clone(), round);
                check(&case, &method, &outcomes, &seen);
                let mut twice_refused = 0;
                for (name, outcome) in &outcomes {
                    // One automatic repetition: a request that meets two departures in a row is told so, and was not processed.
                    match outcome {
                        Ok(_) => assert_eq!(seen.get(name), Some(&1), "{case}: {name}"),
                        Err(e) => {
                            assert_eq!(
                                (e.kind(), e.attempts()),
                                (ErrorKind::Refused, 2),
                                "{case}: {name}: {e:?} on {:?}",
                                e.connection()
                            );
                            twice_refused += 1;
                        }
                    }
                }
                assert!(twice_refused <= 16, "{case}: {twice_refused}");
            }
        }
    }
}

#[test]
fn a_peer_that_names_fewer_than_it_saw_processes_nothing_twice() {
    for round in 0..rounds() {
        for leaving in [Leaving::Below, Leaving::InTrouble] {
            for method in [Method::POST, Method::PUT] {
                if matches!(leaving, Leaving::InTrouble) && round >= 4 {
                    continue; // Each takes up to a second for each departure.
                }
                let case = format!("{leaving:?}, {method}, round {round}");
                let (outcomes, seen) = race(leaving, method.clone(), round);
                check(&case, &method, &outcomes, &seen);
                assert!(seen.values().all(|times| *times == 1), "{case}: {seen:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_cuts_connections_gets_no_post_twice() {
    for round in 0..rounds() {
        for method in [Method::POST, Method::PUT] {
            let case = format!("{method}, round {round}");
            let (outcomes, seen) = race(Leaving::Cut, method.clone(), round);
            check(&case, &method, &outcomes, &seen);
            for (name, outcome) in &outcomes {
                if let Err(e) = outcome {
                    let attempts = if method == Method::POST { 1..=2 } else { 2..=2 };
                    assert!(attempts.contains(&e.attempts()), "{case}: {name}: {e:?}");
                    assert_eq!(e.kind(), ErrorKind::Closed, "{case}: {name}: {e:?}");
                }
            }
        }
    }
}
