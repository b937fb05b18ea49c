//! Reviews: in the quality phase other agents read the change, and their verdict counts.
//!
//! A round is one verdict of each reviewer on the same commit. Then the phase's agent, the author,
//! gets all findings. It can leave the phase once every reviewer has approved what is there; as long
//! as one has not, another round follows, and after the last round a human decides.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::describe::one_line;
use super::signal::{SignalError, Status, fields, text};

mod missing;

pub use missing::Missing;

/// The most findings of a review that are kept, and the most characters of each.
const MOST: usize = 60;
const LONGEST: usize = 1000;

/// The most characters of a finding or a summary where a human is asked to decide.
const LONGEST_IN_REASON: usize = 160;

/// Words for a verdict, besides the two that reviewers are asked for.
const APPROVES: &[&str] =
    &["approve", "approved", "approves", "accept", "accepted", "lgtm", "ok", "pass", "passed"];
const OBJECTS: &[&str] = &[
    "changes",
    "change",
    "request_changes",
    "changes_requested",
    "needs_changes",
    "needs_work",
    "reject",
    "rejected",
    "fail",
    "failed",
];

/// What a reviewer is asked to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The agent that reviews, as in `SAMOCODE_REVIEWERS`.
    pub reviewer: String,
    /// Number of the round, from 1.
    pub round: u32,
    /// The commit to review; absent outside of git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Assignment {
    /// What is reviewed, and in which round: `3f2a9c1, round 2`.
    #[must_use]
    pub fn subject(&self) -> String {
        let short = self.commit.as_deref().map(|commit| commit.get(..7).unwrap_or(commit));
        format!("{}, round {}", short.unwrap_or("the change"), self.round)
    }

    /// What the reviewer is doing, for people.
    #[must_use]
    pub fn doing(&self, what: &str) -> String {
        format!("{} reviews {}: {what}", self.reviewer, self.subject())
    }
}

/// A reviewer's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the change may stay as it is.
    pub approves: bool,
    /// The verdict in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What was found, one text each; notes, if it approves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// What a reviewer leaves in `_signal.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// Its verdict.
    Verdict(Verdict),
    /// It cannot review, for this reason.
    Impossible(String),
}

impl Review {
    /// Parses what the run `run` left. Agents know several words for the two verdicts, and write
    /// findings as texts or as objects.
    ///
    /// # Errors
    /// A [`SignalError`] that describes the problem.
    pub fn parse(bytes: &[u8], run: &str) -> Result<Self, SignalError> {
        let fields = fields(bytes, run)?;
        let summary = text(&fields, "summary")?.or(text(&fields, "reason")?);
        let word = match fields.get("verdict") {
            Some(Value::Bool(approves)) => {
                let words = if *approves { APPROVES } else { OBJECTS };
                words.first().map(|word| (*word).to_owned())
            }
            _ => text(&fields, "verdict")?,
        };
        let word = word.or(text(&fields, "status")?).unwrap_or_default();
        let plain = word.to_lowercase().replace([' ', '-'], "_");
        if plain == Status::Blocked.as_str() {
            let why = text(&fields, "reason")?.or(summary);
            let why = why.unwrap_or_else(|| "the reviewer gave no reason".to_owned());
            return Ok(Self::Impossible(why));
        }
        let approves = APPROVES.contains(&plain.as_str());
        if !approves && !OBJECTS.contains(&plain.as_str()) {
            return Err(SignalError::UnknownVerdict(word));
        }
        let findings = findings(fields.get("findings"));
        if !approves && findings.is_empty() && summary.is_none() {
            return Err(SignalError::NoFindings);
        }
        Ok(Self::Verdict(Verdict { approves, summary, findings }))
    }
}

fn findings(value: Option<&Value>) -> Vec<String> {
    let all = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all.iter().map(finding).collect(),
        Some(one) => vec![finding(one)],
    };
    let mut all: Vec<String> = all.into_iter().filter(|text| !text.is_empty()).collect();
    let left_out = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    if left_out > 0 {
        all.push(format!("({left_out} more were left out)"));
    }
    all
}

