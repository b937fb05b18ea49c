//! The events of a journal, each in one place: a struct with its fields, which are the file
//! format, and an [`Occurrence`] that says what it does to the state, how people and journald get
//! to read it, and how bad it is. The list below makes them the variants of [`Event`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::restored::Restored;
use super::state::State;

mod confinement;
mod life;
mod mail;
mod obstacle;
mod program;
mod review;
mod run;
mod signal;
mod worker;

pub use confinement::{Fetched, KeptOut, NotSent, Refusal};
pub use life::{
    Answered, Chosen, Created, Delegated, Imported, PhaseSet, Prepared, Remade, Resumed, Retried,
    Started, Stopped,
};
pub use mail::{ForeignMail, Mail, MailLeft, Notified};
pub use obstacle::{
    Blocked, BudgetWarned, Continued, Held, Limited, Outage, Paused, Queued, Released, Scheduled,
};
pub use program::{ConversationKept, ConversationLost, Unfamiliar};
pub use review::{ReviewMissed, Reviewed};
pub use run::{
    ConversationNamed, HandoffAsked, HandoffMade, HeadMoved, Nudged, Repeated, RunEnded, RunLost,
    RunStarted, SetAside, Stalled, StraysFound,
};
pub use signal::{SignalAsked, SignalTaken, Step};
pub use worker::{End, WorkerEnded, WorkerStarted};

/// What is to be known of an event beside its fields.
pub trait Occurrence {
    /// journald's `MESSAGE_ID`, which `units/samocode.catalog` explains.
    const MESSAGE_ID: &str;

    /// The event in one line, without its time; the words of others may be in it.
    fn describe(&self) -> String;

    /// Whether it deserves a human's attention, which is journald's priority "warning".
    fn is_warning(&self) -> bool {
        false
    }

    /// Applies the event, recorded at `at`, to the state.
    fn fold(&self, at: Timestamp, state: &mut State);
}

/// Declares the enum of all events from their types and the names they have in the journal.
macro_rules! events {
    ($($event:ident = $name:literal,)+) => {
        /// An event of a session: what happened, with the data needed to replay it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Event {
            $(
                #[doc = concat!("The event named `", $name, "` in the journal.")]
                #[serde(rename = $name)]
                $event($event),
            )+
        }

        impl Event {
            /// The `MESSAGE_ID` of each kind of event.
            pub const MESSAGE_IDS: &[&str] = &[$($event::MESSAGE_ID),+];

            /// The event's name in the journal and in journald's `SAMOCODE_EVENT`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => $name,)+
                }
            }

            /// journald's `MESSAGE_ID` of this kind of event.
            #[must_use]
            pub const fn message_id(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => $event::MESSAGE_ID,)+
                }
            }

            /// Describes the event in one line, without its time.
            #[must_use]
            pub fn describe(&self) -> String {
                match self {
                    $(Self::$event(event) => Occurrence::describe(event),)+
                }
            }

            /// Whether the event deserves a human's attention.
            #[must_use]
            pub fn is_warning(&self) -> bool {
                match self {
                    $(Self::$event(event) => event.is_warning(),)+
                }
            }

            pub(super) fn fold(&self, at: Timestamp, state: &mut State) {
                match self {
                    $(Self::$event(event) => event.fold(at, state),)+
                }
            }
        }

        $(
            impl From<$event> for Event {
                fn from(event: $event) -> Self {
                    Self::$event(event)
                }
            }
        )+
    };
}

events! {
    Created = "created",
    Imported = "imported",
    Prepared = "prepared",
    Resumed = "resumed",
    WorkerStarted = "worker_started",
    WorkerEnded = "worker_ended",
    RunStarted = "run_started",
    ConversationNamed = "conversation_named",
    ConversationKept = "conversation_kept",
    ConversationLost = "conversation_lost",
    Unfamiliar = "unfamiliar",
    RunEnded = "run_ended",
    RunLost = "run_lost",
    HeadMoved = "head_moved",
    StraysFound = "strays_found",
    SetAside = "set_aside",
    Remade = "remade",
    KeptOut = "kept_out",
    NotSent = "not_sent",
    Fetched = "fetched",
    Reviewed = "reviewed",
    ReviewMissed = "review_missed",
    SignalAsked = "signal_asked",
    SignalTaken = "signal_taken",
    Blocked = "blocked",
    Mail = "mail",
    ForeignMail = "foreign_mail",
    MailLeft = "mail_left",
    Answered = "answered",
    PhaseSet = "phase_set",
    Retried = "retried",
    Delegated = "delegated",
    Chosen = "chosen",
    Stopped = "stopped",
    Started = "started",
    Limited = "limited",
    Paused = "paused",
    Queued = "queued",
    Held = "held",
    Scheduled = "scheduled",
    Released = "released",
    Continued = "continued",
    Outage = "outage",
    Restored = "restored",
    Nudged = "nudged",
    Stalled = "stalled",
    Repeated = "repeated",
    HandoffAsked = "handoff_asked",
    HandoffMade = "handoff_made",
    BudgetWarned = "budget_warned",
    Notified = "notified",
}

#[cfg(test)]
mod tests;
