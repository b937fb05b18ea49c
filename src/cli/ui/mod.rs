//! What people see: lines, tables and colours; times and amounts in words; questions.

#[macro_use]
mod say;

pub(in crate::cli) mod output;
pub(in crate::cli) mod questions;
pub(in crate::cli) mod words;
