//! What a pool finds connections by.

use crate::client::{settings::Protocol, url::Origin};
use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    ops::Deref,
    sync::{Arc, OnceLock},
};

/// What connections must have in common to serve each other's requests. Cheap to clone; hashed once, when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Key(Arc<Site>, u64);

/// What a [`Key`] says.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    pub(crate) origin: Origin,
    pub(crate) protocol: Protocol,
    /// The configuration of proxy, TLS and the rest.
    pub(crate) network: u64,
}

impl Key {
    pub(crate) fn new(origin: Origin, protocol: Protocol, network: u64) -> Self {
        // Peers choose host names, by redirects: the hash has to be one they cannot predict.
        static STATE: OnceLock<RandomState> = OnceLock::new();
        let site = Site { origin, protocol, network };
        let hash = STATE.get_or_init(RandomState::new).hash_one(&site);
        Key(Arc::new(site), hash)
    }
}

impl Deref for Key {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1 && (Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0)
    }
}
impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// A map from keys, whose hashes are known already.
pub(super) type ByKey<T> = HashMap<Key, T, BuildHasherDefault<Known>>;

/// Takes the hash that a [`Key`] brings.
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
