//! The feature of `six_sessions.rs`, two of its sessions by the real CLI and four by the built-in
//! agent, on a machine that is rebooted on the way.

use serde_json::Value;

use super::{BOUND, Machine, disk};
use crate::lab::{Api, Reply, quoted};
use crate::six_sessions::{FEATURE, NAMES};

/// Where the scripted API listens, in the machine: it has no network but its own.
const PORT: u16 = 8124;

/// The first run of each session of the real CLI hangs in a tool, until it is ended.
const HANGS: &str = r#"if [ ! -e "$SAMOCODE_SESSION_DIR/hangs" ]; then touch "$SAMOCODE_SESSION_DIR/hangs"; sleep 600; fi"#;
const OBEYS: &str = include_str!("../lab/api/obedient.sh");

/// Work that is there before the first run, since the built-in agent does the same in each session:
/// `clash` writes what `schema` writes, `red` breaks the test.
const SETUP: &str = "case $SAMOCODE_SESSION in clash) echo Renamed >work.txt;; schema|server) exit 0;; *) touch $SAMOCODE_SESSION.txt;; esac; \
    git add . && git diff --cached --quiet || git commit -qm Begin";
const TEST: &str = "if [ -e red.txt ]; then echo 1 test failed; exit 1; fi";

#[test]
#[ignore = "the test below starts it in the machine"]
fn serves_the_scripted_api() {
    let _api = Api::listen(PORT, |request| match request.ends_with_tool_result() {
        true => Reply::say("The phase is finished."),
        false => Reply::bash(&format!("{HANGS}\n{OBEYS}")),
    })
    .expect("the port is free");
    loop {
        std::thread::park();
    }
}

/// The API as a unit that starts at boot, the user's variables for it, and a channel for messages.
fn prepare(machine: &Machine) {
    let test = "machine::feature::serves_the_scripted_api";
    let unit = format!(
        "[Service]\nExecStart=/usr/local/bin/{} --ignored --exact {test}\n[Install]\nWantedBy=multi-user.target\n",
        disk::TESTS
    );
    let unit = quoted(&unit);
    machine
        .root(&format!(
            "printf %s {unit} >/etc/systemd/system/api.service && systemctl enable -q --now api"
        ))
        .ok();
    let variables = quoted(&format!(
        "ANTHROPIC_BASE_URL=http://127.0.0.1:{PORT}\nANTHROPIC_API_KEY=sk-ant-lab\n\
         CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\n"
    ));
    let channel = quoted(
        "[channel.log]\ntype = \"command\"\ncommand = [\"sh\", \"-c\", \"cat >>/home/dev/messages\"]\n",
    );
    machine
        .dev(&format!(
            "set -e; mkdir -p ~/.config/samocode; cd ~/.config/samocode
             (umask 077; printf %s {variables} >env); printf %s {channel} >notify.toml; touch ~/messages"
        ))
        .ok();
}

fn hook(machine: &Machine, name: &str) -> Value {
    let hook = machine.dev(&format!("cat ~/shop-sessions/*-{name}/_hook.json")).stdout;
    serde_json::from_str(&hook).unwrap_or(Value::Null)
}

