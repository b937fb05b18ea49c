//! Terminal output: lines, tables and colours, times and amounts, questions.

#[macro_use]
mod print;

pub(in crate::cli) mod input;
pub(in crate::cli) mod layout;
pub(in crate::cli) mod output;
pub(in crate::cli) mod pager;
pub(in crate::cli) mod progress;
pub(in crate::cli) mod questions;
pub(in crate::cli) mod secret;
pub(in crate::cli) mod terminfo;
pub(in crate::cli) use crate::control::format;
