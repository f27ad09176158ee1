//! The guide: what one has to know to use the library well, a page for each question.
//!
//! | page | question |
//! |---|---|
//! | [`timeouts`] | When does a call end, and what ends it? |
//! | [`keep_alive`] | How do idle connections stay alive, and how are dead ones found? |
//! | [`versions`] | Which HTTP version is spoken, and how is that decided? |
//! | [`retries`] | What is sent twice, and what never? |
//! | [`waiting`] | How does one thread wait for many, and many threads for one connection? |

#[doc = include_str!("timeouts.md")]
pub mod timeouts {}

#[doc = include_str!("keep_alive.md")]
pub mod keep_alive {}

#[doc = include_str!("versions.md")]
pub mod versions {}

#[doc = include_str!("retries.md")]
pub mod retries {}

#[doc = include_str!("waiting.md")]
pub mod waiting {}
