//! Reading calls and replies that go into a cage or out of it. The others, which are not for confined agents,
//! are not read at all, so no release has code for it.

use serde::{Deserialize, Deserializer};

use crate::control::context::Answer;
use crate::control::host::{Reply, Request};
use crate::control::operation::Replies;
use crate::control::{
    answers, confine, convoy, cost, disk, documents, enable, inbox, inspect, mail, many, merge,
    post, prompt, report, role, stop, timeline, unit, wait,
};

/// Declares the calls that may be for a confined agent, as [`super::may`] decides.
macro_rules! for_agents {
    ($($name:ident: $call:ty,)*) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Asked {
            $($name($call),)*
        }

        impl From<Asked> for Request {
            fn from(asked: Asked) -> Self {
                match asked {
                    $(Asked::$name(call) => Self::$name(call),)*
                }
            }
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Told {
            $($name(Box<<$call as Replies>::Reply>),)*
        }

        impl From<Told> for Reply {
            fn from(told: Told) -> Self {
                match told {
                    $(Told::$name(reply) => Self::$name(*reply),)*
                }
            }
        }
    };
}

for_agents! {
    Find: inspect::Find,
    List: inspect::List,
    Show: inspect::Show,
    Explain: inspect::Explain,
    History: timeline::History,
    Cost: cost::Cost,
    Disk: disk::Disk,
    Inbox: inbox::Inbox,
    Questions: answers::Questions,
    Answer: answers::Answers,
    Approve: post::Approve,
    Reject: post::Reject,
    Send: post::Send,
    Write: mail::Write,
    Ask: mail::Ask,
    Enable: enable::Enable,
    Start: unit::Start,
    Stop: stop::Stop,
    Restart: unit::Restart,
    Reload: unit::Reload,
    Disable: unit::Disable,
    Many: many::Many,
    Prompt: prompt::Prompt,
    Role: role::Role,
    Confine: confine::Confine,
    Read: documents::Read,
    Report: report::Report,
    ConvoyStatus: convoy::Status,
    Merge: merge::Merge,
    Wait: wait::Wait,
}

/// Reads a call.
pub(super) fn request<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Request>, D::Error> {
    Asked::deserialize(from).map(|asked| Box::new(asked.into()))
}

/// Reads the answer to one.
pub(super) fn answer<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Answer<Reply>>, D::Error> {
    let Answer { result, warnings } = Answer::<Told>::deserialize(from)?;
    Ok(Box::new(Answer { result: result.map(Reply::from), warnings }))
}
