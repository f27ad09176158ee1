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

/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2: unlike Ed25519 every browser takes it.
const ALGORITHM: &[u8] = &[SEQUENCE, 10, OBJECT_ID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// The key of every authority, as PKCS #8. It is no secret: whoever trusts these authorities trusts everybody.
pub const AUTHORITY_KEY: &[u8] = b"\
    \x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
    \x04\x6d\x30\x6b\x02\x01\x01\x04\x20\x2d\x46\x60\x4e\x29\x97\x36\xb5\xcd\x59\x6e\x19\xb6\x70\x3b\xc1\x06\xdc\
    \x50\x72\x4c\xa0\x06\x20\x04\x19\x2a\xf2\x41\x9e\xcb\x73\xa1\x44\x03\x42\x00\x04\x67\x25\x5d\x69\x84\xa3\xab\
    \x7a\x22\x76\xb3\x19\x42\x50\x44\x2f\x1d\x05\x74\xc7\xe8\x83\x15\xa4\xb3\x32\x5d\xdb\x5b\xd0\xee\xe5\x83\xb0\
    \x22\xc5\x3b\xe1\xde\x69\xb4\x4c\x99\x28\x77\xb4\xef\x35\xce\xa0\xdc\xa4\x35\x4d\xad\xe6\xad\x15\xeb\x10\x05\
    \x11\x0d\xa1";

/// The key of everyone to whom a certificate is issued.
const IDENTITY_KEY: &[u8] = b"\
    \x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
    \x04\x6d\x30\x6b\x02\x01\x01\x04\x20\x8c\x32\x1e\xa1\xa5\x3e\x97\x9b\x25\x08\xb6\x9e\x01\xe5\xdc\x10\x1a\xcf\
    \x0c\xd7\x4a\xea\x43\xa1\xa9\xd5\x84\xea\x8e\x23\xed\x0c\xa1\x44\x03\x42\x00\x04\xbd\xdc\x07\xec\xfb\x8c\xd1\
    \x0d\x2b\x69\xa0\x43\x74\xe9\x47\x4e\xe4\x25\xa3\x8c\x49\x7d\x75\x81\xde\xc9\x1d\xa3\x58\x76\x49\x5f\x9e\xfc\
    \xe9\xea\x34\x14\xe2\x8a\xff\xd9\x7f\xec\xb3\xa6\x0a\x35\xf2\xcd\x6a\xd8\x01\x97\x6d\x8b\xae\x12\x76\x22\xdc\
    \x80\xcc\x61";

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
    signer: Arc<dyn SigningKey>,
    /// Names the key, and is the number of its certificate.
    serial: [u8; 4],
}

impl Key {
    /// Returns a key with a number that no other of this process has.
    fn new(pkcs8: &'static [u8]) -> Self {
        // An INTEGER takes no more bytes than it needs, and its first bit is the sign.
        static NEXT: AtomicU32 = AtomicU32::new(1 << 24);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
        let signer = ring::default_provider().key_provider.load_private_key(private).expect("a key of P-256");
        Key { signer, serial }
    }
}

impl Authority {
    /// Returns a new authority, whose name is this and a number of its own.
    pub fn new(name: &str) -> Self {
        let key = Key::new(AUTHORITY_KEY);
        let name = format!("{name} {}", u32::from_be_bytes(key.serial) - (1 << 24));
        let yes = der(BOOLEAN, &[&[0xff]]);
        let extensions = [
            // Basic constraints: an authority. Key usage: to sign certificates. Subject key identifier.
            extension(&[0x55, 0x1d, 0x13], &yes, &der(SEQUENCE, &[&yes])),
            extension(&[0x55, 0x1d, 0x0f], &yes, &der(BIT_STRING, &[&[2, 0x04]])),
            extension(&[0x55, 0x1d, 0x0e], &[], &der(OCTET_STRING, &[&key.serial])),
        ];
        let certificate = sign(&key, &name, &key, &name, &extensions.concat());
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
        let key = Key::new(IDENTITY_KEY);
        let purposes = [1, 2].map(|purpose| der(OBJECT_ID, &[&[0x2b, 6, 1, 5, 5, 7, 3, purpose]])).concat();
        let extensions = [
            // Subject alternative names. Extended key usage: a server, a client. Authority key identifier.
            extension(&[0x55, 0x1d, 0x11], &[], &der(SEQUENCE, &[&names])),
            extension(&[0x55, 0x1d, 0x25], &[], &der(SEQUENCE, &[&purposes])),
            extension(&[0x55, 0x1d, 0x23], &[], &der(SEQUENCE, &[&der(0x80, &[&self.key.serial])])),
        ];
        let certificate = sign(&self.key, &self.name, &key, "test", &extensions.concat());
        Identity { chain: pem("CERTIFICATE", &certificate), key: pem("PRIVATE KEY", IDENTITY_KEY) }
    }
}

fn sign(issuer: &Key, issuer_name: &str, subject: &Key, subject_name: &str, extensions: &[u8]) -> Vec<u8> {
    let public = subject.signer.public_key().expect("ring knows the public key");
    let to_sign = der(
        SEQUENCE,
        &[
            &der(0xa0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&subject.serial]),
            ALGORITHM,
            &name(issuer_name),
            &der(SEQUENCE, &[&der(UTC_TIME, &[b"200101000000Z"]), &der(UTC_TIME, &[b"491231235959Z"])]),
            &name(subject_name),
            public.as_ref(),
            &der(0xa3, &[&der(SEQUENCE, &[extensions])]),
        ],
    );
    let signer =
        issuer.signer.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).expect("the key is of this kind");
    let signature = signer.sign(&to_sign).expect("nothing that could fail");
    der(SEQUENCE, &[&to_sign, ALGORITHM, &der(BIT_STRING, &[&[0], &signature])])
}

/// Returns a name with one part, the common name.
fn name(common: &str) -> Vec<u8> {
    let part = der(SEQUENCE, &[&der(OBJECT_ID, &[&[0x55, 4, 3]]), &der(UTF8_STRING, &[common.as_bytes()])]);
    der(SEQUENCE, &[&der(SET, &[&part])])
}

/// Returns an extension; `critical` is a BOOLEAN, or empty if it is not.
fn extension(id: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&der(OBJECT_ID, &[id]), critical, &der(OCTET_STRING, &[value])])
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
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.extend(line.iter().map(|&digit| char::from(digit)));
        lines.push('\n');
    }
    lines + "-----END " + label + "-----\n"
}
