//! How the rehearsal plays each of the eight phases.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::texts::{STEPS, plan, questions};
use super::{RehearsalError, git};
use crate::agent::event::{Event, Finished, Tool};
use crate::session::overview::{Field, Overview};
use crate::session::qa::Qa;
use crate::session::store::{self, Folder};
use crate::session::{Phase, Status};

type Result<T> = std::result::Result<T, RehearsalError>;

/// The parts of the prompt that the rehearsal reads.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    timestamp_file: String,
    timestamp_iteration: String,
    /// Whether the gate is open; `None` if the phase has none.
    gate_open: Option<bool>,
    rejected: bool,
}

impl Prompt {
    pub(super) fn read(text: &str) -> Self {
        let value = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
        };
        let mail =
            |kind: &str| text.lines().any(|line| line.starts_with(&format!("[{kind} from ")));
        Self {
            timestamp_file: value("TIMESTAMP_FILE").unwrap_or("00-00-00:00").replace('/', "-"),
            timestamp_iteration: value("TIMESTAMP_ITERATION").unwrap_or("[000]").to_owned(),
            gate_open: value("GATE").map(|word| word == "open"),
            rejected: mail("reject"),
        }
    }
}

/// One iteration, and everything it needs.
pub(super) struct Stage<'a> {
    pub(super) session: PathBuf,
    pub(super) work: PathBuf,
    pub(super) phase: Phase,
    pub(super) run: String,
    pub(super) prompt: Prompt,
    pub(super) pace: Duration,
    pub(super) say: &'a mut dyn FnMut(&Event) -> io::Result<()>,
}

/// How an iteration ends: the signal, and the text for the overview.
struct End {
    status: Status,
    phase: Option<Phase>,
    /// `for` of a waiting signal, `needs` of a blocked one.
    reason: Option<(&'static str, String)>,
    summary: String,
    next: &'static str,
    artifact: Option<String>,
}

impl End {
    fn go(phase: Option<Phase>, summary: impl Into<String>, next: &'static str) -> Self {
        let summary = summary.into();
        Self { status: Status::Continue, phase, reason: None, summary, next, artifact: None }
    }

    fn wait(what: &str, summary: impl Into<String>, next: &'static str) -> Self {
        let reason = Some(("for", what.to_owned()));
        Self { status: Status::Waiting, reason, ..Self::go(None, summary, next) }
    }

    fn with(self, artifact: String) -> Self {
        Self { artifact: Some(artifact), ..self }
    }
}

impl Stage<'_> {
    pub(super) fn play(mut self) -> Result<()> {
        self.emit(Event::Started {
            conversation: self.run.clone(),
            model: "rehearsal".into(),
            permissions: None,
        })?;
        let end = match self.phase {
            Phase::Init => End::go(Some(Phase::Investigation), "Session is ready", "Investigate"),
            Phase::Investigation => self.investigate()?,
            Phase::Requirements => self.ask()?,
            Phase::Planning => self.plan()?,
            Phase::Implementation => self.implement()?,
            Phase::Testing => self.test()?,
            Phase::Quality => self.review()?,
            Phase::Done => self.sum_up()?,
        };
        self.note(&end)?;
        self.signal(&end)?;
        self.emit(Event::Text { text: format!("{}.", end.summary) })?;
        let finished =
            Finished { subtype: "success".into(), text: end.summary, ..Finished::default() };
        self.emit(Event::Finished(Box::new(finished)))
    }

    fn investigate(&mut self) -> Result<End> {
        self.tool("Read", "reading the repository")?;
        let found = match git::count_files(&self.work) {
            Some(1) => "the repository has 1 file".to_owned(),
            Some(count) => format!("the repository has {count} files"),
            None => "the folder is not a git repository".to_owned(),
        };
        let text =
            format!("# Dive: the repository\n\nLooked at `{}`: {found}.\n", self.work.display());
        let file = self.artifact("dive", &text)?;
        Ok(End::go(
            Some(Phase::Requirements),
            format!("Dive: {found}"),
            "Ask about the requirements",
        )
        .with(file))
    }

