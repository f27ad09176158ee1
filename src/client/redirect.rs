//! Whether a redirect is followed, and what becomes of the request.
//!
//! | status | method of the next request | body |
//! |---|---|---|
//! | 301, 302 | POST becomes GET, others stay | dropped if the method changed |
//! | 303 | HEAD stays, all others become GET | dropped |
//! | 307, 308 | stays | sent again |
//!
//! RFC 9110, section 15.4, allows the change from POST for 301 and 302, and every browser makes it. Other statuses, and
//! these without a Location, are delivered as they are.

use super::url::{self, Origin, Scheme, Url};
use crate::error::{Error, ErrorKind, Result};
use http::{HeaderMap, Method, StatusCode, Uri, header};

/// Which redirects are followed.
///
/// The default is `Follow(10)`; browsers stop at 20, the curl tool at 50. On the way to another origin (scheme, host or port
/// differ) the request loses Authorization, Cookie, Proxy-Authorization, Host and every header whose value is marked
/// sensitive. A redirect that is not followed is an error of kind [`Redirect`](ErrorKind::Redirect), so that nobody takes
/// it for the answer; only with `None` it is delivered.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// None: a 3xx is the response.
    None,
    /// At most so many, but not from https to http.
    Follow(u32),
    /// At most so many, all to the same scheme, host and port.
    SameOrigin(u32),
    /// At most so many, from https to http as well.
    FollowDowngrade(u32),
}

impl Default for Redirects {
    fn default() -> Self {
        Redirects::Follow(10)
    }
}

/// The body of the request that was redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestBody {
    Empty,
    /// It can be sent again.
    Replayable,
    /// It came from a reader, which is used up.
    Once,
}

/// The request that was redirected, and how often it was before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirected<'a> {
    pub(crate) method: &'a Method,
    pub(crate) body: RequestBody,
    pub(crate) from: &'a Uri,
    /// Redirects followed already.
    pub(crate) count: u32,
}

/// What to do with a response.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// It is the answer.
    Deliver,
    /// Send the request again.
    Follow(Next),
}

/// The request that follows a redirect.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) body: NextBody,
    pub(crate) trust: Trust,
}

/// What becomes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextBody {
    Dropped,
    Kept,
}

/// Whether the next request may have what was meant for this origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    CrossOrigin,
    SameOrigin,
}

/// Decides about a response by its status and Location.
///
/// # Errors
///
/// `Redirect`: a redirect that may not be followed.
pub(crate) fn decide(
    status: StatusCode,
    location: Option<&[u8]>,
    request: Redirected<'_>,
    policy: Redirects,
) -> Result<Decision> {
    let Some((method, body)) = rewrite(status, request.method) else { return Ok(Decision::Deliver) };
    let location = location.map(<[u8]>::trim_ascii).filter(|l| !l.is_empty());
    let (Some(location), Some(limit)) = (location, policy.limit()) else { return Ok(Decision::Deliver) };
    if request.count >= limit {
        return Err(refused(format!("more than {limit} redirects")));
    }
    let from = Origin::of(request.from)?;
    let url = url::resolve(request.from, location).map_err(|e| {
        Error::with(ErrorKind::Redirect, format!("a redirect that cannot be followed: {e}")).with_source(e)
    })?;
    let trust = if url.origin == from { Trust::SameOrigin } else { Trust::CrossOrigin };
    match policy {
        Redirects::SameOrigin(_) if trust == Trust::CrossOrigin => {
            return Err(refused(format!("a redirect from {from} to {}: only the same origin is allowed", url.origin)));
        }
        Redirects::Follow(_) if (from.scheme, url.origin.scheme) == (Scheme::Https, Scheme::Http) => {
            return Err(refused(format!("a redirect from {from} to {}: https to http is not allowed", url.origin)));
        }
        Redirects::None | Redirects::Follow(_) | Redirects::SameOrigin(_) | Redirects::FollowDowngrade(_) => {}
    }
    if (body, request.body) == (NextBody::Kept, RequestBody::Once) {
        return Err(refused(format!(
            "status {} asks for the body again, which can be sent only once",
            status.as_u16()
        )));
    }
    Ok(Decision::Follow(Next { url, method, body, trust }))
}

impl Redirects {
    fn limit(self) -> Option<u32> {
        match self {
            Redirects::None => None,
            Redirects::Follow(n) | Redirects::SameOrigin(n) | Redirects::FollowDowngrade(n) => Some(n),
        }
    }
}

