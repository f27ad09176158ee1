//! One JSON object, written by hand: the examples need no crate for it.

use std::fmt::Write;

/// An object that is being put together, its members in the order of their calls.
#[derive(Debug)]
pub struct Object {
    text: String,
}

impl Object {
    /// Returns an object without members.
    pub fn new() -> Self {
        Object { text: "{".into() }
    }

    /// Adds a member whose value is a string.
    pub fn string(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        quote(&mut self.text, value);
        self
    }

    /// Adds a member whose value is JSON as it stands: a number, `true`, `null`, another object.
    pub fn raw(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.name(name);
        write!(self.text, "{value}").expect("a String takes everything");
        self
    }

    /// Returns the text.
    pub fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        quote(&mut self.text, name);
        self.text.push(':');
    }
}

/// Appends a string with its quotes (RFC 8259, section 7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Controls must be escaped; DEL and the separators of lines may be, for those who show or evaluate it.
            '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
