//! The verbs of a confined agent: its worker performs them outside of the cage, as far as they are its.

use serde_json::json;

use crate::lab::{self, Api, Bot, LabUser, Reply, Request};
use crate::session::{BOUND, Session};

/// What an agent does that does as samocode asks.
const OBEDIENT: &str = include_str!("lab/api/obedient.sh");

/// In its implementation phase the session `lead` begins two workers, waits, answers, merges and ends, all from its
/// cage. It looks at what is there at every run, as an agent without a memory must.
const LEADS: &str = r#"
says=$SAMOCODE_SESSION_DIR/says
sleeps() {
    printf '{"status":"waiting","for":"workers","summary":"%s"}' "$1" >"$SAMOCODE_SESSION_DIR/_signal.json"
    exit 0
}
state() { samocode status "$1" --json | grep -o '"state": *"[a-z]*"' | head -1 | sed 's/.*"\([a-z]*\)"/\1/'; }
leads() {
    if [ ! -d "$SAMOCODE_SESSION_DIR/workers/page" ]; then
        echo shared >shared.txt; git add shared.txt; git commit -qm "Prepare"
        samocode enable api --task "The API" >>$says 2>&1
        SAMOCODE_CONFINE=off samocode enable page --task "The page" --after api >>$says 2>&1
        samocode wait api --until waiting --timeout 5min >>$says 2>&1 || echo "waited: $?" >>$says
        for verb in "show api questions" "logs api" "why api" "history api" "cost api" "role api" status; do
            samocode $verb >>$says 2>&1 || echo "FAILED $verb: $?" >>$says
        done
        samocode ask api "Which table?" --timeout 1s >>$says 2>&1 || echo "asked: $?" >>$says
        samocode answer api --accept-suggestions >>$says 2>&1 || echo "FAILED answer: $?" >>$says
        mkfifo "$TMPDIR/in"
        samocode mcp <"$TMPDIR/in" >"$TMPDIR/out" 2>>$says &
        exec 8>"$TMPDIR/in"
        printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}' \
            '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
            '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"session_status","arguments":{"session":"api"}}}' >&8
        until grep -q '"id":2' "$TMPDIR/out"; do sleep 0.1; done
        exec 8>&-
        cat "$TMPDIR/out" >>$says
        for verb in "stop other" "merge other" "approve other" "show other" "enable x --parent other --task t" \
            "merge api --into main" "enable api --delegate gates" "approve lead" "run x --task t" "logs -f api" \
            "enable x --task t --agent command:/bin/cat" "enable x --task t --import-env" "archive api" config; do
            samocode $verb >>$says.refused 2>&1 && echo "ALLOWED $verb" >>$says.refused
        done
        mkdir "$SAMOCODE_SESSION_DIR/workers/forged" 2>>$says.refused && echo "ALLOWED mkdir" >>$says.refused
        sleeps "two workers"
    fi
    for worker in api page; do
        [ "$(state $worker)" != waiting ] || samocode approve $worker >>$says 2>&1 ||
            samocode answer $worker --accept-suggestions >>$says 2>&1
    done
    [ "$(state api)$(state page)" = donedone ] || sleeps "at work"
    samocode merge api page --dry-run >>$says 2>&1
    samocode merge api page >>$says 2>&1
    git merge -q --ff-only samocode-merge/lead >>$says 2>&1
}
[ "$SAMOCODE_SESSION" != lead ] || [ "$SAMOCODE_PHASE" != implementation ] || leads
case $SAMOCODE_SESSION in api|page) mkdir -p $SAMOCODE_SESSION; test -e shared.txt; cd $SAMOCODE_SESSION ;; esac
"#;

fn says(session: &Session<'_>, file: &str) -> String {
    session.project.session_file(session.name, file).unwrap_or_default()
}

fn leads(user: &LabUser, level: &str) {
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let agent = user.obedient_agent(LEADS);
    leads_as(user, (&agent, &agent), level, &bot);
}

