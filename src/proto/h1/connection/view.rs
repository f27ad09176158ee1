//! What can be asked about a connection.

use super::{
    super::{body::Body, encode::Outgoing, parse::Start},
    Connection, Incoming, Role,
};
use http::{Method, Uri};

impl Connection {
    /// Returns whether the message going out is complete.
    pub fn is_sent(&self) -> bool {
        matches!(self.outgoing, Outgoing::Complete | Outgoing::Switched)
    }

    /// Returns whether the message coming in is complete.
    pub fn is_received(&self) -> bool {
        matches!(self.incoming, Incoming::Complete | Incoming::Tunnel)
    }

    /// Returns whether the connection may serve another exchange once both messages are complete.
    ///
    /// False while a response is complete and its request is not: whether the rest is worth sending, or reading, is for
    /// the driver to decide.
    pub fn persists(&self) -> bool {
        let ahead = match self.role {
            Role::Client => self.is_received() && !self.is_sent(),
            Role::Server => self.is_sent() && !self.is_received(),
        };
        let speaks = match self.incoming {
            Incoming::Start(_) | Incoming::Fields { .. } | Incoming::Body(_) | Incoming::Complete => true,
            Incoming::Switching | Incoming::Tunnel | Incoming::Closed | Incoming::Failed(_) => false,
        };
        speaks && !ahead && !self.closing && self.outgoing != Outgoing::Switched
    }

    /// Returns method and target of a request, in a server, whose head is not complete, or was refused.
    pub fn request_line(&self) -> Option<(&Method, &Uri)> {
        match (&self.refused, &self.incoming) {
            (Some(line), _) => Some((&line.0, &line.1)),
            (None, Incoming::Fields { start: Start::Request { method, uri, .. }, .. }) => Some((method, uri)),
            (None, _) => None,
        }
    }

    /// Returns how many bytes of the request are missing, in a server, behind which the connection goes on if the answer is complete
    /// too; `None` if it does not go on in any case, and if only the end of the body will tell.
    pub fn rest(&self) -> Option<u64> {
        match &self.incoming {
            _ if self.closing || self.wants_continue() => None,
            Incoming::Body(Body::Sized(left)) => Some(*left),
            Incoming::Complete => Some(0),
            _ => None,
        }
    }

    /// Returns whether, in a server, the client waits for 100 before it sends the body, and nothing was sent yet.
    pub fn wants_continue(&self) -> bool {
        self.exchange.awaits_continue && matches!(self.incoming, Incoming::Body(_))
    }

    /// Returns whether, in a client, the request offered to switch protocols, so that a 101 may come.
    pub fn offers_upgrade(&self) -> bool {
        self.exchange.upgrade
    }
}
