//! The static table: fields that need no sending (RFC 7541, appendix A).

/// How many entries there are; the dynamic table begins behind them (section 2.3.3).
pub(super) const LAST: usize = TABLE.len();

/// Returns the entry at `index`, which counts from 1.
#[inline]
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = TABLE.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// A name of the static table, by the first of the entries that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(u8);

impl Name {
    pub(super) const AUTHORIZATION: Self = Name(23);
    pub(super) const COOKIE: Self = Name(32);
    pub(super) const PROXY_AUTHORIZATION: Self = Name(49);
    pub(super) const SET_COOKIE: Self = Name(55);

    /// Returns the entry with this name, if there is one.
    #[inline]
    pub(super) fn find(name: &[u8]) -> Option<Self> {
        let first = BY_HASH[usize::from(hash(name))];
        let (found, _) = get(usize::from(first))?;
        (found == name).then_some(Name(first))
    }

    /// Returns the index of the first entry that has this name.
    #[inline]
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the index of the entry that has this name and `value`.
    #[inline]
    pub(super) fn with_value(self, value: &[u8]) -> Option<usize> {
        match self.index() {
            METHOD..=ACCEPT_ENCODING => self.with_value_of_some(value),
            // The others have no value.
            index => value.is_empty().then_some(index),
        }
    }

    fn with_value_of_some(self, value: &[u8]) -> Option<usize> {
        Some(match (self.index(), value) {
            (METHOD, b"GET") => METHOD,
            (METHOD, b"POST") => METHOD + 1,
            (PATH, b"/") => PATH,
            (PATH, b"/index.html") => PATH + 1,
            (SCHEME, b"http") => SCHEME,
            (SCHEME, b"https") => SCHEME + 1,
            (STATUS, b"200") => STATUS,
            (STATUS, b"204") => STATUS + 1,
            (STATUS, b"206") => STATUS + 2,
            (STATUS, b"304") => STATUS + 3,
            (STATUS, b"400") => STATUS + 4,
            (STATUS, b"404") => STATUS + 5,
            (STATUS, b"500") => STATUS + 6,
            (ACCEPT_CHARSET, b"") => ACCEPT_CHARSET,
            (ACCEPT_ENCODING, b"gzip, deflate") => ACCEPT_ENCODING,
            _ => return None,
        })
    }
}

const METHOD: usize = 2;
const PATH: usize = 4;
const SCHEME: usize = 6;
const STATUS: usize = 8;
const ACCEPT_CHARSET: usize = 15;
const ACCEPT_ENCODING: usize = 16;

/// Returns a number that no two names of the table share; the factors were found by trying.
///
/// A name that is not in the table gets the number of some other one or of none, so names are compared afterwards.
const fn hash(name: &[u8]) -> u8 {
    match name {
        [_, second, .., last] => {
            (name.len() as u8).wrapping_mul(5).wrapping_add(last.wrapping_mul(51)).wrapping_add(*second)
        }
        _ => 0,
    }
}

/// The first entry with a name, by the hash of the name; 0 where there is none.
static BY_HASH: [u8; 256] = {
    let mut by_hash = [0; 256];
    let mut index = TABLE.len();
    while index > 0 {
        let name = TABLE[index - 1].0.as_bytes();
        let at = hash(name) as usize;
        // A second name at this place would be lost: the build fails instead.
        assert!(by_hash[at] == 0 || same(TABLE[by_hash[at] as usize - 1].0.as_bytes(), name));
        by_hash[at] = index as u8;
        index -= 1;
    }
    by_hash
};

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut n = 0;
    while n < a.len() && n < b.len() && a[n] == b[n] {
        n += 1;
    }
    n == a.len() && n == b.len()
}

#[rustfmt::skip]
const TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_index_name_and_value() {
        for (n, (name, value)) in TABLE.iter().enumerate() {
            assert_eq!(get(n + 1), Some((name.as_bytes(), value.as_bytes())));
            let found = Name::find(name.as_bytes()).expect(name);
            let first = TABLE.iter().position(|(other, _)| other == name).expect(name) + 1;
            assert_eq!(found.index(), first, "{name}");
            assert_eq!(found.with_value(value.as_bytes()), Some(n + 1), "{name}: {value}");
            assert_eq!(found.with_value(b"?"), None, "{name}");
        }
        assert_eq!((get(0), get(LAST + 1)), (None, None));
    }

    #[test]
    fn named_entries_have_these_names() {
        for (known, name) in [
            (Name::AUTHORIZATION, &b"authorization"[..]),
            (Name::COOKIE, b"cookie"),
            (Name::PROXY_AUTHORIZATION, b"proxy-authorization"),
            (Name::SET_COOKIE, b"set-cookie"),
        ] {
            assert_eq!(Name::find(name), Some(known));
        }
        for (first, name) in [(METHOD, ":method"), (PATH, ":path"), (SCHEME, ":scheme"), (STATUS, ":status")] {
            assert_eq!(TABLE.iter().position(|(n, _)| *n == name), Some(first - 1));
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_not_found() {
        for (name, _) in TABLE {
            for n in 0..name.len() {
                let mut other = name.as_bytes().to_vec();
                other[n] ^= 0x20;
                assert_eq!(Name::find(&other), None, "{}", other.escape_ascii());
                assert_eq!(
                    Name::find(&other[..n]).map(|_| ()),
                    TABLE.iter().find(|(t, _)| t.as_bytes() == &other[..n]).map(|_| ())
                );
            }
        }
        for name in [&b""[..], b"a", b"ab", b":", b"::"] {
            assert_eq!(Name::find(name), None, "{}", name.escape_ascii());
        }
    }
}
