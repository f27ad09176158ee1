//! What the conditions of a request, and the range it wants, mean for a file (RFC 9110, sections 13 and 14).

use crate::time::date;
use http::{HeaderMap, Method, header};

/// What a client can hold a copy against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// A strong entity tag, with its quotes.
    pub(super) etag: String,
    /// In seconds since 1970, if the file system knows.
    pub(super) modified: Option<u64>,
    pub(super) len: u64,
}

/// What is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 412: not what the client thinks it is.
    Failed,
    /// 304: the client has it.
    NotModified,
    /// 416: no byte of it is in the range, or more than one range is wanted.
    Unsatisfiable,
    /// 206: from the first of these bytes to before the second.
    Partial(u64, u64),
    /// 200.
    Whole,
}

/// Evaluates the conditions of a GET or HEAD in the order of RFC 9110, section 13.2.2, and then the range of a GET; for all other
/// methods there are none (section 14.2).
pub(super) fn evaluate(method: &Method, headers: &HeaderMap, version: &Version) -> Outcome {
    // Of what has no such time neither is known (sections 13.1.3 and 13.1.4).
    let changed_since = |seconds: u64| version.modified.is_some_and(|modified| modified > seconds);
    let kept_since = |seconds: u64| version.modified.is_some_and(|modified| modified <= seconds);
    if headers.contains_key(header::IF_MATCH) {
        if !lists(headers, header::IF_MATCH, &version.etag, Compare::Strongly) {
            return Outcome::Failed;
        }
    } else if time(headers, header::IF_UNMODIFIED_SINCE).is_some_and(changed_since) {
        return Outcome::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if lists(headers, header::IF_NONE_MATCH, &version.etag, Compare::Weakly) {
            return Outcome::NotModified;
        }
    } else if time(headers, header::IF_MODIFIED_SINCE).is_some_and(kept_since) {
        return Outcome::NotModified;
    }
    // More than one Range is none that could be understood.
    let mut ranges = headers.get_all(header::RANGE).iter();
    match ranges.next().filter(|_| ranges.next().is_none()).and_then(|value| value.to_str().ok()) {
        Some(range) if *method == Method::GET && still_applies(headers, version) => within(range, version.len),
        _ => Outcome::Whole,
    }
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Strongly,
    Weakly,
}

/// Returns whether a list of entity tags has this one, or is `*`.
fn lists(headers: &HeaderMap, name: header::HeaderName, etag: &str, compare: Compare) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        let mut rest = list.trim();
        if rest == "*" {
            return true;
        }
        while !rest.is_empty() {
            let (weak, tag) = match rest.strip_prefix("W/") {
                Some(tag) => (true, tag),
                None => (false, rest),
            };
            // A comma may be inside the quotes.
            let Some(end) = tag.get(1..).and_then(|inside| inside.find('"')).filter(|_| tag.starts_with('"')) else {
                return false;
            };
            let (tag, behind) = tag.split_at(end + 2);
            if tag == etag && (!weak || compare == Compare::Weakly) {
                return true;
            }
            rest = behind.trim_start_matches([',', ' ', '\t']);
        }
        false
    })
}

/// Returns the time of a field that is one date; any other is ignored (RFC 9110, sections 13.1.3 and 13.1.4).
fn time(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next().filter(|_| lines.next().is_none())?;
    date::parse(value.to_str().ok()?)
}

/// Returns whether the parts the client has are of this version, so that a range completes them (RFC 9110, section 13.1.5).
fn still_applies(headers: &HeaderMap, version: &Version) -> bool {
    match headers.get(header::IF_RANGE) {
        None => true,
        Some(value) => match value.to_str() {
            // A weak tag never matches, because two versions may share it.
            Ok(tag) if tag.starts_with('"') || tag.starts_with("W/") => tag == version.etag,
            Ok(text) => version.modified.is_some() && date::parse(text) == version.modified,
            Err(_) => false,
        },
    }
}

/// Returns what a Range means for so many bytes; one that is not understood is ignored. Several are refused: whoever asks for parts is
/// not to get all of a large file unawares.
fn within(range: &str, len: u64) -> Outcome {
    let Some((unit, set)) = range.split_once('=') else { return Outcome::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Outcome::Whole;
    }
    // A list may have elements that are empty (RFC 9110, section 5.6.1.2).
    let mut specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    let (Some(spec), more) = (specs.next(), specs.next()) else { return Outcome::Whole };
    if more.is_some() {
        return Outcome::Unsatisfiable;
    }
    let Some((first, last)) = spec.split_once('-') else { return Outcome::Whole };
    let (first, last) = (number(first), number(last));
    match (first, last) {
        (Ok(Some(first)), Ok(last)) => match last {
            Some(last) if last < first => Outcome::Whole,
            _ if first >= len => Outcome::Unsatisfiable,
            last => Outcome::Partial(first, last.map_or(len, |last| last.saturating_add(1).min(len))),
        },
        (Ok(None), Ok(Some(0))) => Outcome::Unsatisfiable,
        // The last bytes of nothing are had by whoever has all of it, and no Content-Range could say so (section 14.1.2).
        (Ok(None), Ok(Some(_))) if len == 0 => Outcome::Whole,
        (Ok(None), Ok(Some(suffix))) => Outcome::Partial(len.saturating_sub(suffix), len),
        _ => Outcome::Whole,
    }
}

