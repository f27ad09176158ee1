//! What can be a body.

use super::{Body, Bytes, Kind};
use crate::error::Result;
use http::HeaderValue;
use std::{fs::File, sync::Arc};

/// What can be a request or response body: `()`, `&str`, `String`, `&[u8]`, `[u8; N]`, `Vec<u8>`, `Arc<[u8]>`, `File`, [`Body`].
///
/// # Examples
///
/// ```
/// use bowline::IntoBody;
///
/// # fn main() -> bowline::Result<()> {
/// let (body, content_type) = "abc".into_body()?;
/// assert_eq!(body.content_length(), Some(3));
/// assert_eq!(content_type.unwrap(), "text/plain; charset=utf-8");
/// # Ok(())
/// # }
/// ```
pub trait IntoBody {
    /// Returns the body, and the Content-Type to set if the caller set none.
    ///
    /// # Errors
    ///
    /// If a file cannot be asked for its length.
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)>;
}

fn text(bytes: Vec<u8>) -> Result<(Body, Option<HeaderValue>)> {
    Ok((Body::from_vec(bytes), Some(HeaderValue::from_static("text/plain; charset=utf-8"))))
}

fn binary(bytes: Vec<u8>) -> Result<(Body, Option<HeaderValue>)> {
    Ok((Body::from_vec(bytes), None))
}

impl IntoBody for () {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        Ok((Body::empty(), None))
    }
}

impl IntoBody for &str {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        text(self.into())
    }
}

impl IntoBody for String {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        text(self.into_bytes())
    }
}

impl IntoBody for &String {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        text(self.clone().into_bytes())
    }
}

impl IntoBody for &[u8] {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        binary(self.into())
    }
}

impl<const N: usize> IntoBody for &[u8; N] {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        binary(self.to_vec())
    }
}

impl<const N: usize> IntoBody for [u8; N] {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        binary(self.to_vec())
    }
}

impl IntoBody for &Vec<u8> {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        binary(self.clone())
    }
}

impl IntoBody for Vec<u8> {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        binary(self)
    }
}

impl IntoBody for Arc<[u8]> {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        let len = self.len() as u64;
        Ok((Body::of(Kind::Bytes { bytes: Bytes::Slice(self), at: 0 }, Some(len)), None))
    }
}

impl IntoBody for File {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        Ok((Body::from_file(self)?, None))
    }
}

impl IntoBody for Body {
    fn into_body(self) -> Result<(Body, Option<HeaderValue>)> {
        Ok((self, None))
    }
}
