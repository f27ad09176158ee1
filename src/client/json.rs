//! JSON bodies: the only file that names serde and serde_json.

use crate::error::{Error, ErrorKind, Phase, Processed, Result};

/// Writes a value as JSON.
///
/// # Errors
///
/// `InvalidInput`: a value that JSON cannot express, such as a map with keys that are not text.
pub(super) fn write<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::with(ErrorKind::InvalidInput, "the value cannot be written as JSON").with_source(e))
}

/// Reads a value from JSON.
///
/// # Errors
///
/// `Content`: not JSON, or not of this type.
pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        let text = format!("the body is not the JSON that was asked for: {e}");
        Error::with(ErrorKind::Content, text).in_phase(Phase::Body).with_processed(Processed::Yes).with_source(e)
    })
}