    fn ask(&mut self) -> Result<End> {
        let path = Folder::new(&self.session).qa();
        let text = read(&path)?;
        let asked = Qa::parse(text.clone()).questions().len();
        let waiting = Qa::parse(text.clone()).waiting();
        if asked < 2 * self.pass()? {
            self.tool("Write", "writing _qa.md")?;
            let begin = if text.is_empty() { "# Questions\n\n".to_owned() } else { text + "\n" };
            store::replace(&path, (begin + &questions(asked + 1)).as_bytes())?;
            return Ok(End::wait("qa_answers", "2 questions asked", "Wait for answers"));
        }
        // An approval without answers accepts the suggestions.
        let answered = self.prompt.gate_open.unwrap_or(waiting == 0);
        if !answered {
            return Ok(End::wait("qa_answers", "Still waiting for answers", "Wait for answers"));
        }
        let mut text = "# Requirements\n\nA greeting, as answered:\n\n".to_owned();
        for question in Qa::parse(read(&path)?).questions() {
            text.push_str(&format!(
                "- {} ({})\n",
                question.text.lines().next().unwrap_or_default(),
                question.id
            ));
        }
        let file = self.artifact("requirements", &text)?;
        Ok(End::go(Some(Phase::Planning), "Requirements written", "Plan").with(file))
    }

    fn plan(&mut self) -> Result<End> {
        let pass = self.pass()?;
        let wait =
            |summary: &str| End::wait("plan_approval", summary, "Wait for the plan's approval");
        let Some(file) = self.artifact_path("plan")? else {
            let file = self.artifact("plan", &plan(&folder(pass)))?;
            return Ok(wait("Plan of 3 steps").with(file));
        };
        if self.prompt.rejected {
            self.tool("Edit", "editing the plan")?;
            let text = read(&file)? + "\nRevised after it was rejected.\n";
            store::replace(&file, text.as_bytes())?;
            return Ok(wait("Plan revised after it was rejected"));
        }
        if self.prompt.gate_open == Some(true) {
            return Ok(End::go(Some(Phase::Implementation), "Plan approved", "Implement it"));
        }
        Ok(wait("Still waiting for the plan's approval"))
    }

    fn implement(&mut self) -> Result<End> {
        let pass = self.pass()?;
        let Some(file) = self.artifact_path("plan")? else {
            return Ok(blocked("the session's folder has no plan"));
        };
        let testing = Some(Phase::Testing);
        let text = read(&file)?;
        let done = text.lines().filter(|line| line.starts_with("- [x] ")).count();
        let Some(step) = STEPS.get(done) else {
            return Ok(End::go(testing, "All steps are done", "Test"));
        };
        let path = format!("{}/{}", folder(pass), step.file);
        self.tool("Write", &format!("writing {path}"))?;
        let target = self.work.join(&path);
        let written = fs::create_dir_all(self.work.join(folder(pass)))
            .and_then(|()| fs::write(&target, step.text));
        written.map_err(|error| RehearsalError::Work { path: target, error })?;
        if git::is_repository(&self.work) {
            self.tool("Bash", "running git commit")?;
            if let Err(why) = git::commit(&self.work, &path, step.title) {
                return Ok(blocked(&why));
            }
        }
        store::replace(&file, text.replacen("- [ ] ", "- [x] ", 1).as_bytes())?;
        let (number, all) = (done + 1, STEPS.len());
        let next = if number == all { "Test" } else { "Continue with the next step" };
        let summary = format!("Step {number} of {all} done: {}", step.title);
        Ok(End::go(testing.filter(|_| number == all), summary, next))
    }

