//! The recorded replies: for each run of a session, the model's turns, each with its calls of tools.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::lab::Reply;
use crate::lab::api::Request;

/// One answer of the model.
#[derive(Clone)]
pub(crate) enum Turn {
    /// Calls of tools, in the order in which they run.
    Calls(Vec<Call>),
    /// Text, which ends the run.
    Says(String),
}

/// One call of a tool.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) input: Value,
}

/// A run: a phase, or one of several in it.
pub(crate) struct Recorded {
    pub(crate) name: &'static str,
    turns: Vec<Turn>,
}

impl Recorded {
    /// The phase that it belongs to.
    pub(crate) fn phase(&self) -> &'static str {
        self.name.split_once('-').map_or(self.name, |(phase, _)| phase)
    }
}

/// The runs of a whole session, in order.
pub(crate) fn recorded() -> Vec<Recorded> {
    macro_rules! read {
        ($($name:literal,)*) => {
            vec![$(Recorded { name: $name, turns: parse(include_str!(concat!("replies/", $name, ".json"))) },)*]
        };
    }
    read![
        "init",
        "investigation",
        "requirements-1",
        "requirements-2",
        "planning-1",
        "planning-2",
        "implementation-1",
        "implementation-2",
        "testing",
        "quality",
        "done",
    ]
}

/// An array of turns: each a text, or an array of objects with the name of a tool and its input.
fn parse(text: &str) -> Vec<Turn> {
    let turns: Vec<Value> = serde_json::from_str(text).expect("an array of turns");
    let call = |call: &Value| {
        let (tool, input) = call.as_object().and_then(|call| call.iter().next()).expect("a call");
        Call { tool: tool.clone(), input: input.clone() }
    };
    let turn = |turn: &Value| match turn {
        Value::String(text) => Turn::Says(text.clone()),
        calls => Turn::Calls(calls.as_array().expect("calls").iter().map(call).collect()),
    };
    turns.iter().map(turn).collect()
}

/// What was played: the turns of each run, as they were sent.
pub(crate) type Played = Arc<Mutex<BTreeMap<usize, Vec<Turn>>>>;

/// Plays the runs one after the other: a request without results of tools begins the next one.
pub(crate) fn player(runs: Vec<Recorded>, played: Played) -> impl FnMut(&Request) -> Reply + Send {
    let (mut run, mut turn) = (None, 0);
    move |request| {
        if request.tool_results().is_empty() {
            (run, turn) = (Some(run.map_or(0, |run: usize| run + 1)), 0);
        }
        let at = run.unwrap_or_default();
        let Some(next) = runs.get(at).and_then(|run| run.turns.get(turn)) else {
            return Reply::say(format!("There is no turn {turn} of run {at}."));
        };
        turn += 1;
        let next = next.with_values(&request.prompt());
        let reply = next.reply();
        let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
        played.entry(at).or_default().push(next);
        reply
    }
}

impl Turn {
    /// With the values of the prompt in place of `@NAME@`.
    fn with_values(&self, prompt: &str) -> Self {
        match self {
            Self::Says(text) => Self::Says(text.clone()),
            Self::Calls(calls) => {
                Self::Calls(calls.iter().map(|it| it.with_values(prompt)).collect())
            }
        }
    }

    fn reply(&self) -> Reply {
        match self {
            Self::Says(text) => Reply::say(text.as_str()),
            Self::Calls(calls) => {
                let replies = calls.iter().map(|call| Reply::tool(&call.tool, call.input.clone()));
                replies.reduce(Reply::and).expect("a turn has a call")
            }
        }
    }
}

impl Call {
    fn with_values(&self, prompt: &str) -> Self {
        let mut input = self.input.clone();
        for text in input.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            if let Value::String(text) = text {
                *text = filled(text, prompt);
            }
        }
        Self { tool: self.tool.clone(), input }
    }
}

/// The text with the values that the prompt has on lines such as `RUN: …`.
fn filled(text: &str, prompt: &str) -> String {
    const NAMES: [&str; 5] =
        ["SESSION_DIR", "WORKING_DIR", "RUN", "TIMESTAMP_ITERATION", "TIMESTAMP_LOG"];
    NAMES.iter().fold(text.to_owned(), |text, name| {
        let line = prompt.lines().rev().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map_or(text.clone(), |value| text.replace(&format!("@{name}@"), value.trim()))
    })
}
