//! What a pool finds connections by.

use crate::client::{settings::Protocol, url::Origin};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What connections must have in common to serve each other's requests. Cheap to clone and to hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) origin: Origin,
    pub(crate) protocol: Protocol,
    /// The configuration of proxy, TLS and the rest.
    network: u64,
}

impl Key {
    pub(crate) fn new(origin: Origin, protocol: Protocol, network: u64) -> Self {
        Key { origin, protocol, network }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The origin, which a peer can choose, brings a number that nobody can predict; the rest only spreads the keys of one origin.
        let rest = (self.network << 3 | self.protocol as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state.write_u64(self.origin.digest() ^ rest);
    }
}

/// A map from keys, whose hashes are known already.
pub(super) type ByKey<T> = HashMap<Key, T, BuildHasherDefault<Known>>;

/// Takes the hash that a [`Key`] makes of what is known.
#[derive(Debug, Default)]
pub(super) struct Known(u64);

impl Hasher for Known {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    /// Nothing but keys is hashed, and they bring a number.
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(b);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::url::{Family, Url};

    fn key(url: &str, protocol: Protocol, network: u64) -> Key {
        Key::new(Url::parse(url, Family::Http).expect("a URL").origin, protocol, network)
    }

    #[test]
    fn equal_keys_find_each_other() {
        let mut map = ByKey::default();
        map.insert(key("https://a.test", Protocol::Auto, 1), 'a');
        assert_eq!(map.get(&key("https://A.test:443/x", Protocol::Auto, 1)), Some(&'a'));
        for other in [
            key("http://a.test", Protocol::Auto, 1),
            key("https://b.test", Protocol::Auto, 1),
            key("https://a.test:444", Protocol::Auto, 1),
            key("https://a.test", Protocol::Http1, 1),
            key("https://a.test", Protocol::Auto, 2),
        ] {
            assert_eq!(map.get(&other), None, "{other:?}");
        }
    }
}
