//! The URL that was asked for last.

use super::url::{Origin, Url};
use crate::error::Result;
use http::{Method, Request, Uri};
use std::sync::{Arc, Mutex};

/// The longest URL that is remembered.
const LONGEST: usize = 1024;

/// What a request is for.
#[derive(Debug)]
pub(super) enum Aim {
    /// What was asked for last, as a GET that says nothing of its own.
    Again {
        get: Arc<Request<()>>,
        origin: Origin,
    },
    Url(Url),
}

impl Aim {
    pub(super) fn uri(&self) -> &Uri {
        match self {
            Aim::Again { get, .. } => get.uri(),
            Aim::Url(url) => &url.uri,
        }
    }

    /// Puts another URI of the same origin in its place.
    pub(super) fn set_uri(&mut self, uri: Uri) {
        match self {
            Aim::Again { origin, .. } => *self = Aim::Url(Url { uri, origin: origin.clone(), authorization: None }),
            Aim::Url(url) => url.uri = uri,
        }
    }
}

/// The URL that a client was asked for last: many programs ask for the same one again and again. Where they do, neither it nor a
/// request for it is put together anew, which would be 1500 instructions.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    text: String,
    url: Url,
    /// Made when it is asked for a second time.
    get: Option<Arc<Request<()>>>,
}

impl Recent {
    /// Returns what `text` came to the last time, or comes to now by `parse`; `plain` is a GET that says nothing of its own.
    ///
    /// # Errors
    ///
    /// Those of `parse`.
    pub(super) fn aim(&self, text: &str, plain: &Request<()>, parse: impl FnOnce() -> Result<Url>) -> Result<Aim> {
        debug_assert_eq!(plain.method(), Method::GET);
        // While another thread is at it, taking the URL apart is as quick as waiting.
        let Ok(mut recent) = self.0.try_lock() else { return parse().map(Aim::Url) };
        if let Some(known) = recent.as_mut().filter(|known| known.text == text) {
            let get = known.get.get_or_insert_with(|| {
                let mut get = plain.clone();
                *get.uri_mut() = known.url.uri.clone();
                Arc::new(get)
            });
            return Ok(Aim::Again { get: get.clone(), origin: known.url.origin.clone() });
        }
        let url = parse()?;
        // A password is held by nobody but the request.
        if text.len() <= LONGEST && url.authorization.is_none() {
            let mut kept = recent.take().map(|known| known.text).unwrap_or_default();
            kept.clear();
            kept.push_str(text);
            *recent = Some(Known { text: kept, url: url.clone(), get: None });
        }
        Ok(Aim::Url(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::url::Family, error::Error};

    fn parse(text: &str) -> Result<Url> {
        Url::parse(text, Family::Http)
    }

    #[test]
    fn the_last_url_is_remembered() {
        let (recent, plain) = (Recent::default(), Request::new(()));
        let never = || -> Result<Url> { panic!("it was asked for last") };
        for text in ["http://a.test/x", "http://b.test/", "http://a.test/x"] {
            let Ok(Aim::Url(url)) = recent.aim(text, &plain, || parse(text)) else { panic!("{text} is new") };
            for round in 0..2 {
                let again = recent.aim(text, &plain, never).unwrap();
                assert_eq!(again.uri(), &url.uri, "{text}, round {round}");
                let Aim::Again { get, origin } = again else { panic!("{text} is known") };
                assert_eq!((get.method(), origin), (&Method::GET, url.origin.clone()), "{text}, round {round}");
            }
        }
    }

    #[test]
    fn what_is_not_remembered() {
        let (recent, plain) = (Recent::default(), Request::new(()));
        let is_known = |text: &str| {
            let aim = recent.aim(text, &plain, || Err(Error::invalid("it is asked for anew")));
            aim.is_ok()
        };
        let longest = format!("http://a.test/{}", "x".repeat(LONGEST - 14));
        assert!(recent.aim(&longest, &plain, || parse(&longest)).is_ok());
        // A mistake, a password, a long one; and none of them puts the last one out.
        assert!(recent.aim("http://", &plain, || parse("http://")).is_err());
        for text in ["http://u:p@a.test/", &format!("{longest}x")] {
            assert!(recent.aim(text, &plain, || parse(text)).is_ok());
            assert!(!is_known(text), "{text}");
        }
        assert!(is_known(&longest));
    }

    #[test]
    fn another_uri_is_asked_for_at_the_same_origin() {
        let (recent, plain) = (Recent::default(), Request::new(()));
        let text = "http://a.test/x";
        for _ in 0..3 {
            let mut aim = recent.aim(text, &plain, || parse(text)).unwrap();
            aim.set_uri("http://a.test/x?y".parse().unwrap());
            let Aim::Url(url) = aim else { panic!("it is another one") };
            assert_eq!(
                (url.uri.to_string(), url.origin),
                ("http://a.test/x?y".to_owned(), parse(text).unwrap().origin)
            );
        }
    }
}
