//! Waits that take no time, and threads that come and go.

use super::*;

#[test]
fn a_wait_of_no_time_takes_what_is_there() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let mut pending = client.get(peer.url("/")).start();
    let stream = link.request().stream;
    let began = Instant::now();
    assert!(pending.try_wait().unwrap().is_none());
    assert!(began.elapsed() < ms(50), "it waited");
    link.answer(stream, 200, b"there");
    let answer = pending.try_wait().unwrap().expect("it is there");
    assert_eq!(answer.text().unwrap(), "there");
    assert_eq!(pending.try_wait().unwrap_err().kind(), ErrorKind::Misuse);

    let mut pending = client.get(peer.url("/")).start();
    let stream = link.request().stream;
    for _ in 0..3 {
        let began = Instant::now();
        assert!(pending.wait_timeout(ms(50)).unwrap().is_none());
        assert_on_time(began, ms(50), Instant::now());
    }
    link.answer(stream, 200, b"");
    assert!(pending.wait_timeout(PATIENCE).unwrap().is_some());
}

#[test]
fn many_threads_that_come_and_go() {
    // Requests with limits that are shorter and longer than the answers take, cancels in between: whoever is answered gets its
    // own answer, whoever is not is told in time, and nobody waits for ever.
    let (peer, client) = (Peer::new(), client());
    let url = peer.url("/");
    peer.serve(|mut link| {
        link.handshake(&[]);
        let (mut bodies, mut n) = (BTreeMap::<u32, Vec<u8>>::new(), 0u32);
        while let Some(frame) = link.next_or_end() {
            let on = match frame.kind {
                HEADERS => bodies.insert(frame.stream, Vec::new()).is_none(),
                DATA => {
                    let body = bodies.entry(frame.stream).or_default();
                    body.extend(&frame.payload);
                    n += 1;
                    let mut said = vec![Frame::window_update(0, frame.payload.len() as u32)];
                    if n % 7 > 0 {
                        // Every seventh is never answered.
                        said.extend(answer(frame.stream, 200, body));
                    }
                    link.try_send(&said)
                }
                PING if !frame.is_ack() => link.try_send(&[Frame::ping_ack(&frame.payload)]),
                _ => true,
            };
            if !on {
                break;
            }
        }
    });
    let threads: Vec<_> = (0..8u64)
        .map(|t| {
            let (client, url) = (client.clone(), url.clone());
            task(move || {
                let mut answered = 0;
                for n in 0..40 * u64::from(rounds()) / 20 {
                    let name = format!("request {n} of thread {t}");
                    let limit = ms(5 + (n * 7 + t * 3) % 20);
                    let began = Instant::now();
                    let outcome = client.put(&url).timeout(limit).body(name.clone()).send().and_then(Response::text);
                    match outcome {
                        Ok(text) => {
                            assert_eq!(text, name);
                            answered += 1;
                        }
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::TimedOut, "{e:?}");
                            assert!(began.elapsed() >= limit && began.elapsed() <= limit + LATE, "{e:?}");
                        }
                    }
                }
                answered
            })
        })
        .collect();
    let answered: u32 = threads.into_iter().map(Task::join).sum();
    assert!(answered > 0);
}
