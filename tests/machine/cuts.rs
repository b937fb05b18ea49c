//! Sessions that write files in every possible way, on a machine whose power is cut repeatedly: nothing that was committed or signalled is lost.
//!
//! `SAMOCODE_CUTS=100` makes it a hundred cuts in place of a few.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Machine;

/// Cuts where nothing else is asked for: a boot takes some 15 s.
const CUTS: u32 = 3;
const SESSIONS: [&str; 3] = ["ash", "birch", "cedar"];
/// Steps of a session that are looked at again after each cut, back from its last.
const LOOKED_AT: u64 = 40;

/// The agent. Each step of it is a commit in which every file has a content that follows from the step's number; it resumes after the last one on
/// its branch, and trusts the files it finds. It waits until `go` exists, which does not survive a boot.
const AGENT: &str = r#"
stage() { echo "$1" >"/run/user/1900/stage-$SAMOCODE_SESSION"; sleep "0.$((RANDOM % 5))"; }
version() { printf "version %06d\n" $(printf "$1 %.0s" {1..200}); }
signal() { echo "{\"run\":\"$SAMOCODE_RUN\",$1}" >"$SAMOCODE_SESSION_DIR/_signal.json"; }
case $SAMOCODE_PHASE in
    testing) next=quality ;;
    quality) next=testing ;;
    *) signal '"status":"blocked","reason":"begin in testing","needs":"human_decision"'; exit ;;
esac
until [ -e /run/user/1900/go ]; do sleep 0.1; done
mkdir -p new notes
for round in 1 2; do
    step=$(git log -1 --format=%s | sed -n 's/^step //p')
    step=$((step + 1))
    stage edits
    [ "$(tail -n 1 appended)" = "line $step" ] || echo "line $step" >>appended
    version $step | dd of=in-place conv=notrunc status=none
    version $step >truncated
    version $step >.new && mv .new renamed
    version $step >new/$step
    stage edited
    git add new appended in-place
    if ((RANDOM % 2)); then
        git add truncated renamed
        stage staged
        git commit -qm "step $step"
    else
        git add -N truncated renamed
        stage partly-staged
        git commit -qam "step $step"
    fi
    stage committed
done
echo "draft $step" >>drafts
version $step >notes/$step
stage drafted
signal "\"status\":\"continue\",\"phase\":\"$next\",\"summary\":\"step $step\""
stage signalled
"#;

