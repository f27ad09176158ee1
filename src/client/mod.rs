//! The client: what a user holds to make requests.

mod auth;
mod hook;
mod redirect;
mod timeouts;
mod url;

pub use hook::{Attempt, Verdict};
pub use redirect::Redirects;
pub use timeouts::Timeouts;
