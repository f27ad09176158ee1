use super::*;
use InflateError as E;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// Compresses everything at once.
fn compress(mut encoder: Compress, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() * 2 + 100);
    let status = encoder.compress_vec(content, &mut out, FlushCompress::Finish).unwrap();
    assert_eq!(status, Status::StreamEnd);
    out
}

fn raw(content: &[u8]) -> Vec<u8> {
    compress(Compress::new(Compression::default(), false), content)
}

fn zlib(content: &[u8]) -> Vec<u8> {
    compress(Compress::new(Compression::default(), true), content)
}

/// A gzip member with these flags and the optional fields given for them.
fn member(flags: u8, optional: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
    bytes.extend_from_slice(optional);
    if flags & 2 != 0 {
        let mut crc = Crc::new();
        crc.update(&bytes);
        bytes.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
    }
    bytes.extend(raw(content));
    let mut crc = Crc::new();
    crc.update(content);
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes
}

fn gzip(content: &[u8]) -> Vec<u8> {
    member(0, b"", content)
}

/// Decodes pieces that arrive one by one, with an output of `room` bytes.
fn decode(coding: &str, pieces: &[&[u8]], room: usize) -> Result<Vec<u8>, E> {
    let mut inflate = Inflate::new([coding.as_bytes()]).expect("a known coding");
    let (mut content, mut out) = (Vec::new(), vec![0; room]);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = inflate.step(rest, &mut out, false)?;
            assert!(!step.done, "not before the body has ended");
            content.extend_from_slice(&out[..step.produced]);
            rest = &rest[step.consumed..];
            if step.produced < room {
                assert_eq!(rest, b"", "input is left only when the output is full");
                break;
            }
        }
    }
    for _ in 0..1_000_000 {
        let step = inflate.step(b"", &mut out, true)?;
        content.extend_from_slice(&out[..step.produced]);
        if step.done {
            assert_eq!(inflate.step(b"", &mut out, true).unwrap(), Step { done: true, ..Step::default() });
            return Ok(content);
        }
        assert!(step.produced > 0, "neither output nor an end");
    }
    panic!("no end");
}

/// Content that compresses somewhat, without being periodic.
fn content(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh"[(state >> 29) as usize]
    })
    .take(len)
    .collect()
}

const ALL_FIELDS: u8 = 0b0001_1111;
const FIELDS: &[u8] = b"\x03\0ext" as &[u8];

fn all_fields(content: &[u8]) -> Vec<u8> {
    member(ALL_FIELDS, &[FIELDS, b"name\0comment\0"].concat(), content)
}