/// With one agent, and another in the phase of implementation, in which there is something to lead.
fn leads_as(user: &LabUser, (agent, leading): (&str, &str), level: &str, bot: &Bot) {
    user.sh("mkdir -p ~/asked").ok();
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", agent)
        .key("SAMOCODE_AGENT_IMPLEMENTATION", leading)
        .key("SAMOCODE_MAX_RUNNING", "2")
        .key("SAMOCODE_TEST_COMMAND", "test -e shared.txt")
        .key("SAMOCODE_CONFINE", level)
        .key("SAMOCODE_ALLOW_WRITE", "~/asked")
        .create();
    let [lead, api, page, other] = ["lead", "api", "page", "other"].map(|name| project.named(name));
    other.enable(&["--task", "Something else"]);
    lead.enable(&["--task", "The shop", "--delegate", "gates"]);
    other.wait_to_rest("waiting", "requirements");
    lead.wait_to_rest("waiting", "requirements");
    lead.answer();
    lead.wait_to_rest("waiting", "planning");
    lead.approve();
    user.wait_until("the coordinator is done", BOUND * 3, || {
        lead.stands() == ("done".to_owned(), "done".to_owned())
    });

    let (said, refused) = (says(&lead, "says"), says(&lead, "says.refused"));
    assert!(!said.contains("FAILED"), "{said}");
    for part in
        ["Where are tokens kept?", "\"structuredContent\"", "asked: 124", "samocode-merge/lead"]
    {
        assert!(said.contains(part), "{part:?} is missing:\n{said}");
    }
    assert_eq!((api.stands().0, page.stands().0), ("done".to_owned(), "done".to_owned()), "{said}");
    assert_eq!(api.journal("created")[0]["parent"], "lead");
    for worker in [&api, &page] {
        let confined = worker.journal("run_started")[0]["confined"].to_string();
        assert!(confined.starts_with(&format!("\"{level} (Landlock")), "{confined}");
    }
    let mail = api.journal("mail");
    let by = mail.iter().find(|mail| mail["mail"] == "approve").map(|mail| mail["by"].to_string());
    assert!(by.as_ref().is_some_and(|by| by.contains("delegated the gates")), "{mail:?}\n{said}");
    assert_eq!(bot.count_of("api is waiting"), 0, "{:?}", bot.messages());

    // They began with what it had committed in the same run, and its branch has it all.
    let within = "git merge-base --is-ancestor api page && git show --stat lead:api/work.txt \
         lead:page/work.txt api:shared.txt && ! git show main:shared.txt";
    user.sh(within).cwd(&project.dir).ok();

    assert!(!refused.contains("ALLOWED"), "{refused}");
    for said in [
        "other is not below your session",
        "an agent cannot merge into main",
        "only a human delegates",
        "lead cannot answer itself",
        "it would run an agent in the foreground",
        "cannot follow what changes",
        "an agent is named by its plain word",
        "credentials and users are the human's",
        "Read-only file system",
    ] {
        assert!(refused.contains(said), "{said:?} is missing:\n{refused}");
    }
    assert_eq!(other.stands().0, "waiting");
}

#[test]
fn a_confined_coordinator_begins_waits_answers_and_merges() {
    let Some(lab) = lab::get() else { return };
    leads(&lab.user("cagedlead"), "standard");
}

#[test]
fn a_strictly_confined_coordinator_begins_waits_answers_and_merges() {
    let Some(lab) = lab::get() else { return };
    leads(&lab.user("strictlead"), "strict");
}

#[test]
fn the_real_cli_as_a_confined_coordinator_begins_waits_answers_and_merges() {
    let Some(lab) = lab::with_claude() else { return };
    let (user, bot) = (lab.user("cagedclilead"), Bot::start());
    let line = format!("{LEADS}\n{OBEDIENT}");
    // One call of the Bash tool a run, whichever of the sessions asks.
    let api = Api::start_with(move |request: &Request| {
        let last = request.body["messages"].as_array().and_then(|all| all.last());
        if last.is_some_and(|last| last.to_string().contains("tool_result")) {
            return Reply::say("Done for now.");
        }
        Reply::tool("Bash", json!({"command": line, "timeout": 600_000}))
    });
    user.uses_claude(&api);
    let claude = user.read(".config/samocode/env");
    user.gets_messages_from(&bot);
    let both = format!("{claude}{}", user.read(".config/samocode/env"));
    user.write_env_file(both);
    let agent = user.obedient_agent("");
    leads_as(&user, (&agent, "claude"), "standard", &bot);
}

