//! Messages that the peer may not have received: kept until it has answered a PING behind them, sent again on another connection.

use super::message::{Message, MessageRef};
use std::collections::VecDeque;

/// Messages that were accepted and are not confirmed.
///
/// Behind a message goes a PING, unless one is on its way. Its answer confirms what was sent before it: the peer has read all that.
#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    kept: VecDeque<Message>,
    bytes: usize,
    /// How many were confirmed so far.
    confirmed: u64,
    /// The PING that is on its way, and how many messages are confirmed by its answer.
    asked: Option<([u8; 8], u64)>,
}

impl Outbox {
    /// Returns an empty outbox for so many bytes; one message is kept whatever its size.
    pub(super) fn new(limit: usize) -> Self {
        Outbox { limit, kept: VecDeque::new(), bytes: 0, confirmed: 0, asked: None }
    }

    /// Returns whether there is room for another message.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    /// Keeps a message that is sent now.
    pub(super) fn keep(&mut self, message: MessageRef<'_>) {
        self.bytes += message.as_bytes().len();
        self.kept.push_back(message.to_message());
    }

    /// Returns whether the peer is to be asked what it has.
    pub(super) fn wants_to_ask(&self) -> bool {
        self.asked.is_none() && !self.kept.is_empty()
    }

    /// A PING with this payload goes out behind everything kept.
    pub(super) fn asks(&mut self, payload: [u8; 8]) {
        self.asked = Some((payload, self.confirmed + self.kept.len() as u64));
    }

    /// A PING was answered; returns whether that confirmed anything.
    pub(super) fn answered(&mut self, payload: &[u8]) -> bool {
        let Some((_, upto)) = self.asked.filter(|(asked, _)| asked == payload) else { return false };
        self.asked = None;
        while self.confirmed < upto {
            let Some(message) = self.kept.pop_front() else { break };
            self.bytes -= message.as_bytes().len();
            self.confirmed += 1;
        }
        true
    }

    /// The connection is gone; the PING is not answered any more.
    pub(super) fn lose(&mut self) {
        self.asked = None;
    }

    /// Returns the messages, oldest first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.kept.iter()
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_confirms_what_was_sent_before_its_ping() {
        let mut outbox = Outbox::new(10);
        assert!(!outbox.wants_to_ask());
        outbox.keep(MessageRef::Text("one"));
        outbox.keep(MessageRef::Text("two"));
        outbox.asks([1; 8]);
        outbox.keep(MessageRef::Binary(b"three"));
        assert_eq!((outbox.len(), outbox.has_room(), outbox.wants_to_ask()), (3, false, false));
        assert!(!outbox.answered(&[2; 8]));
        assert!(outbox.answered(&[1; 8]));
        assert_eq!(outbox.messages().collect::<Vec<_>>(), [&Message::Binary(b"three".to_vec())]);
        assert!(outbox.wants_to_ask() && outbox.has_room());
        // The answer of a connection that is gone says nothing of this one.
        outbox.asks([3; 8]);
        outbox.lose();
        assert!(!outbox.answered(&[3; 8]));
        assert_eq!(outbox.len(), 1);
    }
}
