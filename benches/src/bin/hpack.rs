//! Header compression alone: one operation is one block of nine fields. Counted by callgrind as the difference of two runs.
//!
//! `hpack decode|encode-first|encode N`

use bowline::proto::h2::hpack::{Decoder, Encoder, Field};
use std::{env, error::Error, hint::black_box};

/// What a program asks an interface for.
const FIELDS: [(&str, &str); 9] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "www.example.com"),
    (":path", "/api/v1/resources/12345?page=2&sort=desc"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cookie", "session=0123456789abcdef0123456789abcdef"),
];

fn encode(encoder: &mut Encoder, block: &mut Vec<u8>) {
    block.clear();
    encoder.begin(block);
    for (name, value) in black_box(&FIELDS) {
        encoder.field(Field::new(name.as_bytes(), value.as_bytes()), block);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, n] = &arguments[..] else { return Err("usage: hpack decode|encode-first|encode N".into()) };
    let n: u32 = n.parse()?;
    let (mut encoder, mut block) = (Encoder::new(), Vec::with_capacity(1024));
    encode(&mut encoder, &mut block);
    match what.as_str() {
        // Every string is there, in the Huffman code, and becomes an entry again.
        "decode" => {
            let (mut decoder, mut octets) = (Decoder::new(4096), 0);
            for _ in 0..n {
                decoder.decode(black_box(&block), |field| octets += field.name.len() + field.value.len())?;
            }
            black_box(octets);
        }
        "encode-first" => (0..n).for_each(|_| encode(&mut Encoder::new(), &mut block)),
        "encode" => (0..n).for_each(|_| encode(&mut encoder, &mut block)),
        _ => return Err("decode, encode-first or encode".into()),
    }
    println!("{} bytes in the last block", block.len());
    Ok(())
}
