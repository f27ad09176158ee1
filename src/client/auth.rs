//! The values of Authorization: basic and bearer.

use crate::{
    b64,
    error::{Error, Result},
};
use http::HeaderValue;

/// Returns basic credentials in UTF-8 (RFC 7617), marked sensitive.
///
/// # Errors
///
/// `InvalidInput` for a colon in the user name, which the peer would take for the end of it, and for a control character in
/// either (section 2).
pub(crate) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    if user.contains(':') {
        return Err(Error::invalid("the user name has a colon, which basic authentication cannot carry"));
    }
    if [user, password].into_iter().any(|text| text.chars().any(char::is_control)) {
        return Err(Error::invalid("the user name or password has a control character"));
    }
    let encoded = b64::encode([user, ":", password].concat());
    sensitive(format!("Basic {encoded}"))
}

/// Returns a bearer token (RFC 6750, section 2.1), marked sensitive.
///
/// Any visible ASCII is taken: tokens in use keep to no narrower alphabet.
///
/// # Errors
///
/// `InvalidInput` if the token is empty or holds anything else, such as the line break at the end of the file it came from.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue> {
    if token.is_empty() {
        return Err(Error::invalid("the bearer token is empty"));
    }
    if let Some(at) = token.bytes().position(|b| !b.is_ascii_graphic()) {
        return Err(Error::invalid(format!("byte {at} of the bearer token is not a visible ASCII character")));
    }
    sensitive(format!("Bearer {token}"))
}

fn sensitive(value: String) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(value).map_err(http::Error::from)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn basic_credentials() {
        let table = [
            ("Aladdin", "open sesame", Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")), // RFC 7617, section 2
            ("test", "123\u{a3}", Ok("Basic dGVzdDoxMjPCow==")),                  // RFC 7617, section 2.1
            ("", "", Ok("Basic Og==")),
            ("user", "a:b", Ok("Basic dXNlcjphOmI=")),
            ("us:er", "", Err(ErrorKind::InvalidInput)),
            ("user\n", "", Err(ErrorKind::InvalidInput)),
            ("user", "pass\0", Err(ErrorKind::InvalidInput)),
            ("user", "\u{85}", Err(ErrorKind::InvalidInput)),
        ];
        for (user, password, expected) in table {
            let made = basic(user, password);
            let text = made.as_ref().map(|v| v.to_str().unwrap()).map_err(Error::kind);
            assert_eq!(text, expected, "{user:?} {password:?}");
        }
    }

    #[test]
    fn bearer_tokens() {
        let table = [
            ("mF_9.B5f-4.1JqM", Ok("Bearer mF_9.B5f-4.1JqM")), // RFC 6750, section 2.1
            ("a|b:c", Ok("Bearer a|b:c")),
            ("", Err(ErrorKind::InvalidInput)),
            ("abc\n", Err(ErrorKind::InvalidInput)),
            ("a b", Err(ErrorKind::InvalidInput)),
            ("\u{e9}", Err(ErrorKind::InvalidInput)),
        ];
        for (token, expected) in table {
            let made = bearer(token);
            let text = made.as_ref().map(|v| v.to_str().unwrap()).map_err(Error::kind);
            assert_eq!(text, expected, "{token:?}");
        }
    }

    #[test]
    fn what_was_secret_is_not_shown() {
        for value in [basic("user", "secret").unwrap(), bearer("secret").unwrap()] {
            assert!(value.is_sensitive());
            assert_eq!(format!("{value:?}"), "Sensitive");
        }
        let text = bearer("secret\n").unwrap_err().to_string() + &basic("secret:", "secret").unwrap_err().to_string();
        assert!(!text.contains("secret"), "{text}");
    }
}
