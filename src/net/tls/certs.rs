//! Makes certificates for tests, with nothing but rustls: an authority of one's own, and what it issues.
//!
//! `tests/` includes this file by its path, so it names nothing of the crate.

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    SignatureScheme,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::SigningKey,
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
const OBJECT_ID: u8 = 6;
const UTF8_STRING: u8 = 12;
const UTC_TIME: u8 = 23;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Of Ed25519: 1.3.101.112.
const ALGORITHM: &[u8] = &[SEQUENCE, 5, OBJECT_ID, 3, 0x2b, 0x65, 0x70];

/// An authority that one may trust.
pub struct Authority {
    name: String,
    key: Key,
    certificate: Vec<u8>,
}

/// A certificate chain and its key, as PEM.
pub struct Identity {
    pub chain: String,
    pub key: String,
}

struct Key {
    pkcs8: Vec<u8>,
    signer: Arc<dyn SigningKey>,
    serial: u32,
}

impl Key {
    /// Returns a key that no other of this process is equal to; it is no secret.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let seed = [&serial.to_be_bytes()[..], &[7; 28]].concat();
        let pkcs8 =
            der(SEQUENCE, &[&der(INTEGER, &[&[0]]), ALGORITHM, &der(OCTET_STRING, &[&der(OCTET_STRING, &[&seed])])]);
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.clone()));
        let signer = ring::default_provider().key_provider.load_private_key(private).expect("a key of 32 bytes");
        Key { pkcs8, signer, serial }
    }
}

impl Authority {
    /// Returns a new authority, whose name is this and a number of its own.
    pub fn new(name: &str) -> Self {
        let key = Key::new();
        let name = format!("{name} {}", key.serial);
        let is_authority = extension(&[0x55, 0x1d, 0x13], &der(SEQUENCE, &[&der(BOOLEAN, &[&[0xff]])]));
        let certificate = sign(&key, &name, &key, &name, &is_authority);
        Authority { name, key, certificate }
    }

    /// Returns its certificate as PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Issues a certificate for these names and addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<u8> = names
            .iter()
            .flat_map(|name| match name.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => der(0x87, &[&address.octets()]),
                Ok(IpAddr::V6(address)) => der(0x87, &[&address.octets()]),
                Err(_) => der(0x82, &[name.as_bytes()]),
            })
            .collect();
        let key = Key::new();
        let names = extension(&[0x55, 0x1d, 0x11], &der(SEQUENCE, &[&names]));
        let certificate = sign(&self.key, &self.name, &key, "test", &names);
        Identity { chain: pem("CERTIFICATE", &certificate), key: pem("PRIVATE KEY", &key.pkcs8) }
    }
}

fn sign(issuer: &Key, issuer_name: &str, subject: &Key, subject_name: &str, extensions: &[u8]) -> Vec<u8> {
    let public = subject.signer.public_key().expect("ring knows the public key");
    let to_sign = der(
        SEQUENCE,
        &[
            &der(0xa0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&subject.serial.to_be_bytes()]),
            ALGORITHM,
            &name(issuer_name),
            &der(SEQUENCE, &[&der(UTC_TIME, &[b"200101000000Z"]), &der(UTC_TIME, &[b"491231235959Z"])]),
            &name(subject_name),
            public.as_ref(),
            &der(0xa3, &[&der(SEQUENCE, &[extensions])]),
        ],
    );
    let signer = issuer.signer.choose_scheme(&[SignatureScheme::ED25519]).expect("the key is of this kind");
    let signature = signer.sign(&to_sign).expect("nothing that could fail");
    der(SEQUENCE, &[&to_sign, ALGORITHM, &der(BIT_STRING, &[&[0], &signature])])
}

/// Returns a name with one part, the common name.
fn name(common: &str) -> Vec<u8> {
    let part = der(SEQUENCE, &[&der(OBJECT_ID, &[&[0x55, 4, 3]]), &der(UTF8_STRING, &[common.as_bytes()])]);
    der(SEQUENCE, &[&der(SET, &[&part])])
}

fn extension(id: &[u8], value: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&der(OBJECT_ID, &[id]), &der(OCTET_STRING, &[value])])
}

/// Returns a value with its tag and length.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let len = u16::try_from(value.len()).expect("a certificate of less than 64 KiB").to_be_bytes();
    let head: &[u8] = match value.len() {
        0..=0x7f => &[tag, len[1]],
        0x80..=0xff => &[tag, 0x81, len[1]],
        _ => &[tag, 0x82, len[0], len[1]],
    };
    [head, &value].concat()
}

/// Returns it in lines of 64 (RFC 7468, section 2): OpenSSL reads no longer ones.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.extend(line.iter().map(|&digit| char::from(digit)));
        lines.push('\n');
    }
    lines + "-----END " + label + "-----\n"
}
