//! The words of a command line, for the examples: without a crate for it.
//!
//! An option with a value takes it as the next word or behind `=`: `--timeout 2.5`, `--timeout=2.5`, `-X PUT`, `-XPUT`. What
//! follows `--` is never an option. `-h` and `--help` ask for help. What is not carried out is a [`Usage`], which the example answers.

#![allow(dead_code, reason = "each example uses a part of it")]

use std::{
    collections::VecDeque,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

/// Why a command line is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It asks for help.
    Help,
    /// What is wrong with it.
    Wrong(String),
}

impl Usage {
    /// A word that has no place in the command line.
    pub fn unexpected(word: &str) -> Self {
        Usage::Wrong(format!("unexpected word {word}"))
    }

    /// There is to be one, such as a URL, and there are so many.
    pub fn one(what: &str, count: usize) -> Self {
        Usage::Wrong(format!("one {what} is needed, not {count}"))
    }

    /// Gives the help that was asked for, or says what is wrong; returns the status to exit with, 0 or 2.
    pub fn answer(&self, program: &str, help: &str) -> ExitCode {
        // Who has stopped reading has read enough.
        match self {
            Usage::Help => {
                let _ = writeln!(io::stdout(), "{help}");
                ExitCode::SUCCESS
            }
            Usage::Wrong(what) => {
                let _ = writeln!(io::stderr(), "{program}: {what}\n{help}");
                ExitCode::from(2)
            }
        }
    }
}

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
            return Err(Usage::Wrong(format!("{} takes no value", self.option)));
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
        match self.option.as_str() {
            "-h" | "--help" => Err(Usage::Help),
            _ => Ok(Some(Word::Option)),
        }
    }

    /// Takes all words, which are to be no options.
    pub fn plain(mut self) -> Result<Vec<String>, Usage> {
        let mut plain = Vec::new();
        while let Some(word) = self.next()? {
            match word {
                Word::Option => return Err(self.unknown()),
                Word::Plain(word) => plain.push(word),
            }
        }
        Ok(plain)
    }

    /// Makes sure that there are no words.
    pub fn none(self) -> Result<(), Usage> {
        match self.plain()?.first() {
            None => Ok(()),
            Some(word) => Err(Usage::unexpected(word)),
        }
    }

    /// Returns the option whose values are taken now.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// Takes the next value of the option, whatever it looks like.
    pub fn value(&mut self) -> Result<String, Usage> {
        let value = self.attached.take().or_else(|| self.rest.pop_front());
        value.ok_or_else(|| Usage::Wrong(format!("{} needs a value", self.option)))
    }
    /// Takes a whole number that is not below `min`.
    pub fn number<N: TryFrom<u64>>(&mut self, min: u64) -> Result<N, Usage> {
        let text = self.value()?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && *n >= min).and_then(|n| N::try_from(n).ok());
        number.ok_or_else(|| Usage::Wrong(format!("{} needs a whole number from {min} on, not `{text}`", self.option)))
    }

    /// Takes a time in seconds, short enough for a point in time that far away.
    pub fn seconds(&mut self) -> Result<Duration, Usage> {
        let text = self.value()?;
        let seconds = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let seconds = seconds.filter(|time| time.as_secs() <= u32::MAX.into());
        seconds.ok_or_else(|| Usage::Wrong(format!("{} needs seconds, not `{text}`", self.option)))
    }

    /// Takes a header, `Name: value`.
    pub fn header(&mut self) -> Result<(String, String), Usage> {
        let text = self.value()?;
        match text.split_once(':') {
            Some((name, value)) if !name.is_empty() => Ok((name.into(), value.trim().into())),
            _ => Err(Usage::Wrong(format!("a header is `Name: value`, not `{text}`"))),
        }
    }

    /// Refuses the option.
    pub fn unknown(&self) -> Usage {
        Usage::Wrong(format!("unknown option {}", self.option))
    }
}