#[test]
fn a_stream_made_elsewhere() {
    // printf hello | gzip -n, GNU gzip 1.12.
    let bytes = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";
    assert_eq!(decode("gzip", &[bytes], 100).unwrap(), b"hello");
    // The fixed Huffman block of zlib's "hello", raw and in its zlib frame.
    assert_eq!(decode("deflate", &[b"\xcbH\xcd\xc9\xc9\x07\x00"], 100).unwrap(), b"hello");
    assert_eq!(decode("deflate", &[b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15"], 100).unwrap(), b"hello");
}

#[test]
fn every_way_to_cut_the_body_gives_the_same_content() {
    let text = b"hello, hello, hello!";
    let bodies: Vec<(&str, &str, Vec<u8>, Vec<u8>)> = vec![
        ("gzip", "plain", gzip(text), text.to_vec()),
        ("x-gzip", "every optional field", all_fields(text), text.to_vec()),
        ("gzip", "an empty extra field", member(4, b"\0\0", text), text.to_vec()),
        ("gzip", "members", [gzip(b"a"), gzip(b""), all_fields(text)].concat(), [b"a", &text[..]].concat()),
        ("gzip", "zeros behind", [gzip(text), vec![0; 9]].concat(), text.to_vec()),
        ("gzip", "half a magic behind", [gzip(text), vec![0x1f]].concat(), text.to_vec()),
        ("gzip", "not quite a magic behind", [gzip(text), vec![0x1f, 0x1f, 0x8b]].concat(), text.to_vec()),
        ("gzip", "an empty body", vec![], vec![]),
        ("gzip", "an empty member", gzip(b""), vec![]),
        ("deflate", "zlib", zlib(text), text.to_vec()),
        ("deflate", "zlib and more", [zlib(text), b"\r\n".to_vec()].concat(), text.to_vec()),
        ("deflate", "raw", raw(text), text.to_vec()),
        ("deflate", "raw and more", [raw(text), b"\r\n".to_vec()].concat(), text.to_vec()),
        ("deflate", "raw, empty", raw(b""), vec![]),
        ("deflate", "an empty body", vec![], vec![]),
        ("gzip, gzip", "twice", gzip(&gzip(text)), text.to_vec()),
        ("deflate, gzip", "deflate inside gzip", gzip(&zlib(text)), text.to_vec()),
        ("gzip, deflate", "gzip inside raw", raw(&gzip(text)), text.to_vec()),
        ("gzip, gzip", "an empty body", vec![], vec![]),
        ("gzip, gzip", "an empty member inside", gzip(b""), vec![]),
    ];
    for (coding, case, body, expected) in bodies {
        for room in [1, 2, 7, 100] {
            for cut in 0..=body.len() {
                let (a, b) = body.split_at(cut);
                let decoded =
                    decode(coding, &[a, b], room).unwrap_or_else(|e| panic!("{coding}, {case}, cut at {cut}: {e}"));
                assert_eq!(decoded, expected, "{coding}, {case}, cut at {cut}, room {room}");
            }
            let single: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(decode(coding, &single, room).unwrap(), expected, "{coding}, {case}, byte by byte");
        }
    }
}

#[test]
fn large_bodies() {
    let content = content(300_000);
    for (coding, body) in [
        ("gzip", gzip(&content)),
        ("deflate", zlib(&content)),
        ("deflate", raw(&content)),
        ("gzip, gzip", gzip(&gzip(&content))),
        ("gzip, deflate", zlib(&gzip(&content))),
    ] {
        for (piece, room) in [(1 << 20, 1 << 20), (1460, 4096), (1 << 20, 100), (100, 1 << 20)] {
            let pieces: Vec<&[u8]> = body.chunks(piece).collect();
            assert!(decode(coding, &pieces, room).unwrap() == content, "{coding}, pieces of {piece}, room {room}");
        }
    }
}

#[test]
fn a_body_cut_short_at_any_byte_is_an_error() {
    let text = b"hello, hello, hello!";
    for (coding, body, whole_at) in [
        ("gzip", all_fields(text), vec![0]),
        // One byte of the next member is taken for something to ignore.
        ("gzip", [gzip(b"a"), gzip(text)].concat(), vec![0, gzip(b"a").len(), gzip(b"a").len() + 1]),
        ("deflate", zlib(text), vec![0]),
        ("deflate", raw(text), vec![0]),
        ("gzip, gzip", gzip(&gzip(text)), vec![0]),
    ] {
        for cut in 0..body.len() {
            let decoded = decode(coding, &[&body[..cut]], 100);
            match whole_at.contains(&cut) {
                true => assert!(decoded.is_ok(), "{coding} cut at {cut}: {decoded:?}"),
                false => assert!(matches!(decoded, Err(E::Truncated)), "{coding} cut at {cut}: {decoded:?}"),
            }
        }
    }
    let short_inside = gzip(&gzip(text)[..20]);
    assert!(matches!(decode("gzip, gzip", &[&short_inside], 100), Err(E::Truncated)));
}

#[test]
fn every_violation() {
    let good = all_fields(b"hello");
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let end = good.len();
    type Check = fn(&E) -> bool;
    let table: Vec<(&str, Vec<u8>, Check)> = vec![
        ("gzip", b"<html>".to_vec(), |e| matches!(e, E::GzipMagic)),
        ("gzip", changed(1, 0x8c), |e| matches!(e, E::GzipMagic)),
        ("gzip", changed(2, 7), |e| matches!(e, E::GzipMethod(7))),
        ("gzip", changed(3, 0x20), |e| matches!(e, E::GzipFlags(0x20))),
        ("gzip", changed(3, 0x9f), |e| matches!(e, E::GzipFlags(0x9f))),
        ("gzip", changed(5, 0), |e| matches!(e, E::GzipHeaderChecksum)),
        ("gzip", changed(end - 8, !good[end - 8]), |e| matches!(e, E::GzipChecksum)),
        ("gzip", changed(end - 1, 1), |e| matches!(e, E::GzipLength)),
        ("gzip", [gzip(b"a"), vec![0x1f, 0x8b, 7]].concat(), |e| matches!(e, E::GzipMethod(7))),
        ("gzip", [&gzip(b"")[..10], b"\xff\xff"].concat(), |e| matches!(e, E::Deflate(_))),
        ("deflate", b"\xff\xff\xff".to_vec(), |e| matches!(e, E::Deflate(_))),
        ("deflate", b"x\x9c\xff\xff\xff".to_vec(), |e| matches!(e, E::Deflate(_))),
        // A zlib header that asks for a dictionary.
        ("deflate", b"x\xbb\0\0\0\0\0".to_vec(), |e| matches!(e, E::Deflate(_))),
        ("deflate", [&zlib(b"hello")[..11], b"\0\0"].concat(), |e| matches!(e, E::Deflate(_))),
        ("gzip, gzip", gzip(b"<html>"), |e| matches!(e, E::GzipMagic)),
    ];
    for (row, (coding, body, check)) in table.into_iter().enumerate() {
        for cut in 0..=body.len() {
            let (a, b) = body.split_at(cut);
            let error = decode(coding, &[a, b], 100).expect_err("a violation");
            assert!(check(&error), "row {row}, cut at {cut}: {error:?}");
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn twice_compressed_nothing_ends_soon() {
    // 3,000 empty members of 20 bytes are within what may be barren, 4,000 are not.
    for (members, ends) in [(3_000, true), (4_000, false)] {
        let decoded = decode("gzip, gzip", &[&gzip(&gzip(b"").repeat(members))], 100);
        match ends {
            true => assert_eq!(decoded.unwrap(), b"", "{members}"),
            false => assert!(matches!(decoded, Err(E::Barren)), "{members}: {decoded:?}"),
        }
    }
    assert_eq!(decode("gzip", &[&gzip(b"").repeat(4_000)], 100).unwrap(), b"");
}

#[test]
fn which_codings_are_undone() {
    let table: [(&[&[u8]], bool); 16] = [
        (&[], false),
        (&[b""], false),
        (&[b"identity"], false),
        (&[b"gzip"], true),
        (&[b"GZip"], true),
        (&[b"x-gzip"], true),
        (&[b"deflate"], true),
        (&[b" gzip , "], true),
        (&[b"identity, gzip"], true),
        (&[b"gzip, gzip"], true),
        (&[b"gzip", b"deflate"], true),
        (&[b"gzip, gzip, gzip"], false),
        (&[b"gzip", b"gzip, deflate"], false),
        (&[b"br"], false),
        (&[b"gzip, br"], false),
        (&[b"gzip\xff"], false),
    ];
    for (values, known) in table {
        assert_eq!(Inflate::new(values.iter().copied()).is_some(), known, "{values:?}");
    }
}