fn cuts() -> u32 {
    std::env::var("SAMOCODE_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS)
}

#[test]
fn committed_and_signalled_work_survives_power_cuts() {
    let Some(machine) = Machine::boot() else { return };
    let agent = machine.agent("writes", AGENT);
    machine.project("wood", &format!("SAMOCODE_AGENT={agent}\nSAMOCODE_MAX_RUNNING=3\n"));
    machine
        .dev(
            "touch wood/appended wood/drafts && git -C wood add -A && git -C wood commit -qm Files",
        )
        .ok();
    for name in SESSIONS {
        machine.dev(&format!("cd wood && samocode enable {name} --task 'Plant a tree'")).ok();
        machine.wait_until("it is blocked", || journal(&machine, name, "signal_taken").len() == 1);
        let set = "sed -i 's/^Phase: .*/Phase: testing/' ~/wood-sessions/*-";
        machine.dev(&format!("{set}{name}/_overview.md && cd wood && samocode start {name}")).ok();
    }
    let mut tally = Tally::default();
    for cut in 1..=cuts() {
        let seen = SESSIONS.map(|name| boots(&machine, name));
        machine.dev("touch /run/user/1900/go").ok();
        let before = SESSIONS.map(|name| last_taken(&machine, name));
        machine.wait_until("a session takes a step", || {
            SESSIONS.iter().zip(&before).any(|(name, before)| last_taken(&machine, name) > *before)
        });
        // Another moment each time.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(cut) * 7919 % 4000));
        let taken = SESSIONS.map(|name| last_taken(&machine, name));
        for name in SESSIONS {
            let stage = machine.dev(&format!("cat /run/user/1900/stage-{name}")).stdout;
            *tally.stages.entry(stage.trim().to_owned()).or_default() += 1;
        }
        machine.power_cut();
        for (name, before) in SESSIONS.into_iter().zip(seen) {
            machine.wait_until(&format!("{name} runs again"), || boots(&machine, name) > before);
        }
        // Agents wait for `go`: nothing is at work in the repository.
        let fsck = "git -C wood fsck --full --strict --no-dangling --no-progress 2>&1";
        let output = machine.dev(fsck).stdout;
        assert_eq!(output, "", "after cut {cut}\n{}", machine.diagnosis());
        for (name, taken) in SESSIONS.into_iter().zip(taken) {
            assert_whole(&machine, name, taken, cut);
        }
        tally.cuts += 1;
        println!("{}", tally.so_far(&machine));
    }
}

#[derive(Default)]
struct Tally {
    cuts: u32,
    stages: BTreeMap<String, u32>,
}

impl Tally {
    fn so_far(&self, machine: &Machine) -> String {
        let found = SESSIONS.map(|name| journal(machine, name, "restored"));
        let sum = |key: &str| -> u64 {
            found.iter().flatten().filter_map(|event| event[key].as_u64()).sum()
        };
        format!(
            "{} cuts of {} sessions at {:?}: {} files restored, {} named as lost",
            self.cuts,
            SESSIONS.len(),
            self.stages,
            sum("files"),
            sum("lost")
        )
    }
}

fn journal(machine: &Machine, name: &str, kind: &str) -> Vec<Value> {
    let output =
        machine.dev(&format!("grep '\"kind\":\"{kind}\"' ~/wood-sessions/*-{name}/_journal.jsonl"));
    output.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How many boots of the machine have seen a run of a session.
fn boots(machine: &Machine, name: &str) -> usize {
    let path = format!("~/wood-sessions/*-{name}/_journal.jsonl");
    let lines = machine.dev(&format!("grep -E '\"kind\":\"(worker|run)_started\"' {path}")).stdout;
    let mut boots = Vec::new();
    let mut boot = Value::Null;
    for event in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if event["kind"] == "worker_started" {
            boot = event["boot"].clone();
        } else if !boots.contains(&boot) {
            boots.push(boot.clone());
        }
    }
    boots.len()
}

/// The number in `step 12`.
fn step(text: &str) -> Option<u64> {
    text.strip_prefix("step ")?.parse().ok()
}

fn last_taken(machine: &Machine, name: &str) -> u64 {
    let taken = journal(machine, name, "signal_taken");
    taken.iter().filter_map(|taken| step(taken["line"]["summary"].as_str()?)).max().unwrap_or(0)
}

fn version(step: u64) -> String {
    format!("version {step:06}\n").repeat(200)
}

/// git's name of a content.
fn blob(content: &str) -> String {
    git2::Oid::hash_object(git2::ObjectType::Blob, content.as_bytes()).unwrap().to_string()
}

/// Asserts that each of the last commits has what its step wrote, and that the worktree has what a signal reported.
#[track_caller]
fn assert_whole(machine: &Machine, name: &str, taken: u64, cut: u32) {
    let log = format!(
        "git -C wood log -n {LOOKED_AT} --format='step %H %s' --raw --no-abbrev -r main..{name}"
    );
    let log = machine.dev(&log).ok().stdout;
    let context =
        || format!("{name} after cut {cut}, signalled {taken}\n{log}\n{}", machine.diagnosis());
    let mut commits: Vec<(u64, BTreeMap<&str, &str>)> = Vec::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["step", _, "step", number] => commits.push((number.parse().unwrap(), BTreeMap::new())),
            [_, _, _, new, _, path] => {
                commits.last_mut().unwrap().1.insert(path, new);
            }
            _ => {}
        }
    }
    let tip = commits.first().map_or(0, |(step, _)| *step);
    assert!(tip >= taken, "the branch is at {tip}: {}", context());
    for (step, files) in &commits {
        let appended: String = (1..=*step).map(|step| format!("line {step}\n")).collect();
        assert_eq!(files.get("appended"), Some(&blob(&appended).as_str()), "{}", context());
        for file in ["in-place", "truncated", "renamed", &format!("new/{step}")] {
            let expected = blob(&version(*step));
            assert_eq!(files.get(file), Some(&expected.as_str()), "{file}: {}", context());
        }
    }
    if taken == 0 {
        return;
    }
    let worktree = format!("cd wood-worktrees/*-{name}");
    let note = machine.dev(&format!("{worktree} && cat notes/{taken}")).stdout;
    assert_eq!(note, version(taken), "an untracked file: {}", context());
    let drafts = machine.dev(&format!("{worktree} && cat drafts")).stdout;
    assert!(
        drafts.lines().any(|line| step_of_draft(line) == Some(taken)),
        "{drafts}\n{}",
        context()
    );
    assert!(!drafts.contains('\0'), "{drafts:?}\n{}", context());
}

fn step_of_draft(line: &str) -> Option<u64> {
    line.strip_prefix("draft ")?.parse().ok()
}