/// What a hostile coordinator puts into the folder of calls, and what it asks for.
const HOSTILE: &str = r#"
out=$SAMOCODE_SESSION_DIR/out
[ "$SAMOCODE_SESSION" = lead ] || exec sh -c 'printf "{\"status\":\"blocked\",\"reason\":\"idle\"}" >$SAMOCODE_SESSION_DIR/_signal.json'
call() { printf '%s/0193a0c4-6a5e-7000-8000-%012x.%s' "$SAMOCODE_CALLS" $1 $2; }
approve='{"system":false,"what":{"request":{"approve":{"session":"other","message":"yes"}}}}'
ln -s ~/.ssh/key $(call 1 call); mkfifo $(call 2 call); truncate -s 100M $(call 3 call); mkdir $(call 4 call)
echo "$approve" >$(call 5 call); ln -s ~/planted $(call 5 reply)
for n in $(seq 100 10100); do printf -v name '%s/0193a0c4-6a5e-7000-8000-%012x.call' "$SAMOCODE_CALLS" $n; : >"$name"; done
(flock 9; ln -s ~/planted $(call 6 reply); echo "$approve" >&9; mv $(call 6 new) $(call 6 call)
    until [ -s $(call 6 reply) ]; do sleep 0.1; done; cat $(call 6 reply) >>$out) 9>$(call 6 new)
samocode status lead >>$out 2>&1 && echo "still served" >>$out
[ -d $SAMOCODE_SESSION_DIR/workers/child ] ||
    SAMOCODE_CONFINE=off SAMOCODE_AGENT=command:/bin/cat samocode enable child --task t >>$out 2>&1
samocode wait child --timeout 5min >>$out 2>&1
echo '{"answers":"mine"}' >$SAMOCODE_SESSION_DIR/workers/child/_qa.md && echo "ALLOWED write" >>$out
mv $SAMOCODE_SESSION_DIR/workers/child $SAMOCODE_SESSION_DIR/moved && echo "ALLOWED move" >>$out
samocode approve child >>$out 2>&1 && echo "ALLOWED approve" >>$out
samocode wait child --until done &
kill -9 $!
touch $SAMOCODE_SESSION_DIR/out.done
[ ! -e $SAMOCODE_SESSION_DIR/stays ] || exec samocode wait child --until done
printf '{"status":"blocked","reason":"tried"}' >$SAMOCODE_SESSION_DIR/_signal.json
"#;

#[test]
fn what_a_hostile_agent_leaves_as_calls_opens_nothing_and_blocks_nobody() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("hostilelead");
    let agent = user.shell_agent(HOSTILE);
    user.sh("mkdir -p .ssh; echo SECRET >.ssh/key").ok();
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_CONFINE", "standard")
        .create();
    let [lead, child, other] = ["lead", "child", "other"].map(|name| project.named(name));
    other.enable(&["--task", "t"]);
    other.wait_to_rest("blocked", "investigation");
    lead.enable(&["--task", "t", "--coordinator"]);
    lead.wait_to_rest("blocked", "investigation");
    let out = says(&lead, "out");
    assert!(out.contains("still served"), "{out}");
    assert!(out.contains("other is not below your session") && !out.contains("SECRET"), "{out}");
    assert!(out.contains("the gates of child are the human's"), "{out}");
    assert!(!out.contains("ALLOWED") && !user.exists("planted"), "{out}");
    assert!(other.journal("mail").is_empty());
    let confined = child.journal("run_started")[0]["confined"].to_string();
    assert!(confined.starts_with("\"standard (Landlock"), "{confined}");

    // Its worker is killed in the middle of a call, and nothing of that stays.
    let folder = project.session("lead").expect("a session");
    user.write(folder.join("stays"), "");
    user.sh(&format!("rm {}/out.done", folder.display())).ok();
    lead.send("Again");
    user.wait_until("it waits", BOUND, || user.exists(folder.join("out.done")));
    let waits = format!("pgrep -u {} -f 'outgoing --cal[l]' | wc -l", user.name);
    user.wait_until("its call is performed", BOUND, || {
        user.sh(&waits).output().stdout.trim() == "1"
    });
    user.sh(&format!("rm {}/stays", folder.display())).ok();
    user.sh("systemctl --user kill -s KILL samocode@lead").ok();
    lead.wait_to_rest("blocked", "investigation");
    assert_eq!(user.sh(&waits).output().stdout.trim(), "0");
}
