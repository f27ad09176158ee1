//! Tables of rules, limits and commands, and whole conversations.

mod commands;
mod conversations;
mod limits;
mod rules;
mod states;
mod support;
