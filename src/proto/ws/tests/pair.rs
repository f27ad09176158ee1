//! Engine against engine: everything that one sends, the other hears, however the bytes are split.

use super::*;

/// What can be sent.
#[derive(Clone, Debug)]
enum Sent {
    Message(Kind, Vec<u8>),
    Parts(Kind, Vec<Vec<u8>>),
    Ping(Vec<u8>),
}

fn conversation(dice: &mut Dice) -> Vec<Sent> {
    let text = |dice: &mut Dice, len| -> Vec<u8> {
        let chars = ["a", "é", "€", "😀", "\u{0}", "the quick brown fox "];
        (0..len).map(|_| chars[dice.roll(chars.len())]).collect::<String>().into_bytes()
    };
    let bytes = |dice: &mut Dice, len| -> Vec<u8> { (0..len).map(|_| dice.roll(256) as u8).collect() };
    (0..20)
        .map(|_| {
            let len = [0, 1, 5, 60, 125, 126, 127, 300, 5000, 70_000][dice.roll(10)];
            match dice.roll(5) {
                0 => Sent::Message(Kind::Binary, bytes(dice, len)),
                1 => Sent::Message(Kind::Text, text(dice, len)),
                2 => Sent::Message(Kind::Text, b"again and again ".repeat(len / 16)),
                3 => {
                    let whole = text(dice, len);
                    let cut = dice.roll(whole.len() + 1);
                    Sent::Parts(Kind::Text, vec![whole[..cut].to_vec(), vec![], whole[cut..].to_vec()])
                }
                _ => Sent::Ping(bytes(dice, len.min(125))),
            }
        })
        .collect()
}

/// Sends a conversation from one role to the other and checks that it is heard.
pub(super) fn talk(from: Role, config: &Config, deflate: Option<Params>, dice: &mut Dice) {
    let to = if from == Role::Client { Role::Server } else { Role::Client };
    let mut sender = Listener::new(from, config, deflate);
    let mut receiver = Listener::new(to, config, deflate);
    let (mut wire, mut expected, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
    for sent in conversation(dice) {
        match sent {
            Sent::Message(kind, data) => {
                sender.connection.send(kind, &data, &mut wire).expect("between messages");
                expected.push(Got::Message(kind, data));
            }
            Sent::Parts(kind, parts) => {
                for (at, part) in parts.iter().enumerate() {
                    let end = if at + 1 == parts.len() { End::Last } else { End::More };
                    sender.connection.send_fragment(kind, part, end, &mut wire).expect("between frames");
                }
                expected.push(Got::Message(kind, parts.concat()));
            }
            Sent::Ping(data) => {
                sender.connection.ping(&data, &mut wire).expect("between frames");
                expected.push(Got::Ping(data.clone()));
                pongs.push(Got::Pong(data));
            }
        }
    }
    sender.connection.close(Some(1000), "done", sender.now, &mut wire).expect("open");
    expected.push(Got::Closed(Some(1000), "done".to_owned()));

    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        let most = [1, 2, 10, 1000, 20_000][dice.roll(5)];
        let (now, later) = rest.split_at((1 + dice.roll(most)).min(rest.len()));
        receiver.feed(now);
        rest = later;
    }
    assert_eq!(receiver.heard.failed, None);
    assert!(receiver.heard.got == expected, "{from:?}: not what was sent");
    // Our Close went out before the pongs came: only theirs counts.
    sender.feed(&receiver.heard.out);
    assert_eq!(sender.heard.got, [Got::Closed(Some(1000), String::new())]);
    let echoed = frames(to, &receiver.heard.out);
    assert_eq!(echoed.len(), pongs.len() + 1);
    assert!(sender.connection.is_closed() && receiver.connection.is_closed());
}

#[test]
fn everything_that_is_sent_is_heard() {
    let mut dice = Dice(1);
    for round in 0..8 {
        let config = config().seed(round).fragment_at([1, 50, 126, 4096, usize::MAX][dice.roll(5)]);
        for from in BOTH {
            talk(from, &config, None, &mut dice);
        }
    }
}

#[test]
fn noise_never_panics_nor_goes_on_for_ever() {
    let mut dice = Dice(2);
    for round in 0..1000 {
        for role in BOTH {
            let mut noise: Vec<u8> = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect();
            // Half of it begins like something that goes on.
            if round % 2 == 0 {
                let begin = [0x81, 0x01, 0x82, 0x88, 0x89][dice.roll(5)];
                let payload = noise.split_off(noise.len() / 2);
                noise = [frame(role, begin, &payload), noise].concat();
            }
            let cut = dice.roll(noise.len());
            let whole = hear(role, &config(), None, &noise, &[]);
            let cut = hear(role, &config(), None, &noise, &[cut]);
            assert_eq!((whole.got, whole.failed), (cut.got, cut.failed), "{role:?}, {noise:x?}");
        }
    }
}
