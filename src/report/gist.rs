//! What a reader looks for first: how it was tested, and what is left.

use crate::control::report::Story;
use crate::control::timeline::{Item, Iteration};
use crate::session::Phase;

/// What the iterations of the testing phase say, in order: `testing 2`, and the agent's summary.
pub(super) fn tests(story: &Story) -> Vec<(String, &str)> {
    let tested = story.history.iter().filter_map(|item| match item {
        Item::Iteration(Iteration { phase: Phase::Testing, iteration, summary, .. }) => {
            let summary = summary.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
            Some((format!("{} {iteration}", Phase::Testing), summary))
        }
        Item::Iteration(_) | Item::Event { .. } => None,
    });
    tested.collect()
}

/// The steps of the plan that are not ticked off, and the questions that nobody answered.
pub(super) fn left(story: &Story) -> Vec<String> {
    let steps = story.plan.iter().flat_map(|plan| plan.lines()).filter_map(open_step);
    let asked = story.questions.iter().filter(|question| question.answer.is_none());
    let asked = asked.map(|question| {
        let text = question.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} is not answered: {text}", question.id)
    });
    steps.map(str::to_owned).chain(asked).collect()
}

/// The text of an item of a list whose box is not ticked.
fn open_step(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let marked = line.strip_prefix(['-', '*', '+']).or_else(|| {
        let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        number.strip_prefix(['.', ')']).filter(|_| number.len() < line.len())
    })?;
    Some(marked.trim_start().strip_prefix("[ ]")?.trim()).filter(|text| !text.is_empty())
}

/// What the agent says it decided: passages of its plan and summary under a heading about that.
pub(super) fn choices(story: &Story) -> Vec<String> {
    let documents = [&story.plan, &story.summary].into_iter().flatten();
    documents.flat_map(|text| passages(text)).collect()
}

/// The passages below headings such as `Decisions`, `Approach` and `Changed after review`.
fn passages(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut inside, mut fence) = (None, false);
    for line in text.lines() {
        fence ^= line.trim_start().starts_with("```");
        let level = line.chars().take_while(|c| *c == '#').count();
        if (1..=6).contains(&level) && !fence && line[level..].starts_with(' ') {
            if inside.is_some_and(|outer| level <= outer) {
                inside = None;
            }
            if inside.is_none() && is_about_decisions(line[level..].trim()) {
                inside = Some(level);
                found.push(String::new());
                continue;
            }
        }
        if inside.is_some()
            && let Some(passage) = found.last_mut()
        {
            passage.push_str(line);
            passage.push('\n');
        }
    }
    let passages = found.into_iter().map(|passage| passage.trim().to_owned());
    passages.filter(|passage| !passage.is_empty()).collect()
}

fn is_about_decisions(heading: &str) -> bool {
    let heading = heading.to_lowercase();
    heading.contains("decision") || ["approach", "changed after review"].contains(&heading.as_str())
}

/// A document without a heading at its beginning that repeats its title.
pub(crate) fn without_title<'a>(title: &str, text: &'a str) -> &'a str {
    let text = text.trim();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let heading = first.trim_start_matches('#');
    let is_title = heading.len() < first.len() && heading.trim().eq_ignore_ascii_case(title);
    if is_title { rest.trim_start() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_open_while_its_box_is() {
        for (line, open) in [
            ("- [ ] Add a program", Some("Add a program")),
            ("  * [ ] deeper", Some("deeper")),
            ("2. [ ] numbered", Some("numbered")),
            ("- [x] done", None),
            ("- [X] done", None),
            ("- plain", None),
            ("[ ] no item", None),
            (". [ ] no number", None),
            ("- [ ]", None),
            ("", None),
        ] {
            assert_eq!(open_step(line), open, "{line}");
        }
    }

    #[test]
    fn passages_about_decisions_are_found_with_all_that_is_below_their_heading() {
        let plan = "# Plan: x\n## Approach\nA cookie.\n### Why\nIt is short.\n```\n# no heading\n```\n## Steps\n\
                    1. do\n## Open decisions\n\n## Changed after review\n- a file";
        let cookie = "A cookie.\n### Why\nIt is short.\n```\n# no heading\n```";
        assert_eq!(passages(plan), [cookie, "- a file"]);
        assert_eq!(passages("Approach\n#Approach\nx"), Vec::<String>::new());
    }

    #[test]
    fn a_heading_that_says_what_ours_says_is_left_out() {
        assert_eq!(without_title("Summary", "# Summary\n\nA greeting."), "A greeting.");
        assert_eq!(without_title("Summary", "## summary"), "");
        assert_eq!(without_title("Plan", "# Plan: a greeting\n\nx"), "# Plan: a greeting\n\nx");
        assert_eq!(without_title("Plan", "Plan\nx"), "Plan\nx");
        assert_eq!(without_title("Plan", ""), "");
    }
}