fn refused(message: String) -> Error {
    Error::with(ErrorKind::Redirect, message)
}

/// Returns the method and body after a redirect; `None` if the status is no redirect for this method.
fn rewrite(status: StatusCode, method: &Method) -> Option<(Method, NextBody)> {
    // A tunnel is asked of a proxy, which cannot name another origin for it.
    if method == Method::CONNECT {
        return None;
    }
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => {
            Some((Method::GET, NextBody::Dropped))
        }
        StatusCode::SEE_OTHER if method == Method::HEAD => Some((Method::HEAD, NextBody::Dropped)),
        StatusCode::SEE_OTHER => Some((Method::GET, NextBody::Dropped)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), NextBody::Kept)),
        _ => None,
    }
}

impl Next {
    /// Removes the headers that must not go along (RFC 9110, section 15.4).
    ///
    /// They are gone for the redirects that follow as well, also for one back to the first origin.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if self.trust == Trust::CrossOrigin {
            for name in [header::AUTHORIZATION, header::COOKIE, header::HOST, header::PROXY_AUTHORIZATION] {
                headers.remove(name);
            }
            let secret: Vec<_> =
                headers.iter().filter(|(_, v)| v.is_sensitive()).map(|(name, _)| name.clone()).collect();
            for name in secret {
                headers.remove(name);
            }
        }
        if self.body == NextBody::Dropped {
            for name in BODY_HEADERS {
                headers.remove(name);
            }
        }
    }
}

/// What describes a body, and so goes with it.
const BODY_HEADERS: [&str; 13] = [
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "expect",
    "repr-digest",
    "trailer",
    "transfer-encoding",
];

#[cfg(test)]
mod tests {
    use super::*;
    use Method as M;
    use NextBody::{Dropped, Kept};
    use RequestBody::{Empty, Once, Replayable};

    fn decided(status: u16, location: Option<&[u8]>, request: Redirected<'_>, policy: Redirects) -> Result<Decision> {
        decide(StatusCode::from_u16(status).unwrap(), location, request, policy)
    }

    #[test]
    fn every_status_meets_every_method_and_body() {
        let from = "https://h.test/a".parse().unwrap();
        for status in [200, 201, 204, 300, 301, 302, 303, 304, 305, 306, 307, 308, 399, 400, 404, 500] {
            for method in [M::GET, M::HEAD, M::POST, M::PUT, M::PATCH, M::DELETE, M::OPTIONS, M::TRACE, M::CONNECT] {
                for body in [Empty, Replayable, Once] {
                    let case = format!("{status} {method} {body:?}");
                    let request = Redirected { method: &method, body, from: &from, count: 0 };
                    let expected = match (status, &method) {
                        (_, &M::CONNECT) => Ok(None),
                        (301 | 302, &M::POST) => Ok(Some((M::GET, Dropped))),
                        (303, &M::HEAD) => Ok(Some((M::HEAD, Dropped))),
                        (303, _) => Ok(Some((M::GET, Dropped))),
                        (301 | 302 | 307 | 308, _) if body == Once => Err(ErrorKind::Redirect),
                        (301 | 302 | 307 | 308, method) => Ok(Some((method.clone(), Kept))),
                        _ => Ok(None),
                    };
                    let decision = decided(status, Some(b"/b"), request, Redirects::default());
                    let found = match decision {
                        Ok(Decision::Deliver) => Ok(None),
                        Ok(Decision::Follow(next)) => {
                            assert_eq!(next.url.uri, "https://h.test/b", "{case}");
                            Ok(Some((next.method, next.body)))
                        }
                        Err(e) => Err(e.kind()),
                    };
                    assert_eq!(found, expected, "{case}");
                    for location in [None, Some(&b""[..]), Some(b" ")] {
                        let decision = decided(status, location, request, Redirects::default());
                        assert!(matches!(decision, Ok(Decision::Deliver)), "{case}, location {location:?}");
                    }
                    let decision = decided(status, Some(b"http://\xff"), request, Redirects::None);
                    assert!(matches!(decision, Ok(Decision::Deliver)), "{case}, policy none");
                }
            }
        }
    }

