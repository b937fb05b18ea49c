//! A merge of twenty branches, some of which cannot be merged.

use std::time::Duration;

use crate::ground::{left_behind, project, timed};
use crate::lab::{self, secs};
use crate::table::Row;

const ALL: usize = 20;

/// Red with any of these files, and with both of the last two.
const TEST: &str = "began=$(date +%s%N); ! test -e red1 && ! test -e red2 && ! { test -e left && test -e right; }; code=$?; echo $(( $(date +%s%N) - began )) >>~/spent; exit $code";

/// Notes what each git takes.
const GIT: &str = "#!/bin/bash
began=$(date +%s%N)
/usr/bin/git \"$@\"
code=$?
echo $(( $(date +%s%N) - began )) >>~/spent
exit $code
";

pub(crate) fn measure() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("merged");
    let project =
        project(&user, &[("SAMOCODE_AGENT", "rehearsal"), ("SAMOCODE_TEST_COMMAND", TEST)]);
    // Twelve that are fine alone, one that conflicts with each of three, two red ones, and a pair.
    let files = |number: usize| match number {
        1..=3 => (format!("poem{number}"), "one"),
        4..=6 => (format!("poem{}", number - 3), "two"),
        7 => ("red1".to_owned(), "x"),
        8 => ("red2".to_owned(), "x"),
        9 => ("left".to_owned(), "x"),
        10 => ("right".to_owned(), "x"),
        _ => (format!("file{number}"), "x"),
    };
    let names: Vec<String> = (1..=ALL).map(|number| format!("b{number}")).collect();
    let mut line = "set -e; git switch -q -c work;".to_owned();
    for (name, number) in names.iter().zip(1..) {
        let (file, text) = files(number);
        line.push_str(&format!(
            "git switch -q -c {name} main; echo {text} >{file}; git add {file}; git commit -qm {name};"
        ));
        left_behind(&project, name, "done");
    }
    line.push_str("git switch -q work");
    user.sh(&line).cwd(&project.dir).ok();
    for name in &names {
        let branch = format!(
            r#"{{"task_id":"{name}","phase":"done","iteration":1,"total_iterations":1,"state":"done","since":"2026-11-20T10:00:00Z","seq":0,"branch":"{name}","cost_usd":0.0,"tokens":{{}}}}"#
        );
        user.write(project.sessions.join(format!("25-03-01-{name}/_hook.json")), branch);
    }
    user.write_program("bin/git", GIT);
    let all = names.join(" ");
    let took = timed(
        &project,
        &format!("PATH=~/bin:$PATH samocode merge {all} --json >~/merged.json || [ $? = 1 ]"),
    );
    let spent: u64 = user.read("spent").lines().filter_map(|line| line.parse::<u64>().ok()).sum();
    let merged: serde_json::Value = serde_json::from_str(&user.read("merged.json")).expect("JSON");
    let ends: Vec<String> = merged["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|part| part["end"].to_string())
        .collect();
    let with = |word: &str| ends.iter().filter(|end| end.contains(word)).count();
    let count = |text: &str| text.trim().parse::<usize>().unwrap_or_default();
    let green = format!("git checkout -q main && {}", TEST.replace("exit $code", "(exit $code)"));
    let is_green = user.sh(&green).cwd(&project.dir).output().code == 0;
    let in_main =
        user.sh("git log --oneline --no-merges main | wc -l").cwd(&project.dir).ok().stdout;
    let own = took.saturating_sub(Duration::from_nanos(spent));
    vec![
        Row::count(
            format!("merge of {ALL} branches: in the target"),
            count(&in_main).saturating_sub(1),
            14,
        ),
        Row::count("— left out for conflicts, each with its files", with("conflicts"), 3),
        Row::count("— left out for red tests, and the later one of a pair", with("red"), 3),
        Row::count("— the target is green", usize::from(is_green), 1),
        Row::time("— own time, without git and tests", own, secs(1)),
        Row { reached: None, bound: String::new(), ..Row::time("— in all", took, secs(1)) },
    ]
}
