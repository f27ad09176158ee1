//! What one request was told besides its head and body.

use super::{
    redirect::Redirects,
    retry::Retry,
    settings::{Protocol, Settings},
};
use crate::{drive::Cancel, proto::ws::Offer, time::Timeouts};
use std::time::Duration;

/// The options of one request: the client's, unless it said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) timeouts: Timeouts,
    pub(crate) protocol: Protocol,
    pub(crate) redirects: Redirects,
    pub(crate) retry: Retry,
    pub(crate) cancels: Vec<Cancel>,
    /// How long the body waits for a 100.
    pub(crate) expect: Option<Duration>,
    /// The protocol asked for by Upgrade or CONNECT.
    pub(crate) upgrade: Option<String>,
    /// What a WebSocket offers.
    pub(crate) websocket: Option<Box<Offer>>,
}

impl Options {
    /// The options of a request that says nothing itself.
    pub(crate) fn of(settings: &Settings) -> Self {
        Options {
            timeouts: settings.timeouts.clone(),
            protocol: settings.protocol,
            redirects: settings.redirects,
            retry: settings.retry,
            cancels: settings.cancels.clone(),
            expect: None,
            upgrade: None,
            websocket: None,
        }
    }
}
