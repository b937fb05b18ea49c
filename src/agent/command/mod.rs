//! Any program that honours the file contract, as an agent.
//!
//! It gets the system prompt and the prompt as text on its standard input, then end of file.
//! `SAMOCODE_SESSION_DIR` and the other variables name the session; the current folder is the
//! worktree. It writes `_signal.json`. Every line it prints is a sign of life; a line that is JSON
//! with the key `event` is read as one of our [`Event`]s. It need not print anything.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::event::{Decoder, Event, MAX_TEXT, cut, fingerprint, one_line};
use super::find::CHOICE;
use super::lenient;
use super::spec::{AgentSpec, Capabilities, ConversationId, Program};
use super::{Agent, Input, Launch, Task};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};

const WORDS: AgentManifest = AgentManifest {
    name: "command",
    takes_command: true,
    reach: Reach::All,
    keys: &[],
    variables: Variables::NONE,
    credentials: Credentials::NONE,
};

/// The agent `command:PROGRAM ARGS`.
#[derive(Debug, Clone, Copy)]
pub struct Command;

impl AgentSpec for Command {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: false,
            conversation: ConversationId::Ours,
            one_writer: false,
            live_input: false,
            reports_end: false,
            cost: false,
            limits: false,
            day_quota: false,
            max_turns: None,
            partial_messages: false,
            tells_version: false,
            wants_identity: false,
        }
    }

    fn program(&self, name: &AgentName, _settings: &Settings) -> Program {
        let program = name.command().map(|command| command.program.clone()).unwrap_or_default();
        Program::Named { program, key: CHOICE, before: "command:" }
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        let args = agent.name().command().map(|command| command.args.as_slice());
        Launch {
            program: agent.program().to_owned(),
            args: args.unwrap_or_default().iter().map(Into::into).collect(),
            input: Input::Text(task.whole_prompt().into_bytes()),
            defaults: Vec::new(),
            files: Vec::new(),
        }
    }

    fn decoder(&self, _working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(Lines)
    }
}

/// Reads lines, some of which may be our own events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Decoder for Lines {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let line = line.trim_ascii();
        // Most JSON that agents print is not ours; looking for the key is cheaper than parsing.
        let is_ours = memchr::memmem::find(line, b"\"event\"").is_some();
        let values = if is_ours { lenient::objects(line) } else { Vec::new() };
        if values.is_empty() {
            emit(Event::Progress);
        }
        values.into_iter().for_each(|value| emit(read(value).map_or(Event::Progress, bounded)));
    }
}

/// One of our events. Of an end, fields that do not fit are left out.
fn read(given: Value) -> Option<Event> {
    if let Ok(event) = Event::deserialize(&given) {
        return Some(event);
    }
    let mut part = json!({"event": given["event"]});
    let Value::Object(fields) = given else { return None };
    for (key, value) in fields {
        let forms = [
            lenient::count(&value).map(Value::from),
            lenient::number(&value).map(Value::from),
            value.as_object().map(numbers),
        ];
        let mut fits = value.is_null();
        for form in std::iter::once(value).chain(forms.into_iter().flatten()) {
            let mut with = part.clone();
            with[&key] = form;
            if Event::deserialize(&with).is_ok() {
                (part, fits) = (with, true);
                break;
            }
        }
        if key == "cost" && !fits {
            part["cost_unread"] = Value::Bool(true);
        }
    }
    Event::deserialize(part).ok()
}

/// The fields of an object that are numbers, in whichever form.
fn numbers(fields: &Map<String, Value>) -> Value {
    let number = |value: &Value| {
        let number = lenient::number(value)?;
        let count = || lenient::count(value).map(Value::from);
        (number.fract() == 0.0).then(count).flatten().or_else(|| Some(number.into()))
    };
    let read = fields.iter().filter_map(|(key, value)| Some((key.clone(), number(value)?)));
    Value::Object(read.collect())
}

/// The event with its texts cut, since they are held in memory and shown in one line.
fn bounded(event: Event) -> Event {
    match event {
        Event::Text { text } => Event::Text { text: cut(&text, MAX_TEXT).to_owned() },
        Event::Tool(mut tool) => {
            if tool.fingerprint == 0 {
                tool.fingerprint = fingerprint(&tool.name, tool.summary.as_bytes());
            }
            tool.name = one_line(&tool.name, 80);
            tool.summary = one_line(&tool.summary, 80);
            Event::Tool(tool)
        }
        Event::Finished(mut finished) => {
            finished.text.truncate(cut(&finished.text, MAX_TEXT).len());
            Event::Finished(finished)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::REGISTRY;
    use crate::agent::registry::testing::agent_of;

    #[test]
    fn the_prompt_comes_whole_on_standard_input() {
        let task =
            Task { system_prompt: "Rules.\n".into(), prompt: "Do it.".into(), ..Task::default() };
        let agent = agent_of(&REGISTRY, "command:/bin/sh -c 'a b'", "").unwrap();
        let launch = agent.launch(&task);
        assert_eq!(launch.program, Path::new("/bin/sh"));
        assert_eq!(launch.args, ["-c", "a b"]);
        assert_eq!(launch.input, Input::Text(b"Rules.\n\nDo it.".to_vec()));
    }

    #[test]
    fn lines_of_our_own_events_are_read_and_all_others_are_signs_of_life() {
        let mut events = Vec::new();
        for line in [
            r#"{"event":"tool","name":"git","summary":"running\ngit commit"}"#,
            r#"{"event":"dance"}"#,
            "compiling…",
            r#"{"event":"finished","is_error":true,"text":"no"}"#,
            r#"done {"event":"finished","is_error":"?","num_turns":3.0,"cost":7,"text":"cut \ud83d"}"#,
        ] {
            Lines.line(line.as_bytes(), &mut |event| events.push(event));
        }
        assert!(
            matches!(&events[0], Event::Tool(t) if t.summary == "running git commit" && t.fingerprint != 0)
        );
        assert_eq!(events[1..3], [Event::Progress, Event::Progress]);
        assert!(matches!(&events[3], Event::Finished(f) if f.is_error && f.text == "no"));
        let Event::Finished(end) = &events[4] else { panic!("{events:?}") };
        assert_eq!((end.is_error, end.num_turns, end.cost), (false, Some(3), None));
        assert_eq!(end.text, "cut \u{fffd}");
    }

    #[test]
    fn a_cost_is_read_in_every_form_and_what_is_no_number_is_unknown() {
        let end = |fields: &str| {
            let mut end = None;
            let line = format!(r#"{{"event":"finished",{fields}}}"#);
            Lines.line(line.as_bytes(), &mut |event| end = Some(event));
            let Some(Event::Finished(end)) = end else { panic!("{end:?}") };
            (end.cost.map(|cost| cost.total), end.cost_unread, end.usage.input)
        };
        for quarter in ["0.25", r#""0.25""#, r#""$0.25""#, "25e-2"] {
            let fields = format!(r#""cost":{{"total":{quarter}}},"usage":{{"input":"7"}}"#);
            assert_eq!(end(&fields), (Some(0.25), false, 7), "{quarter}");
        }
        assert_eq!(end(r#""cost":{"total":"3","own":"x"}"#), (Some(3.0), false, 0));
        for unknown in [r#"{"total":"a quarter"}"#, r#""$0.25""#, "{}", "7", r#"{"total":null}"#] {
            let fields = format!(r#""cost":{unknown},"usage":{{"input":7.0}}"#);
            assert_eq!(end(&fields), (None, true, 7), "{unknown}");
        }
        assert_eq!(end(r#""cost":null"#), (None, false, 0));
    }
}
