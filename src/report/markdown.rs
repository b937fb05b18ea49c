//! The report as Markdown.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::control::report::Story;
use crate::control::timeline::Item;
use crate::session::describe::harmless;

use super::changes::{FileChange, files};
use super::{gist, moment, outline, pauses, price, worked};

/// How many lines of differences are shown at most.
const MOST_LINES: usize = 3000;

pub(super) fn page(story: &Story, zone: &TimeZone) -> String {
    let view = &story.detail.view;
    let mut page = Page(format!("# {}: {}\n\n{}.\n", view.session, view.state, outline(story)));
    if let Some(reason) = &view.reason {
        page.line(format!("\n{reason}"));
    }
    page.line(format!("\n- Project: {}", view.project));
    if let Some(branch) = &view.branch {
        page.line(format!("- Branch: {branch}"));
    }
    if let Some(agent) = &story.detail.agent {
        page.line(format!("- Agent: {agent}"));
    }
    page.line(format!("- Report date: {}", moment(story.at, zone)));
    page.heading("Task");
    page.fenced("", &story.detail.task);
    page.document("Summary", story.summary.as_deref());
    let tests = gist::tests(story);
    if !tests.is_empty() {
        page.heading("Tests");
        for (iteration, summary) in tests {
            page.line(format!("- **{iteration}** {}", one_line(summary)));
        }
    }
    let left = gist::left(story);
    if !left.is_empty() {
        page.heading("What is left");
        left.iter().for_each(|what| page.line(format!("- {what}")));
    }
    if !story.bill.phases.is_empty() {
        page.heading("Time and cost by phase");
        page.line("| phase | time | cost |\n|---|---:|---:|");
        for (phase, sum) in &story.bill.phases {
            page.line(format!("| {phase} | {} | {} |", worked(sum), price(sum)));
        }
    }
    if !story.questions.is_empty() {
        page.heading("Questions and answers");
        for question in &story.questions {
            let answer = question.answer.as_deref().unwrap_or("no answer yet");
            page.line(format!("**{}** {}\n", question.id, question.text.trim()));
            page.line(format!("> {}\n", answer.trim().replace('\n', "\n> ")));
        }
    }
    let choices = gist::choices(story);
    if !story.decisions.is_empty() || !choices.is_empty() {
        page.heading("Decisions");
        for one in &story.decisions {
            let words = one.words.as_deref().map(|words| format!(": {}", one_line(words)));
            let (at, what) = (moment(one.at, zone), one_line(&one.what));
            page.line(format!("- {at} {what}{}", words.unwrap_or_default()));
        }
        for choice in &choices {
            page.line("");
            page.below(choice);
        }
    }
    page.document("Plan", story.plan.as_deref());
    if !story.commits.is_empty() {
        page.heading("Commits");
        for commit in &story.commits {
            page.line(format!("- `{}` {}", commit.id, commit.title));
        }
    }
    let pauses = pauses::of(story);
    if !pauses.is_empty() {
        page.heading("Restarts and waits");
        for pause in &pauses {
            let length = pause.length();
            let after = if length.is_empty() { "" } else { ": " };
            page.line(format!(
                "- {} {}{after}{length}",
                moment(pause.at, zone),
                one_line(pause.what)
            ));
        }
    }
    if !story.history.is_empty() {
        page.heading("History");
        for item in &story.history {
            page.line(match item {
                Item::Iteration(of) => {
                    let summary = one_line(of.summary.as_deref().unwrap_or_default());
                    let at = moment(of.at, zone);
                    format!("- {at} **{} {}** {summary}", of.phase, of.iteration)
                }
                Item::Event { at, text, .. } => {
                    format!("- {} _{}_", moment(*at, zone), one_line(text))
                }
            });
        }
    }
    if let Some(diff) = &story.diff {
        page.heading("Changes");
        page.changes(&files(diff));
    }
    // A terminal shows it too.
    harmless(&page.0).into_owned()
}

/// Markdown that is being written.
struct Page(String);

impl Page {
    fn line(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.0, "{}", text.as_ref());
    }

    fn heading(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    /// A document of the session, with its headings below ours.
    fn document(&mut self, title: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.heading(title);
        self.below(gist::without_title(title, text));
    }

    /// An agent's text, with its headings below ours.
    fn below(&mut self, text: &str) {
        let mut fence = false;
        for line in text.lines() {
            fence ^= line.trim_start().starts_with("```");
            let is_heading = !fence && line.starts_with('#');
            self.line(if is_heading { format!("##{line}") } else { line.to_owned() });
        }
    }

    /// The files with what was changed in them, as long as that is not too much to read.
    fn changes(&mut self, files: &[FileChange<'_>]) {
        for file in files {
            self.line(format!("- `{}` +{} −{}", file.path, file.added, file.removed));
        }
        let mut room = MOST_LINES;
        for file in files {
            let shown = file.lines.len() <= room;
            room -= if shown { file.lines.len() } else { 0 };
            self.line(format!("\n### `{}`\n", file.path));
            if shown {
                self.fenced("diff", &file.lines.join("\n"));
            } else {
                self.line("Too long for this page.");
            }
        }
    }

    /// Text as it is, in a fence that it cannot end.
    fn fenced(&mut self, language: &str, text: &str) {
        let mut fence = "```".to_owned();
        while text.contains(&fence) {
            fence.push('`');
        }
        self.line(format!("{fence}{language}\n{}\n{fence}", text.trim_end()));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
