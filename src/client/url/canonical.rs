//! URLs that are canonical as they stand: most are, and one look at each byte is enough for them.

use super::{
    Origin, Scheme, Url,
    encode::{HOST, PATH, QUERY, plain_len},
    to_uri,
};
use crate::error::Result;

/// Takes a URL that would come out as it is; `None`: a closer look has to say what is to be changed, or is wrong.
pub(super) fn parse(text: &str) -> Option<Result<Url>> {
    let (scheme, rest) = match text.strip_prefix("http") {
        Some(rest) if rest.starts_with("://") => (Scheme::Http, &rest[3..]),
        Some(rest) if rest.starts_with("s://") => (Scheme::Https, &rest[4..]),
        _ => return None,
    };
    let (host, rest) = rest.split_at(plain_len(rest.as_bytes(), HOST));
    let (port, path) = match rest.strip_prefix(':') {
        None => (scheme.default_port(), rest),
        Some(rest) => {
            let (digits, path) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
            let port = digits.parse().ok().filter(|port| *port != scheme.default_port())?;
            (port, path)
        }
    };
    let leading_zero = rest.starts_with(":0");
    if host.is_empty() || leading_zero || !path.starts_with('/') || !is_plain(path.as_bytes()) {
        return None;
    }
    let origin = Origin::new(scheme, host.into(), port);
    Some(to_uri(text.to_owned()).map(|uri| Url { uri, origin, authorization: None }))
}

/// Whether nothing has to be encoded, resolved or dropped in a path and what follows it.
fn is_plain(path: &[u8]) -> bool {
    let (path, query) = path.split_at(plain_len(path, PATH));
    let has_dots = path.windows(2).any(|pair| pair == b"/.");
    let query_is_plain = match query {
        [] => true,
        [b'?', query @ ..] => plain_len(query, QUERY) == query.len(),
        _ => false,
    };
    query_is_plain && !has_dots
}
