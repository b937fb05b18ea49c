//! A session: a task with a folder of plain files. Everything here but [`store`] is pure.

pub mod advance;
pub mod asked;
pub mod clock;
mod cost;
mod deaths;
pub mod describe;
mod elsewhere;
pub mod event;
pub mod hand_edit;
pub mod history;
pub mod hook;
mod import;
pub mod journal;
pub mod mail;
mod markdown;
pub mod names;
pub mod notes;
pub mod overview;
pub mod phase;
pub mod qa;
pub mod restored;
pub mod signal;
pub mod stamp;
mod standing;
pub mod state;
pub mod store;
mod vocabulary;

pub use cost::{Certainty, dollars};
pub use elsewhere::Elsewhere;
pub use import::{Files, import};
pub use names::SessionName;
pub use overview::Overview;
pub use phase::Phase;
pub use signal::{Signal, Status};
pub use vocabulary::{Cause, Needs, RetryCause, RunOutcome, WaitsFor};
