//! A request on a connection that was silent for long asks whether the peer is still there, whatever is read of it only now.

use crate::{
    h2client::{builder, get, idle, ms, pass, upkeep_one},
    h2peer::*,
};

#[test]
fn what_came_long_before_it_is_read_is_no_sign_of_life() {
    let rest = ms(300);
    let peer = Peer::new();
    let client = builder().probe_after_idle(rest).build().unwrap();
    let mut link = idle(&client, &peer);
    for round in 0..3 {
        pass(rest + ms(50));
        let asked = get(&client, &peer);
        let head = link.request();
        let ping = link.expect(PING);
        link.answer(head.stream, 204, b"");
        asked.join().unwrap_or_else(|e| panic!("round {round}: {e}"));
        // Nobody reads any more.
        link.ack(&ping);
    }
}

#[test]
fn what_is_read_soon_after_it_came_is_one() {
    let rest = ms(600);
    let peer = Peer::new();
    let client = builder().probe_after_idle(rest).build().unwrap();
    let mut link = idle(&client, &peer);
    pass(ms(300));
    upkeep_one(&client);
    link.send(&[Frame::window_update(0, 1)]);
    pass(ms(50));
    upkeep_one(&client);
    pass(ms(350));
    let asked = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 204, b"");
    asked.join().unwrap();
    assert_eq!(link.arrived().iter().filter(|frame| frame.kind == PING).count(), 0);
}
