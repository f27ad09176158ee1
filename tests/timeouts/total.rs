//! The limit of the whole.

use super::*;

#[test]
fn the_total_covers_every_phase() {
    let total = || Timeouts::none().total(LIMIT);
    let quiet = silent();
    let error = timed(LIMIT, || with(total()).post(quiet.url("/")).send().unwrap_err());
    expect(&error, Phase::FirstByte, LIMIT);
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, false), "it was sent");
    assert!(error.bytes_written() > 0 && error.connection().is_some());
    let error = timed(LIMIT, || with(total()).get(quiet.url("/")).send().unwrap_err());
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, true));

    let (stop, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let stuck = reads(move |_| wait.lock().unwrap().recv().unwrap_or_default());
    let body = Body::from_reader(Pattern::new(1 << 30));
    let error = timed(LIMIT, || with(total()).post(stuck.url("/")).body(body).send().unwrap_err());
    expect(&error, Phase::Send, LIMIT);
    drop(stop);

    let drips = peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\n\r\n");
        conn.drip([b'x'; 1000], ms(20));
    });
    let error = timed(LIMIT, || with(total()).get(drips.url("/")).send().unwrap().bytes().unwrap_err());
    expect(&error, Phase::Body, LIMIT);

    assert_eq!(
        prompt(|| with(Timeouts::none().total(Duration::ZERO)).get(quiet.url("/")).send().unwrap_err()).kind(),
        ErrorKind::TimedOut
    );
}

#[test]
fn a_body_that_never_pauses_does_not_outrun_the_total() {
    let peer = peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\n\r\n");
        let piece = vec![b'x'; 1 << 20];
        while io::Write::write_all(&mut conn.socket(), &piece).is_ok() {}
    });
    let client = with(Timeouts::none().total(LIMIT));
    let response = client.get(peer.url("/")).send().unwrap();
    let began = Instant::now();
    let error = response.copy_to(&mut io::sink()).unwrap_err();
    assert!(began.elapsed() <= LIMIT + late(began), "{:?}", began.elapsed());
    expect(&error, Phase::Body, LIMIT);
}

#[test]
fn an_answer_that_has_arrived_whole_can_be_read_later() {
    let peer = peer(|_, mut conn| conn.serve());
    let response = with(Timeouts::none().total(ms(100))).get(peer.url("/")).send().unwrap();
    pass(ms(150));
    assert_eq!(response.text().unwrap(), "0 /");
}

#[test]
fn the_total_covers_redirects_and_retries() {
    let round = peer(|_, mut conn| {
        while conn.request().is_some() {
            pass(ms(30));
            conn.say("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let client = with(Timeouts::none().total(LIMIT));
    let request = client.get(round.url("/")).redirects(bowline::Redirects::Follow(1000));
    expect(&timed(LIMIT, || request.send().unwrap_err()), Phase::FirstByte, LIMIT);

    struct Again(Duration);
    impl Hook for Again {
        fn after(&self, _: &Attempt, _: Result<&Response, &Error>) -> Verdict {
            Verdict::RetryAfter(self.0)
        }
    }
    let busy = peer(|_, mut conn| {
        while conn.request().is_some() {
            conn.say("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        }
    });
    // Without time for another pause the last answer is delivered, and no sooner.
    let (total, pause) = (ms(1000), ms(300));
    let client = builder().hook(Again(pause)).timeouts(Timeouts::none().total(total)).build().unwrap();
    let began = Instant::now();
    let response = client.get(busy.url("/")).send().unwrap();
    let (took, retries) = (began.elapsed(), client.stats().retries as u32);
    assert!(took >= total - pause && took < total + late(began), "{took:?}");
    assert_eq!((response.status().as_u16(), response.text().unwrap().as_str()), (503, "busy"));
    // Three, unless the machine took the time of one.
    assert!((1..=3).contains(&retries) && took >= pause * retries, "{retries} in {took:?}");

    // A pause longer than the clock reaches is never over.
    let client = builder().hook(Again(Duration::MAX)).timeouts(Timeouts::none()).build().unwrap();
    let mut pending = client.get(busy.url("/")).start();
    assert!(timed(LIMIT, || pending.wait_timeout(LIMIT)).unwrap().is_none());
    assert_eq!(client.stats().retries, 1);
}

#[test]
fn limits_longer_than_the_clock_are_none() {
    let max = Duration::MAX;
    let timeouts = Timeouts::none().total(max).resolve(max).connect(max).slot(max).first_byte(max).read(max).write(max);
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().timeouts(timeouts).interrupt(max, || bowline::Flow::Stop).build().unwrap();
    let mut pending = client.post(peer.url("/")).body("x").start();
    let mut response = pending.wait_timeout(max).unwrap().unwrap();
    let mut buf = [0; 16];
    assert!(matches!(response.body().read_timeout(&mut buf, max), Ok(Recv::Item(3))));
    assert!(matches!(response.body().read_timeout(&mut buf, max), Ok(Recv::Ended)));
}
