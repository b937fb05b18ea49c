//! The overview of a new session.

use super::super::markdown::{self, Line};
use super::super::phase::Phase;
use super::{Field, Overview};

/// The contents of a new overview. All but `task` are flattened to one line.
#[derive(Debug, Clone, Copy)]
pub struct NewOverview<'a> {
    /// The session's name, for the title.
    pub name: &'a str,
    /// When the session started, as `MM-DD HH:MM`.
    pub started: &'a str,
    /// The folder the agent works in.
    pub working_dir: &'a str,
    /// The task, in any number of lines.
    pub task: &'a str,
    /// What to investigate first; `None` to leave that to the agent.
    pub dive: Option<&'a str>,
    /// The phase the session starts in.
    pub phase: Phase,
    /// The current iteration, for the counters and the flow log.
    pub iteration: u32,
}

impl Overview {
    /// Creates the overview of a new session. Task lines that would be taken for a part of the file
    /// (headings, status lines, an unclosed fence) are quoted with `> `.
    #[must_use]
    pub fn new(new: &NewOverview<'_>) -> Self {
        let line = markdown::one_line;
        let (started, task) = (line(new.started), quoted(new.task));
        let dive = new.dive.map(line).filter(|dive| !dive.is_empty());
        let dive = dive.map_or_else(String::new, |dive| format!("Dive: {dive}\n"));
        Self::parse(format!(
            "# Session: {name}\n\
             Started: {started}\n\
             Working Dir: {working_dir}\n\
             {dive}\n\
             ## Task\n\
             {task}\n\n\
             ## Status\n\
             Phase: {phase}\n\
             Iteration: {iteration}\n\
             Total Iterations: {iteration}\n\
             Blocked: no\n\
             Last Action: Session created\n\
             Next: Begin {phase}\n\n\
             ## Flow Log\n\
             - [{iteration:03} @ {started}] Session created\n\n\
             ## Files\n",
            name = line(new.name),
            working_dir = line(new.working_dir),
            phase = new.phase,
            iteration = new.iteration,
        ))
    }
}

/// Quotes the lines of a task that would be taken for a part of the file.
fn quoted(task: &str) -> String {
    let task = task.replace("\r\n", "\n").replace('\r', "\n");
    let task = task.trim_start_matches(['\n', '\u{feff}']).trim_end();
    let lines = markdown::lines(task);
    let quote = |line: &Line| {
        let content = line.content(task);
        let is_status = |f: &Field| markdown::key_line(task, line, f.key()).is_some();
        let misleads = markdown::heading(content).is_some_and(|(level, _)| level <= 2)
            || markdown::is_fence(content)
            || Field::ALL.iter().any(is_status);
        let mark = if misleads && !line.fenced { "> " } else { "" };
        format!("{mark}{content}")
    };
    lines.iter().map(quote).collect::<Vec<_>>().join("\n")
}
