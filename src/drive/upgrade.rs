//! Streams that begin otherwise than with a request of ours: `Upgrade: h2c` (RFC 7540, section 3.2), and wires as they are.

use super::{
    carrier::Carrier,
    h1::H1,
    h2::H2,
    keep::Patience,
    next_id,
    quota::Quota,
    setup::Setup,
    shared::Shared,
    slot::{Sending, Slot},
    stream::Stream,
};
use crate::{
    buf::RecvBuf,
    net::Wire,
    proto::{
        RequestHead, Role, h1,
        h2::{self, Connection},
    },
};
use std::{sync::Arc, time::Instant};

/// Takes the wire of a client's HTTP/1 connection whose request was answered with 101, and makes that request stream 1;
/// `prepare` says what the new connection is told besides.
///
/// `None` while another thread is reading or writing; poll again.
pub(crate) fn to_h2(
    old: &Stream,
    config: h2::Config,
    prepare: impl FnOnce(&mut Setup),
    now: Instant,
) -> Option<Result<Stream, h2::Violation>> {
    let written = old.progress().written;
    let detached = old.carrier().detach()?;
    let mut setup = Setup::new(detached.wire, None, detached.out, detached.input, detached.origin, next_id(), now);
    prepare(&mut setup);
    let engine = match Connection::upgraded(Role::Client, config, &[], now, setup.out()) {
        Ok(engine) => engine,
        Err(violation) => return Some(Err(violation)),
    };
    let mut slot = Box::new(Slot::new(0));
    (slot.sending, slot.before) = (Sending::Ended, written);
    let mut driver = H2::new(engine, Role::Client);
    driver.adopt(slot);
    let conn: Arc<dyn Carrier> = Arc::new(Shared::new(setup, driver));
    Some(Ok(Stream::new(conn, 1)))
}

/// Returns whether a client may say this in HTTP2-Settings: after the 101 it is too late to refuse it.
pub(crate) fn are_h2_settings(payload: &[u8]) -> bool {
    Connection::are_settings_of_client(payload)
}

/// Takes the wire of a server's HTTP/1 connection that has just answered `head` with 101, and makes that request stream 1.
///
/// `settings` is what HTTP2-Settings held. `None` while another thread is reading or writing.
pub(crate) fn serve_h2(
    old: &Arc<dyn Carrier>,
    config: h2::Config,
    settings: &[u8],
    head: RequestHead,
    patience: Patience,
    quota: Option<Arc<dyn Quota>>,
    now: Instant,
) -> Option<Result<Arc<dyn Carrier>, h2::Violation>> {
    let detached = old.detach()?;
    let mut setup = Setup::new(detached.wire, None, detached.out, detached.input, detached.origin, old.id(), now);
    (setup.write_stall, setup.min_rate) = (patience.write, patience.min_rate);
    setup.piece = quota.as_ref().map_or(setup.piece, |quota| quota.piece());
    setup.quota = quota.clone();
    let engine = match Connection::upgraded(Role::Server, config, settings, now, setup.out()) {
        Ok(engine) => engine,
        Err(violation) => return Some(Err(violation)),
    };
    let mut driver = H2::new(engine, Role::Server).with_patience(patience, None, now).with_quota(quota);
    driver.adopt_request(head);
    Some(Ok(Arc::new(Shared::new(setup, driver))))
}

/// Makes one stream of a whole wire, whose bytes are nobody's but the caller's.
pub(crate) fn raw(wire: Arc<dyn Wire>, now: Instant) -> Stream {
    let mut setup = Setup::new(wire, None, Vec::new(), RecvBuf::new(), String::new(), next_id(), now);
    let engine = h1::Connection::new(Role::Client, h1::Config::default(), now, setup.out());
    let conn: Arc<dyn Carrier> = Arc::new(Shared::new(setup, H1::raw(engine)));
    Stream::new(conn, 1)
}
