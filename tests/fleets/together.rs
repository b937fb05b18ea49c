//! One command for many sessions: enable, start, stop, restart, reload; and many worktrees.

use std::time::Duration;

use crate::ground::{agent, all_exist, project, reloads, timed};
use crate::lab::{self, LabUser, Project, secs};
use crate::table::{Row, percentile};

/// How many are enabled by one command.
const ENABLED: usize = 100;
/// How many a loop is taken from.
const FEW: usize = 10;
/// How many are stopped and started by one.
const STOPPED: usize = 50;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{prefix}{number}")).collect()
}

/// Notes that it runs, and ends when somebody writes into its pipe.
const AGENT: &str = r#"[ -p ~/gate-$SAMOCODE_SESSION ] || mkfifo ~/gate-$SAMOCODE_SESSION
: >~/runs-$SAMOCODE_SESSION
read -r _ <~/gate-$SAMOCODE_SESSION
printf '{"status":"continue","summary":"after %s"}' $SAMOCODE_ITERATION >"$SAMOCODE_SESSION_DIR/_signal.json""#;

/// A project whose agents wait.
fn idle(user: &LabUser) -> Project<'_> {
    let agent = agent(user, AGENT);
    project(user, &[("SAMOCODE_AGENT", &agent), ("SAMOCODE_MAX_RUNNING", "1000")])
}

/// What a loop of the verb for all of them takes, by the first few.
fn one_by_one(project: &Project<'_>, verb: &str, names: &[String]) -> Duration {
    let few = &names[..FEW];
    let line = format!("for name in {}; do samocode {verb} $name || exit; done", few.join(" "));
    timed(project, &line).mul_f64(names.len() as f64 / FEW as f64)
}

pub(crate) fn measure() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("together");
    let project = idle(&user);
    let run = |names: &[String]| {
        all_exist(&user, names.iter().map(|name| format!("runs-{name}")));
        user.sh("rm -f ~/runs-*").ok();
    };
    let mut rows = Vec::new();

    let (many, single) = (names("m", ENABLED), names("s", ENABLED));
    let before = reloads(&user);
    let took = timed(&project, &format!("samocode enable --task t {}", many.join(" ")));
    let reloaded = reloads(&user) - before;
    run(&many);
    user.samocode(["stop", "--now", "--all"]).cwd(&project.dir).within(secs(120)).ok();
    let loop_took = one_by_one(&project, "enable --task t", &single);
    run(&single[..FEW]);
    user.samocode(["stop", "--now", "--all"]).cwd(&project.dir).within(secs(120)).ok();
    let figure = format!("`enable` of {ENABLED} sessions by one command");
    rows.push(Row::time(figure, took, secs(5)).beside(loop_took));
    rows.push(Row::at_most("— reloads of the manager", reloaded, 1));

    let (many, single) = (&many[..STOPPED], &single[..STOPPED]);
    for verb in ["start", "restart", "reload", "stop --now"] {
        // A reload waits for the end of an iteration: the agents are let go until all have ended one.
        let open = |names: &[String]| match verb {
            "reload" => {
                let gates: Vec<String> =
                    names.iter().map(|name| format!("~/gate-{name}")).collect();
                let gates = gates.join(" ");
                format!(
                    "sleep 0.5; while kill -0 $!; do for gate in {gates}; do echo 1<>$gate; done; sleep 0.05; done; wait $!"
                )
            }
            _ => "wait $!".to_owned(),
        };
        let took = timed(&project, &format!("samocode {verb} {} & {}", many.join(" "), open(many)));
        let figure = format!("`{verb}` of {STOPPED} sessions");
        let mut row = Row::time(figure, took, secs(3));
        if verb == "reload" {
            row.figure.push_str(", 0.5 s before the end of their iterations");
        } else {
            row = row.beside(one_by_one(&project, verb, single));
        }
        if verb != "stop --now" {
            run(many);
        }
        rows.push(row);
    }
    rows
}

/// How many other worktrees there are.
const OTHERS: usize = 300;

/// The start of a session in a repository with many other worktrees.
pub(crate) fn with_worktrees() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("worktrees");
    let project = idle(&user);
    let started = |prefix: &str| {
        let names = names(prefix, 15);
        let took = names.iter().map(|name| {
            timed(
                &project,
                &format!("samocode enable --task t {name}; until [ -e ~/runs-{name} ]; do :; done"),
            )
        });
        let took = percentile(took.collect(), 50);
        user.samocode(["stop", "--now", "--all"]).cwd(&project.dir).within(secs(120)).ok();
        took
    };
    // The first command of all installs the units.
    let _ = started("warm");
    let alone = started("alone");
    let add = format!(
        "for n in {{1..{OTHERS}}}; do git worktree add -q -b other-$n ~/others/$n || exit; done"
    );
    user.sh(&add).cwd(&project.dir).within(secs(120)).ok();
    let beside = started("beside");
    let most = alone.mul_f64(1.1);
    vec![Row::time(
        format!(
            "`enable` to the agent's first line, with {OTHERS} worktrees beside it (without: {alone:.1?})"
        ),
        beside,
        most,
    )]
}