    fn test(&mut self) -> Result<End> {
        let script = self.work.join(folder(self.pass()?)).join("test.sh");
        self.tool("Bash", "running sh test.sh")?;
        let output = Command::new("sh").arg(&script).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            return Ok(blocked(&format!("{} exited with {}", script.display(), output.status)));
        }
        let text = format!("# Test report\n\n`sh {}`: {said}.\n", script.display());
        let file = self.artifact("test-report", &text)?;
        Ok(End::go(Some(Phase::Quality), format!("Tested: {said}"), "Review").with(file))
    }

    fn review(&mut self) -> Result<End> {
        let mut text = "# Review\n\nReviewed against the requirements:\n\n".to_owned();
        for step in &STEPS {
            self.tool("Read", &format!("reading {}", step.file))?;
            text.push_str(&format!("- `{}`: as planned\n", step.file));
        }
        let file = self.artifact("review", &text)?;
        Ok(End::go(Some(Phase::Done), "Reviewed, nothing to change", "Write the summary")
            .with(file))
    }

    fn sum_up(&mut self) -> Result<End> {
        let pass = self.pass()?;
        let text =
            format!("# Summary\n\nA greeting in `{}/`, tested and reviewed.\n", folder(pass));
        let file = self.artifact("summary", &text)?;
        let summary = format!("Summary written: a greeting in {}/, tested", folder(pass));
        Ok(End {
            status: Status::Done,
            ..End::go(None, summary, "Nothing: the session is finished")
        }
        .with(file))
    }

    /// Which task of the session this is, from 1: each starts after the summary of the previous
    /// one.
    fn pass(&self) -> Result<usize> {
        if self.phase == Phase::Done {
            return Ok(self.artifacts("-plan-greeting")?.len().max(1));
        }
        Ok(self.artifacts("-summary-greeting")?.len() + 1)
    }

    /// Writes this task's artifact of a kind and returns its file name. An existing one is
    /// overwritten.
    fn artifact(&mut self, kind: &str, text: &str) -> Result<String> {
        let path = match self.artifact_path(kind)? {
            Some(path) => path,
            None => {
                let stamp = &self.prompt.timestamp_file;
                self.session.join(format!("{stamp}-{kind}-{}.md", goal(self.pass()?)))
            }
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.tool("Write", &format!("writing {file}"))?;
        store::replace(&path, text.as_bytes())?;
        Ok(file)
    }

    /// This task's artifact of a kind, if it exists.
    fn artifact_path(&self, kind: &str) -> Result<Option<PathBuf>> {
        let end = format!("-{kind}-{}.md", goal(self.pass()?));
        Ok(self.artifacts(&end)?.pop())
    }

    /// The session's files whose names contain this part.
    fn artifacts(&self, part: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.session)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with('.') && name.ends_with(".md") && name.contains(part) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Updates the parts of the overview that belong to the agent.
    fn note(&mut self, end: &End) -> Result<()> {
        let path = Folder::new(&self.session).overview();
        let text = read(&path)?;
        if text.is_empty() {
            return Ok(());
        }
        self.tool("Edit", "editing _overview.md")?;
        let mut overview = Overview::parse(text);
        overview.set(Field::LastAction, &end.summary);
        overview.set(Field::Next, end.next);
        let arrow = end.artifact.as_ref().map_or_else(String::new, |file| format!(" -> {file}"));
        overview.add_flow(&format!("{} {}{arrow}", self.prompt.timestamp_iteration, end.summary));
        let mut text = overview.as_str().to_owned();
        if let Some(file) =
            end.artifact.as_ref().filter(|file| !text.contains(&format!("- {file} ")))
        {
            if !text.contains("## Files") {
                text.push_str("\n## Files\n");
            }
            text.push_str(&format!("- {file} - {}\n", self.phase));
        }
        Ok(store::replace(&path, text.as_bytes())?)
    }

    fn signal(&mut self, end: &End) -> Result<()> {
        self.tool("Write", "writing _signal.json")?;
        let mut signal =
            json!({"status": end.status.as_str(), "run": self.run, "summary": end.summary});
        if let Some(phase) = end.phase {
            signal["phase"] = json!(phase.as_str());
        }
        if let Some((key, value)) = &end.reason {
            signal[*key] = json!(value);
        }
        if end.status == Status::Blocked {
            signal["needs"] = json!("error_resolution");
        }
        Ok(store::replace(&Folder::new(&self.session).signal(), signal.to_string().as_bytes())?)
    }

    fn tool(&mut self, name: &str, summary: &str) -> Result<()> {
        std::thread::sleep(self.pace);
        let (name, summary) = (name.to_owned(), summary.to_owned());
        self.emit(Event::Tool(Tool { name, summary, fingerprint: 0 }))
    }

    fn emit(&mut self, event: Event) -> Result<()> {
        Ok((self.say)(&event)?)
    }
}

fn blocked(why: &str) -> End {
    let reason = Some(("reason", why.to_owned()));
    let next = "Fix it, then run: samocode start";
    End {
        status: Status::Blocked,
        reason,
        ..End::go(None, format!("Cannot continue: {why}"), next)
    }
}

/// The name of a task in the names of its artifacts.
fn goal(pass: usize) -> String {
    if pass == 1 { "greeting".to_owned() } else { format!("greeting-{pass}") }
}

/// The folder of the worktree that a task writes to.
fn folder(pass: usize) -> String {
    if pass == 1 { "rehearsal".to_owned() } else { format!("rehearsal-{pass}") }
}

/// The text of a file; empty if it is missing.
fn read(path: &Path) -> Result<String> {
    Ok(store::read(path)?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default())
}
