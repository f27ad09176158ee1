//! Any fields through our encoder and back, with sizes of the table changing in between.
#![no_main]

use bowline::proto::h2::hpack::{Decoder, Encoder, Field};
use fluke_hpack::decoder::DecoderError;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Block(Vec<(Name<'a>, Value<'a>, Secret)>),
    TableSize(u16),
}

/// A name of the static table, one that comes again, or any.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Other(u8),
    Any(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Known(u8),
    Any(&'a [u8]),
    Long(u8, u16),
}

#[derive(Arbitrary, Debug, PartialEq)]
enum Secret {
    No,
    Yes,
}

const NAMES: [&str; 8] =
    [":method", ":path", ":status", "accept-encoding", "authorization", "cookie", "date", "set-cookie"];
const VALUES: [&str; 8] = ["", "GET", "/", "200", "gzip, deflate", "short", "longer than twenty octets", "\0\n"];

fuzz_target!(|steps: Vec<Step>| {
    let (mut encoder, mut decoder, mut oracle) = (Encoder::new(), Decoder::new(4096), fluke_hpack::Decoder::new());
    for step in steps {
        match step {
            Step::TableSize(size) => {
                encoder.set_max_table(size.into());
                decoder.set_max_table(size.into());
            }
            Step::Block(fields) => {
                let sent: Vec<_> =
                    fields.iter().map(|(n, v, secret)| (n.octets(), v.octets(), *secret == Secret::Yes)).collect();
                let mut block = Vec::new();
                encoder.begin(&mut block);
                for (name, value, sensitive) in &sent {
                    encoder.field(Field { name, value, sensitive: *sensitive }, &mut block);
                }
                let mut fields = sent.iter();
                let took = decoder.decode(&block, |field| {
                    let (name, value, sensitive) = fields.next().expect("no more fields than were sent");
                    assert_eq!((field.name, field.value), (&name[..], &value[..]));
                    assert!(field.sensitive >= *sensitive);
                });
                assert_eq!((took, fields.next()), (Ok(()), None));
                let theirs = match oracle.decode(&block) {
                    // A rule of its own.
                    Err(DecoderError::SizeUpdateAtEnd) if sent.is_empty() => vec![],
                    theirs => theirs.expect("a block of ours"),
                };
                assert!(theirs.iter().map(|(n, v)| (n, v)).eq(sent.iter().map(|(n, v, _)| (n, v))));
            }
        }
    }
});

impl Name<'_> {
    fn octets(&self) -> Vec<u8> {
        match self {
            Name::Known(n) => NAMES[usize::from(*n) % 8].into(),
            Name::Other(n) => format!("x-{}", n % 16).into(),
            Name::Any(octets) => octets.to_vec(),
        }
    }
}

impl Value<'_> {
    fn octets(&self) -> Vec<u8> {
        match self {
            Value::Known(n) => VALUES[usize::from(*n) % 8].into(),
            Value::Any(octets) => octets.to_vec(),
            Value::Long(octet, len) => vec![*octet; usize::from(*len) % 5000],
        }
    }
}
