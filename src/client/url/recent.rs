//! The URL that was asked for last.

use super::Url;
use crate::error::Result;
use std::sync::Mutex;

/// The longest URL that is remembered.
const LONGEST: usize = 1024;

/// The URL that a client was asked for last, and what it came to: many programs ask for the same one again and again. (Taking one
/// apart is 1000 instructions, remembering it 200.)
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Option<(String, Url)>>);

impl Recent {
    /// Returns what `text` came to the last time, or comes to now by `parse`.
    ///
    /// # Errors
    ///
    /// Those of `parse`.
    pub(crate) fn parse(&self, text: &str, parse: impl FnOnce() -> Result<Url>) -> Result<Url> {
        // While another thread is at it, taking the URL apart is as quick as waiting.
        let Ok(mut recent) = self.0.try_lock() else { return parse() };
        if let Some((_, url)) = recent.as_ref().filter(|(last, _)| last == text) {
            return Ok(url.clone());
        }
        let url = parse()?;
        // A password is held by nobody but the request.
        if text.len() <= LONGEST && url.authorization.is_none() {
            let mut last = recent.take().map(|(last, _)| last).unwrap_or_default();
            last.clear();
            last.push_str(text);
            *recent = Some((last, url.clone()));
        }
        Ok(url)
    }
}
