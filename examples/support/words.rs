//! The words of a command line, for the examples: without a crate for it.
//!
//! An option with a value takes it as the next word or behind `=`: `--timeout 2.5`, `--timeout=2.5`, `-X PUT`, `-XPUT`. What
//! follows `--` is never an option. A wrong command line is a [`Usage`] error; the example prints it and exits with 2.

use std::{collections::VecDeque, fmt};

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// One word of a command line.
pub enum Word {
    /// It is [`Words::option`].
    Option,
    Plain(String),
}

/// The words of a command line that have not been taken.
pub struct Words {
    rest: VecDeque<String>,
    /// Short options that take a value, which may stand in the same word.
    short: &'static [&'static str],
    /// The option whose values are taken now, and the first of them if it stood in the same word.
    option: String,
    attached: Option<String>,
    /// Whether `--` was seen.
    plain: bool,
}

impl Words {
    /// `short` names the short options that take a value.
    pub fn new(words: impl IntoIterator<Item = String>, short: &'static [&'static str]) -> Self {
        let rest = words.into_iter().collect();
        Words { rest, short, option: String::new(), attached: None, plain: false }
    }

    /// Takes the next option or plain word.
    pub fn next(&mut self) -> Result<Option<Word>, Usage> {
        if self.attached.is_some() {
            return Err(Usage(format!("{} takes no value", self.option)));
        }
        let Some(word) = self.rest.pop_front() else { return Ok(None) };
        if self.plain || !word.starts_with('-') || word == "-" {
            return Ok(Some(Word::Plain(word)));
        }
        if word == "--" {
            self.plain = true;
            return self.next();
        }
        self.option = word;
        if self.option.starts_with("--") {
            if let Some((option, value)) = self.option.split_once('=') {
                (self.attached, self.option) = (Some(value.into()), option.into());
            }
        } else if let Some(short) =
            self.short.iter().find(|s| self.option.starts_with(**s) && self.option.len() > s.len())
        {
            self.attached = Some(self.option.split_off(short.len()));
        }
        Ok(Some(Word::Option))
    }

    /// Returns the option whose values are taken now.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// Takes the next value of the option, whatever it looks like.
    pub fn value(&mut self) -> Result<String, Usage> {
        let value = self.attached.take().or_else(|| self.rest.pop_front());
        value.ok_or_else(|| Usage(format!("{} needs a value", self.option)))
    }
}
