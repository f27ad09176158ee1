//! Every example of appendix C, with the table behind it. The integers (C.1) are with `integer`.

use super::*;

/// What an example starts from, its blocks, and what each decodes to and leaves in the table.
struct Example {
    section: &'static str,
    max: usize,
    blocks: &'static [Block],
}

struct Block {
    octets: &'static str,
    fields: &'static [(&'static str, &'static str)],
    table: &'static [(&'static str, &'static str)],
    size: usize,
}

fn decode_example(example: &Example) {
    let mut decoder = Decoder::new(4096);
    let mut resize = Vec::new();
    integer::encode(example.max, 5, 0x20, &mut resize);
    assert_eq!(decoded(&mut decoder, &resize), Ok(vec![]), "{}", example.section);
    for (n, block) in example.blocks.iter().enumerate() {
        let case = format!("{}, block {}", example.section, n + 1);
        let fields: Vec<_> = block.fields.iter().map(|(name, value)| owned(name, value)).collect();
        assert_eq!(decoded(&mut decoder, &hex(block.octets)), Ok(fields), "{case}");
        let table: Vec<_> = block.table.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(entries(&decoder.table), table, "{case}");
        assert_eq!(decoder.table.size(), block.size, "{case}");
    }
}

#[test]
fn c_2_representations() {
    #[rustfmt::skip]
    let table: [(&str, &str, Owned, usize); 4] = [
        ("C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", owned("custom-key", "custom-header"), 55),
        ("C.2.2", "040c 2f73 616d 706c 652f 7061 7468", owned(":path", "/sample/path"), 0),
        ("C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", (b"password".into(), b"secret".into(), true), 0),
        ("C.2.4", "82", owned(":method", "GET"), 0),
    ];
    for (section, octets, field, size) in table {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decoded(&mut decoder, &hex(octets)), Ok(vec![field.clone()]), "{section}");
        assert_eq!(decoder.table.size(), size, "{section}");
        assert_eq!(decoder.table.len(), usize::from(size > 0), "{section}");
    }
}

const REQUEST_FIELDS: [&[(&str, &str)]; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

const REQUEST_TABLES: [&[(&str, &str)]; 3] = [
    &[(":authority", "www.example.com")],
    &[("cache-control", "no-cache"), (":authority", "www.example.com")],
    &[("custom-key", "custom-value"), ("cache-control", "no-cache"), (":authority", "www.example.com")],
];

const REQUEST_SIZES: [usize; 3] = [57, 110, 164];

/// Returns the blocks of C.3 or C.4, which differ in the code only.
fn requests(section: &'static str, octets: [&'static str; 3]) -> Example {
    let block = |n: usize| Block {
        octets: octets[n],
        fields: REQUEST_FIELDS[n],
        table: REQUEST_TABLES[n],
        size: REQUEST_SIZES[n],
    };
    Example { section, max: 4096, blocks: Box::leak(Box::new([block(0), block(1), block(2)])) }
}

const HUFFMAN_REQUESTS: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn c_3_and_c_4_requests() {
    decode_example(&requests(
        "C.3",
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
    ));
    decode_example(&requests("C.4", HUFFMAN_REQUESTS));
}

#[test]
fn c_4_is_what_the_encoder_writes() {
    let mut encoder = Encoder::new();
    for n in 0..3 {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (name, value) in REQUEST_FIELDS[n] {
            encoder.field(Field::new(name.as_bytes(), value.as_bytes()), &mut block);
        }
        assert_eq!(block, hex(HUFFMAN_REQUESTS[n]), "block {}", n + 1);
        assert_eq!(encoder.table.size(), REQUEST_SIZES[n], "block {}", n + 1);
    }
}

const STATUS_302: (&str, &str) = (":status", "302");
const STATUS_307: (&str, &str) = (":status", "307");
const CACHE: (&str, &str) = ("cache-control", "private");
const DATE_21: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_22: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const ENCODING: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");

/// Returns the blocks of C.5 or C.6, which differ in the code only.
fn responses(section: &'static str, octets: [&'static str; 3]) -> Example {
    let blocks = [
        Block {
            octets: octets[0],
            fields: &[STATUS_302, CACHE, DATE_21, LOCATION],
            table: &[LOCATION, DATE_21, CACHE, STATUS_302],
            size: 222,
        },
        Block {
            octets: octets[1],
            fields: &[STATUS_307, CACHE, DATE_21, LOCATION],
            table: &[STATUS_307, LOCATION, DATE_21, CACHE],
            size: 222,
        },
        Block {
            octets: octets[2],
            fields: &[(":status", "200"), CACHE, DATE_22, LOCATION, ENCODING, COOKIE],
            table: &[COOKIE, ENCODING, DATE_22],
            size: 215,
        },
    ];
    Example { section, max: 256, blocks: Box::leak(Box::new(blocks)) }
}

#[test]
fn c_5_and_c_6_responses_evict() {
    decode_example(&responses(
        "C.5",
        [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 \
             474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 \
             666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 \
             3630 303b 2076 6572 7369 6f6e 3d31",
        ],
    ));
    decode_example(&responses(
        "C.6",
        [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
             63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
             b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ],
    ));
}