    #[test]
    fn every_policy_meets_every_way() {
        use Redirects as R;
        use Trust::{CrossOrigin as Cross, SameOrigin as Same};
        #[rustfmt::skip]
        let table = [
            // from,               to,                   Follow,    SameOrigin, FollowDowngrade
            ("https://a.test/",    "/x",                 Ok(Same),  Ok(Same),   Ok(Same)),
            ("https://a.test/",    "https://A.test:443/", Ok(Same), Ok(Same),   Ok(Same)),
            ("https://a.test/",    "https://b.test/",    Ok(Cross), Err(()),    Ok(Cross)),
            ("https://a.test/",    "https://a.test:444/", Ok(Cross), Err(()),   Ok(Cross)),
            ("https://a.test/",    "https://x.a.test/",  Ok(Cross), Err(()),    Ok(Cross)),
            ("https://a.test/",    "http://a.test/",     Err(()),   Err(()),    Ok(Cross)),
            ("https://a.test:80/", "http://a.test/",     Err(()),   Err(()),    Ok(Cross)),
            ("http://a.test/",     "https://a.test/",    Ok(Cross), Err(()),    Ok(Cross)),
            ("http://a.test/",     "http://a.test:80/x", Ok(Same),  Ok(Same),   Ok(Same)),
        ];
        for (from, to, follow, same, downgrade) in table {
            for (policy, expected) in
                [(R::Follow(1), follow), (R::SameOrigin(1), same), (R::FollowDowngrade(1), downgrade)]
            {
                let from = from.parse().unwrap();
                let request = Redirected { method: &M::GET, body: Empty, from: &from, count: 0 };
                let found = match decided(302, Some(to.as_bytes()), request, policy) {
                    Ok(Decision::Follow(next)) => Ok(next.trust),
                    Ok(Decision::Deliver) => panic!("{from} to {to}: delivered"),
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Redirect);
                        Err(())
                    }
                };
                assert_eq!(found, expected, "{from} to {to}, {policy:?}");
            }
        }
    }

    #[test]
    fn the_limit_counts_what_was_followed() {
        let from = "http://a.test/".parse().unwrap();
        for (count, limit, followed) in
            [(0, 1, true), (1, 1, false), (0, 0, false), (9, 10, true), (10, 10, false), (11, 10, false)]
        {
            for policy in [Redirects::Follow(limit), Redirects::SameOrigin(limit), Redirects::FollowDowngrade(limit)] {
                let request = Redirected { method: &M::GET, body: Empty, from: &from, count };
                let found = decided(301, Some(b"/x"), request, policy);
                assert_eq!(found.is_ok(), followed, "{count} of {policy:?}");
                if let Err(e) = found {
                    assert_eq!(
                        (e.kind(), e.to_string()),
                        (ErrorKind::Redirect, format!("more than {limit} redirects"))
                    );
                }
            }
        }
    }

    #[test]
    fn a_location_that_cannot_be_right() {
        let from = "http://a.test/".parse().unwrap();
        for location in [&b"ftp://a.test/"[..], b"http://", b"http://[x]/", b"/\0", b"http://a.test:99999/"] {
            let request = Redirected { method: &M::GET, body: Empty, from: &from, count: 0 };
            let error = decided(302, Some(location), request, Redirects::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{}", location.escape_ascii());
        }
    }

    #[test]
    fn what_goes_along() {
        let mut all = HeaderMap::new();
        for name in [
            "accept",
            "authorization",
            "cookie",
            "host",
            "proxy-authorization",
            "content-type",
            "content-length",
            "expect",
        ] {
            all.insert(name, "x".parse().unwrap());
        }
        let mut secret: http::HeaderValue = "x".parse().unwrap();
        secret.set_sensitive(true);
        all.append("x-api-key", "old".parse().unwrap());
        all.append("x-api-key", secret);

        let request_wide = ["accept"];
        let of_origin = ["authorization", "cookie", "host", "proxy-authorization", "x-api-key"];
        let of_body = ["content-type", "content-length", "expect"];
        for (body, trust, groups) in [
            (Kept, Trust::SameOrigin, vec![&request_wide[..], &of_origin, &of_body]),
            (Dropped, Trust::SameOrigin, vec![&request_wide[..], &of_origin]),
            (Kept, Trust::CrossOrigin, vec![&request_wide[..], &of_body]),
            (Dropped, Trust::CrossOrigin, vec![&request_wide[..]]),
        ] {
            let url = Url::parse("http://h/", url::Family::Http).unwrap();
            let mut headers = all.clone();
            Next { url, method: M::GET, body, trust }.strip(&mut headers);
            let mut left: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
            let mut expected = groups.concat();
            left.sort_unstable();
            expected.sort_unstable();
            assert_eq!(left, expected, "{body:?} {trust:?}");
        }
    }
}