/// A finding in one text: `[wrong] src/a.rs:7 what is wrong`.
fn finding(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Object(fields) => of_fields(fields),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.chars().take(LONGEST).collect()
}

fn of_fields(fields: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    };
    let of = |names: &[&str]| names.iter().find_map(|name| text(fields.get(*name)?));
    let kind = of(&["kind", "severity", "category"]).map(|kind| format!("[{kind}]"));
    let place = of(&["file", "path"]).map(|file| match of(&["line", "lines"]) {
        Some(line) => format!("{file}:{line}"),
        None => file,
    });
    let Some(what) = of(&["what", "finding", "text", "description", "message", "title"]) else {
        return Value::Object(fields.clone()).to_string();
    };
    [kind, place, Some(what)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A verdict and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Whose verdict, on what.
    pub on: Assignment,
    /// The verdict.
    pub verdict: Verdict,
}

impl Opinion {
    /// The verdict in a line: `codex asks for changes in 3f2a9c1, round 1: a race`.
    #[must_use]
    pub fn headline(&self) -> String {
        let says = if self.verdict.approves { "approves" } else { "asks for changes in" };
        let summary = self.verdict.summary.as_deref().map(one_line);
        let more = summary.map_or_else(String::new, |summary| format!(": {summary}"));
        format!("{} {says} {}{more}", self.on.reviewer, self.on.subject())
    }

    /// The verdict with its findings, a line each.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.headline();
        for (number, finding) in (1..).zip(&self.verdict.findings) {
            text.push_str(&format!("\n{number}. {finding}"));
        }
        text
    }

    /// The verdict for a human who has to decide, without what makes it long.
    fn in_short(&self) -> String {
        const MOST: usize = 5;
        let Verdict { approves, summary, findings } = &self.verdict;
        let says = if *approves { "approves" } else { "asks for changes" };
        let summary = summary.as_deref().map(shortened);
        let mut text = format!("{} {says}", self.on.reviewer);
        text.extend(summary.map(|summary| format!(": {summary}")));
        let shown: Vec<String> = (1..)
            .zip(findings.iter().take(if *approves { 0 } else { MOST }))
            .map(|(number, finding)| format!("({number}) {}", shortened(finding)))
            .collect();
        if !shown.is_empty() {
            text.push_str(&format!(" {}", shown.join("; ")));
            let left = findings.len().saturating_sub(shown.len());
            text.extend((left > 0).then(|| format!("; and {left} more")));
        }
        text
    }
}

fn shortened(text: &str) -> String {
    let text = one_line(text);
    let cut: String = text.chars().take(LONGEST_IN_REASON).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", cut.trim_end_matches('.'))
}

/// The reviews of a session's stay in the quality phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviews {
    /// Rounds before the current one.
    done: u32,
    /// The verdicts of the current round.
    opinions: Vec<Opinion>,
    /// The reviewers that could not review in the current round.
    missing: Vec<Missing>,
    /// The verdicts of the round before.
    earlier: Vec<Opinion>,
    /// What the author said at the end of that round.
    author: Option<String>,
    /// Whether the author has got the verdicts of the current round.
    handed_over: bool,
    /// The review of the current or the last run.
    under_way: Option<Assignment>,
    /// Whether the session is blocked because reviewers and author do not agree.
    disputed: bool,
    /// Whether a human has decided such a dispute.
    decided: bool,
}