fn journal(machine: &Machine, name: &str, kind: &str) -> Vec<Value> {
    let lines =
        machine.dev(&format!("grep '\"kind\":\"{kind}\"' ~/shop-sessions/*-{name}/_journal.jsonl"));
    lines.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn has_hung(machine: &Machine, name: &str) -> bool {
    machine.dev(&format!("test -e ~/shop-sessions/*-{name}/hangs")).code == 0
}

/// How many messages of the channel say this.
fn messages(machine: &Machine, text: &str) -> usize {
    let count = machine.dev(&format!("grep -cF {} ~/messages", quoted(text))).stdout;
    count.trim().parse().unwrap_or(0)
}

/// Opens the gates that sessions wait at.
fn open_gates(machine: &Machine) {
    let names = NAMES.join(" ");
    machine.dev(&format!(
        "cd shop; for name in {names}; do
             hook=$(cat ~/shop-sessions/*-$name/_hook.json)
             case $hook in *'\"state\":\"waiting\"'*) ;; *) continue ;; esac
             case $hook in
             *'\"phase\":\"requirements\"'*) samocode answer $name --accept-suggestions ;;
             *'\"phase\":\"planning\"'*) samocode approve $name ;;
             esac
         done"
    ));
}

/// Waits for a condition, as a human who opens gates meanwhile.
#[track_caller]
fn open_gates_until(machine: &Machine, what: &str, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    let end = std::time::Instant::now() + BOUND * 3;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}\n{}", machine.diagnosis());
        open_gates(machine);
        // Each look takes the machine's time.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    println!("{what}: {:?}", began.elapsed());
}

#[test]
#[ignore = "takes ten minutes: cargo test --locked --test samocode six_sessions_reach_one_tested_branch_across -- --ignored"]
fn six_sessions_reach_one_tested_branch_across_a_reboot() {
    let Some(machine) = Machine::boot_with_claude() else { return };
    prepare(&machine);
    let keys = format!(
        "SAMOCODE_AGENT=rehearsal\nSAMOCODE_MAX_RUNNING=3\nSAMOCODE_SETUP_COMMAND={SETUP}\n\
         SAMOCODE_TEST_COMMAND={TEST}\n"
    );
    machine.project("shop", &keys);
    let feature = quoted(FEATURE);
    let create = "samocode convoy create --file login.toml";
    let created = machine
        .dev(&format!(
            "cd shop && git branch develop && printf %s {feature} >login.toml && echo login.toml >>.git/info/exclude && {create}"
        ))
        .ok();
    assert!(created.stdout.contains("Next: server, page"), "{created}");
    let shown = || machine.dev("cd shop && samocode convoy status login").ok().stdout;
    let why = |name: &str| machine.dev(&format!("cd shop && samocode why {name}")).ok().stdout;

    // A worker is killed in a run of the real CLI, and a waker in the act.
    machine.wait_until("a tool of the real CLI hangs", || has_hung(&machine, "schema"));
    let said = why("greeting");
    assert!(said.contains("starts after server") && said.contains("page"), "{said}");
    let drop_in = ".config/systemd/user/samocode-wake.service.d";
    machine
        .dev(&format!(
            "set -e; mkdir -p {drop_in}
             printf '[Service]\\nEnvironment=SAMOCODE_CRASH_AT=5\\n' >{drop_in}/crash.conf
             systemctl --user daemon-reload
             kill -KILL $(systemctl --user show --value --property=MainPID samocode@schema)"
        ))
        .ok();
    let died = "journalctl --user -u samocode-wake | grep -q 'status=9/KILL'";
    open_gates_until(&machine, "a waker has died", || machine.dev(died).code == 0);
    machine.dev(&format!("rm {drop_in}/crash.conf; systemctl --user daemon-reload")).ok();

    open_gates_until(&machine, "the next tool hangs", || has_hung(&machine, "server"));
    machine.reboot();
    let merged = "convoy login is merged: develop has 4 sessions";
    open_gates_until(&machine, "it is merged", || messages(&machine, merged) > 0);

    for name in NAMES {
        let hook = hook(&machine, name);
        assert_eq!((&hook["state"], &hook["phase"]), (&"done".into(), &"done".into()), "{name}");
        let taken = journal(&machine, name, "signal_taken");
        let iterations: Vec<u64> =
            taken.iter().filter_map(|taken| taken["line"]["iteration"].as_u64()).collect();
        assert_eq!(iterations, (1..=iterations.len() as u64).collect::<Vec<_>>(), "{name}");
    }
    for name in ["schema", "server"] {
        let runs = journal(&machine, name, "run_started");
        assert!(runs.iter().all(|run| run["agent"] == "claude"), "{runs:?}");
        assert_eq!(runs[0]["conversation"], runs[1]["conversation"], "{name} resumes: {runs:?}");
    }
    let said = why("server");
    assert!(said.contains("worker interrupted"), "{said}");
    assert!(said.contains("resumed in the same conversation"), "{said}");
    let shown = shown();
    for said in [
        "6 of 6 sessions done",
        "develop has 4 sessions",
        "clash was left out: ",
        "work.txt",
        "red was left out: ",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    for text in ["convoy login is complete: 6 sessions", merged] {
        assert_eq!(messages(&machine, text), 1, "{}", machine.dev("cat messages").stdout);
    }
    let tree = "set -e; cd shop; git show develop:work.txt; git ls-tree -r --name-only develop
        for branch in main schema server page greeting; do git merge-base --is-ancestor $branch develop; done
        for branch in clash red; do if git merge-base --is-ancestor $branch develop; then exit 1; fi; done
        git fsck --no-progress; git status --porcelain";
    let tree = machine.dev(tree).ok().stdout;
    assert!(tree.starts_with("Work of server\n") && tree.contains("greet.sh"), "{tree}");
    assert!(!tree.contains("red.txt") && tree.contains("greeting.txt"), "{tree}");
}