/// Digits are a number, nothing is none, and all else is an error; what does not fit is as large as can be.
fn number(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(());
    }
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::{Outcome::*, *};

    const MODIFIED: u64 = 784_111_777;

    fn answer_for(headers: &[(&'static str, &str)], modified: Option<u64>, len: u64) -> Outcome {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        evaluate(&Method::GET, &map, &Version { etag: "\"a,b\"".into(), modified, len })
    }

    fn answer(headers: &[(&'static str, &str)]) -> Outcome {
        answer_for(headers, Some(MODIFIED), 10)
    }

    #[test]
    fn conditions_in_their_order() {
        let (then, before, after) =
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], Outcome)] = &[
            (&[], Whole),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\", W/\"a,b\"")], NotModified),
            (&[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")], NotModified),
            (&[("if-none-match", "\"x\""), ("if-modified-since", then)], Whole),
            (&[("if-none-match", "a,b")], Whole),
            (&[("if-none-match", "\"")], Whole),
            (&[("if-modified-since", then)], NotModified),
            (&[("if-modified-since", after)], NotModified),
            (&[("if-modified-since", before)], Whole),
            (&[("if-modified-since", "yesterday")], Whole),
            (&[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified),
            (&[("if-modified-since", "Sun Nov  6 08:49:36 1994")], Whole),
            (&[("if-unmodified-since", "Wed, 31 Dec 1969 23:59:59 GMT")], Failed),
            (&[("if-unmodified-since", before), ("if-unmodified-since", before)], Whole),
            (&[("if-modified-since", after), ("if-modified-since", after)], Whole),
            (&[("range", "bytes=0-1"), ("range", "bytes=3-4")], Whole),
            (&[("if-match", "\"a,b\"")], Whole),
            (&[("if-match", "W/\"a,b\"")], Failed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "*"), ("if-none-match", "*")], NotModified),
            (&[("if-unmodified-since", before)], Failed),
            (&[("if-unmodified-since", then)], Whole),
            (&[("range", "bytes=1-2"), ("if-range", "\"a,b\"")], Partial(1, 3)),
            (&[("range", "bytes=1-2"), ("if-range", "W/\"a,b\"")], Whole),
            (&[("range", "bytes=1-2"), ("if-range", then)], Partial(1, 3)),
            (&[("range", "bytes=1-2"), ("if-range", after)], Whole),
            (&[("range", "bytes=1-2"), ("if-none-match", "\"a,b\"")], NotModified),
        ];
        for (headers, expected) in table {
            assert_eq!(answer(headers), *expected, "{headers:?}");
        }
    }

    #[test]
    fn of_what_has_no_time_nobody_knows_whether_it_changed() {
        let then = "Sun, 06 Nov 1994 08:49:37 GMT";
        for name in ["if-unmodified-since", "if-modified-since"] {
            assert_eq!(answer_for(&[(name, then)], None, 10), Whole, "{name}");
        }
        assert_eq!(answer_for(&[("range", "bytes=0-1"), ("if-range", then)], None, 10), Whole);
    }

    #[test]
    fn ranges_of_nothing() {
        for (range, expected) in [
            ("bytes=0-", Unsatisfiable),
            ("bytes=0-0", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=-1", Whole),
        ] {
            assert_eq!(answer_for(&[("range", range)], Some(MODIFIED), 0), expected, "{range}");
        }
    }

    #[test]
    fn ranges_of_ten_bytes() {
        for (range, expected) in [
            ("bytes=0-0", Partial(0, 1)),
            ("bytes=0-9", Partial(0, 10)),
            ("bytes=0-10", Partial(0, 10)),
            ("bytes=9-", Partial(9, 10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-1", Partial(9, 10)),
            ("bytes=-10", Partial(0, 10)),
            ("bytes=-11", Partial(0, 10)),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-99999999999999999999", Partial(0, 10)),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("Bytes=2-3", Partial(2, 4)),
            ("bytes=0-1,3-4", Unsatisfiable),
            ("bytes=0-1,30-40", Unsatisfiable),
            ("bytes=0-1,", Partial(0, 2)),
            ("bytes=, 0-1 ,,", Partial(0, 2)),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=3-2", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes", Whole),
            ("lines=1-2", Whole),
        ] {
            assert_eq!(answer(&[("range", range)]), expected, "{range}");
        }
    }
}
