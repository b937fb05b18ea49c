//! Sessions that write to each other while their workers are killed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ground::{BOUND, agent, hook, journal, left_behind, processes, project, until};
use crate::lab::{self, LabUser, Project};
use crate::table::Row;

const SESSIONS: usize = 20;
const MESSAGES: usize = 1000;

/// Notes the messages it is shown, for each run.
const AGENT: &str = r#"mkdir -p ~/seen/$SAMOCODE_SESSION
grep -o 'MSG [0-9]* of c[0-9]*' >~/seen/$SAMOCODE_SESSION/$SAMOCODE_RUN
sleep 0.05
printf '{"status":"blocked","reason":"read %s","needs":"human_decision"}' $SAMOCODE_ITERATION >"$SAMOCODE_SESSION_DIR/_signal.json""#;

pub(crate) fn measure() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("chatty");
    let agent = agent(&user, AGENT);
    let keys = [
        ("SAMOCODE_AGENT", &*agent),
        ("SAMOCODE_MAX_RUNNING", "8"),
        ("SAMOCODE_MAIL_BUDGET", "10000"),
        ("SAMOCODE_RETRY_DELAY", "0"),
    ];
    let project = project(&user, &keys);
    let names: Vec<String> = (0..SESSIONS).map(|number| format!("c{number}")).collect();
    for name in &names {
        left_behind(&project, name, "implementation");
        user.samocode(["enable", name]).cwd(&project.dir).ok();
    }
    for name in &names {
        user.wait_until("it rests", BOUND, || hook(&project, name)["state"] == "blocked");
    }
    let is_over = AtomicBool::new(false);
    let kills = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill(&user, &is_over));
        let senders: Vec<_> = (0..2)
            .map(|half| {
                let (names, project) = (&names, &project);
                scope.spawn(move || {
                    for number in (0..MESSAGES).filter(|number| number % 2 == half) {
                        let from = &names[number % SESSIONS];
                        let to = &names[(number * 7 + number / SESSIONS + 1) % SESSIONS];
                        send(project, from, to, number);
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
        is_over.store(true, Ordering::SeqCst);
        killer.join().expect("no panic")
    });
    let at_rest = || {
        processes(&user) == 0 && names.iter().all(|name| hook(&project, name)["state"] == "blocked")
    };
    assert!(until(BOUND, at_rest), "not all rest\n{}", user.diagnosis());
    rows(&project, &names, kills)
}

fn send(project: &Project<'_>, from: &str, to: &str, number: usize) {
    if from == to {
        // Its own worker would have nothing to say to it: a human writes instead.
        let text = format!("MSG {number} of c99");
        project.user.samocode(["send", to, &text]).cwd(&project.dir).ok();
        return;
    }
    let text = format!("MSG {number} of {from}");
    let command = project.user.samocode(["send", "--to", to, &text]).cwd(&project.dir);
    command.env("SAMOCODE_SESSION", from).ok();
}

/// Kills a worker now and then; how many.
fn kill(user: &LabUser, is_over: &AtomicBool) -> usize {
    let (mut kills, mut dice) = (0, 7_u64);
    while !is_over.load(Ordering::SeqCst) {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The first one that has a worker now.
        let first = usize::try_from(dice >> 33).unwrap_or_default();
        let has_died = (0..SESSIONS).any(|more| {
            let unit = format!("samocode@c{}.service", first.wrapping_add(more) % SESSIONS);
            let kill = ["kill", "--kill-whom=main", "-s", "KILL", &unit];
            user.systemctl(kill).output().code == 0
        });
        kills += usize::from(has_died);
        std::thread::sleep(std::time::Duration::from_millis(40 + (dice >> 40) % 100));
    }
    kills
}

fn rows(project: &Project<'_>, names: &[String], kills: usize) -> Vec<Row> {
    let (mut shown, mut repeated, mut out_of_order) = (0, 0, 0);
    for name in names {
        // Of the runs of an iteration, the one that counts is the one that ended with its signal.
        let taken: Vec<String> = journal(project, name)
            .iter()
            .filter(|entry| entry["kind"] == "signal_taken")
            .filter_map(|entry| entry["run"].as_str().map(str::to_owned))
            .collect();
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = Vec::new();
        for run in taken {
            let file = format!("seen/{name}/{run}");
            let text =
                if project.user.exists(&file) { project.user.read(&file) } else { String::new() };
            for line in text.lines() {
                let mut words = line.split(' ').skip(1);
                let number: usize =
                    words.next().and_then(|word| word.parse().ok()).expect("a number");
                let from = words.nth(1).unwrap_or_default().to_owned();
                if seen.contains(&number) {
                    repeated += 1;
                    continue;
                }
                seen.push(number);
                let before = last.insert(from, number);
                out_of_order += usize::from(before.is_some_and(|before| before > number));
            }
        }
        shown += seen.len();
    }
    let figure =
        format!("{MESSAGES} messages between {SESSIONS} sessions, {kills} workers killed: shown");
    vec![
        Row::count(figure, shown, MESSAGES),
        Row::count("— shown again", repeated, 0),
        Row::count("— out of a sender's order", out_of_order, 0),
        Row::at_most("— fewer kills than planned", 50_usize.saturating_sub(kills), 0),
    ]
}