impl Reviews {
    /// Number of the current round, from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.done + 1
    }

    /// The verdicts of the current round so far.
    #[must_use]
    pub fn opinions(&self) -> &[Opinion] {
        &self.opinions
    }

    /// The verdicts of the round before this one.
    #[must_use]
    pub fn earlier(&self) -> &[Opinion] {
        &self.earlier
    }

    /// What the author said to the verdicts of the round before.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// Whether a human has decided, so that nothing is reviewed again.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        self.decided
    }

    /// The review that the current or the last run is, if it is one.
    #[must_use]
    pub const fn under_way(&self) -> Option<&Assignment> {
        self.under_way.as_ref()
    }

    /// Who of `reviewers` reviews next; `None` if it is the author's turn.
    #[must_use]
    pub fn next<'a>(&self, reviewers: &'a [String]) -> Option<&'a String> {
        if self.handed_over || self.decided {
            return None;
        }
        let has_answered = |name: &str| self.opinions.iter().any(|known| known.on.reviewer == name);
        reviewers.iter().find(|name| !has_answered(name) && !self.is_missing(name))
    }

    /// What `reviewer` is to read: all of a round read the same commit, `head` if it is the first.
    #[must_use]
    pub fn assign(&self, reviewer: &str, head: Option<String>) -> Assignment {
        let first = self.opinions.first().map(|first| first.on.commit.clone());
        let commit = first.unwrap_or(head);
        Assignment { reviewer: reviewer.to_owned(), round: self.round(), commit }
    }

    /// Whether all `reviewers` that could review approve the commit `head`, or a human has decided.
    #[must_use]
    pub fn agree(&self, reviewers: &[String], head: Option<&str>) -> bool {
        let approves = |name: &String| {
            let mut own = self.opinions.iter().filter(|known| known.on.reviewer == *name);
            own.any(|known| known.verdict.approves && known.on.commit.as_deref() == head)
        };
        let mut able = reviewers.iter().filter(|name| !self.is_missing(name)).peekable();
        self.decided || (able.peek().is_some() && able.all(approves))
    }

    /// Why a human has to decide, with both views; `author` is what the author says.
    #[must_use]
    pub fn dispute(&self, author: Option<&str>) -> String {
        let mut views: Vec<String> = self.opinions.iter().map(Opinion::in_short).collect();
        if !self.opinions.is_empty() && self.opinions.iter().all(|known| known.verdict.approves) {
            views.push("the change was changed after that".to_owned());
        }
        views.extend(self.missing.iter().map(Missing::in_short));
        let author = author.map_or_else(|| "nothing".to_owned(), shortened);
        format!(
            "no agreement after {} of review. {}. The author says: {author}. Decide: your word is carried out without another review",
            if self.round() == 1 {
                "1 round".to_owned()
            } else {
                format!("{} rounds", self.round())
            },
            views.join(". ")
        )
    }

    /// Records the start of a run: of this review, or of the author. Returns true if someone else had
    /// the run before.
    pub(in crate::session) fn run_started(&mut self, review: Option<&Assignment>) -> bool {
        let reviewer = |review: Option<&Assignment>| review.map(|review| review.reviewer.clone());
        let is_another = reviewer(self.under_way.as_ref()) != reviewer(review);
        self.under_way = review.cloned();
        self.handed_over |= review.is_none();
        is_another
    }

    /// Records a verdict.
    pub(crate) fn reviewed(&mut self, opinion: Opinion) {
        self.opinions.retain(|known| known.on.reviewer != opinion.on.reviewer);
        self.missing.retain(|known| known.on.reviewer != opinion.on.reviewer);
        self.opinions.push(opinion);
    }

    /// Begins the next round, since the author wants to leave the phase and said this.
    pub(crate) fn next_round(&mut self, author: Option<&String>) {
        self.done += 1;
        self.earlier = std::mem::take(&mut self.opinions);
        self.missing.clear();
        self.author = author.cloned();
        self.handed_over = false;
    }

    /// Records that a human has to decide.
    pub(crate) fn disputed(&mut self) {
        self.disputed = true;
    }

    /// Records that a human unblocked the session, which decides a dispute.
    pub(crate) fn retried(&mut self) {
        self.ask_again();
        self.decided |= std::mem::take(&mut self.disputed);
    }
}

#[cfg(test)]
mod tests;
