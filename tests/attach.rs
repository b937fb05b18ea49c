//! `samocode attach`: a human takes the agent's conversation over in a terminal and hands it back.

use rustix::process::Signal;

use crate::lab::{self, Api, LabUser, Project, Reply, Script, secs};
use crate::session::{BOUND, Session};

/// Claude Code, but for its interactive mode: there `~/in-terminal` plays the human.
const CLAUDE: &str = r#"#!/bin/sh
[ "$1" = --resume ] || exec /opt/claude/bin/claude "$@"
echo "$@" >>~/attached
. ~/in-terminal
"#;

fn project<'u>(user: &'u LabUser, api: &Api) -> Project<'u> {
    user.uses_claude(api);
    user.write_program("claude", CLAUDE);
    user.project("shop")
        .key("CLAUDE_PATH", &user.home.join("claude").display().to_string())
        .create()
}

fn attach<'u>(project: &Project<'u>, args: &[&str]) -> lab::LabCommand {
    let command = project.user.samocode(["attach", "jwt"].iter().chain(args));
    command.cwd(&project.dir).on_a_terminal().within(secs(120))
}

fn settles(session: &Session<'_>, state: &str, phase: &str) {
    let user = session.user();
    let is_so = || session.stands() == (state.to_owned(), phase.to_owned());
    user.wait_until(&format!("it is {state} in {phase}"), BOUND, is_so);
}

#[test]
fn work_in_the_terminal_counts_and_the_agent_is_told_of_it() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("takes-over");
    let mut first = Some(Reply::bash("until [ -e ~/go ]; do sleep 0.02; done"));
    let mut obedient = Script::obedient().into_answer();
    let api = Api::start_with(move |request| first.take().unwrap_or_else(|| obedient(request)));
    let project = project(&user, &api);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the model was asked", BOUND, || !api.requests().is_empty());

    // It ends the phase by hand, as the agent would.
    user.write(
        "in-terminal",
        r#"echo hand >by-hand.txt; git add . && git commit -qm 'By hand'; echo more >more.txt
printf '{"status":"continue","run":"%s","phase":"requirements","summary":"By hand"}' $SAMOCODE_RUN >"$SAMOCODE_SESSION_DIR/_signal.json"
samocode approve jwt >~/answered 2>&1; echo $? >>~/answered
"#,
    );
    let out = attach(&project, &["--now"]).output();
    assert_eq!(out.code, 0, "{out}\n{}", user.diagnosis());
    for part in
        ["There are new commits", "1 file has changes", "A signal was written", "running again"]
    {
        assert!(out.stdout.contains(part), "{part}: {out}");
    }
    settles(&session, "waiting", "requirements");
    let (conversation, resumed) = session.conversations()[1].clone();
    assert!(resumed && conversation == session.conversations()[0].0, "the same conversation");
    assert!(user.read("attached").contains(&format!("--resume {conversation}")));
    let (_, phase, status) = session.history()[0].clone();
    assert_eq!((phase.as_str(), status.as_str()), ("investigation", "continue"));
    let told = api.requests().last().unwrap().prompt();
    assert!(told.contains("A human took this conversation over"), "{told}");
    // The agent's gates stay shut for it.
    assert!(user.read("answered").contains("cannot answer"), "{}", user.read("answered"));

    // One that waits still waits, and no run is made for it.
    user.write("in-terminal", "true");
    let runs = session.conversations().len();
    let out = attach(&project, &[]).output();
    assert_eq!(out.code, 0, "{out}");
    assert!(out.stdout.contains("Nothing was changed"), "{out}");
    settles(&session, "waiting", "requirements");
    assert_eq!(session.conversations().len(), runs);
    let out = attach(&project, &["--stop"]).output();
    assert!(out.stdout.contains("samocode start jwt"), "{out}");
    settles(&session, "stopped", "requirements");
    project.samocode(["start", "jwt"]).ok();
    settles(&session, "waiting", "requirements");
    project.samocode(["answer", "jwt", "--accept-suggestions"]).ok();
    settles(&session, "waiting", "planning");
}

#[test]
fn a_second_attach_is_refused_and_a_killed_terminal_leaves_the_session_stopped() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("loses-it");
    let mut first = Some(Reply::bash("until [ -e ~/go ]; do sleep 0.02; done"));
    let mut obedient = Script::obedient().into_answer();
    let api = Api::start_with(move |request| first.take().unwrap_or_else(|| obedient(request)));
    let project = project(&user, &api);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the model was asked", BOUND, || !api.requests().is_empty());

    user.write("in-terminal", "echo $$ >~/agent; until [ -e ~/out ]; do sleep 0.02; done");
    let mut terminal = attach(&project, &["--now"]).spawn();
    user.wait_until("it is attached", BOUND, || user.exists("agent"));
    let second = attach(&project, &[]).output();
    assert_eq!(second.code, 1, "{second}");
    assert!(second.stdout.contains("is already attached"), "{second}");

    // Its agent ends too, and works beside no other run.
    user.sh("pkill -KILL -u $USER -f 'attach jwt --now$'").ok();
    let agent = "kill -0 $(cat ~/agent)";
    user.wait_until("the agent has ended", BOUND, || user.sh(agent).output().code != 0);
    terminal.signal(Signal::KILL);
    terminal.wait(secs(30));
    user.write("out", "");
    settles(&session, "stopped", "investigation");
    project.samocode(["start", "jwt"]).ok();
    settles(&session, "waiting", "requirements");
    let all = session.conversations();
    assert_eq!(all[0].0, all[2].0, "it resumed the conversation: {all:?}");
}

/// Codex and Gemini CLI, but for their interactive modes: there a human adds to one file of the worktree
/// and to the questions.
fn others(cli: &str, headless: &str) -> String {
    format!(
        "#!/bin/sh
case \"$*\" in
*{headless}*) exec /opt/{cli}/bin/{cli} \"$@\" ;;
*resume*) ;;
*) exec /opt/{cli}/bin/{cli} \"$@\" ;;
esac
echo \"$@\" >>~/attached
echo more >>README.md
echo >>\"$SAMOCODE_SESSION_DIR/_qa.md\"
"
    )
}

#[test]
fn codex_and_gemini_are_taken_over_too_and_every_change_is_told() {
    for (cli, headless, key) in
        [("codex", "--json", "CODEX_PATH"), ("gemini", "stream-json", "GEMINI_PATH")]
    {
        let Some(lab) = lab::with_cli(cli) else { return };
        let user = lab.user(&format!("takes-{cli}"));
        let api = Api::start(Script::obedient());
        match cli {
            "codex" => user.uses_codex(&api, "k"),
            _ => user.uses_gemini(&api, "k"),
        }
        user.write_program("cli", others(cli, headless));
        let project = user
            .project("shop")
            .key("SAMOCODE_AGENT", cli)
            .key(key, &user.home.join("cli").display().to_string())
            .create();
        let session = project.named("jwt");
        session.enable(&["--task", "JWT login"]);
        settles(&session, "waiting", "requirements");
        let named = session.journal("conversation_named");
        let started = session.journal("run_started");
        let last = named.last().or(started.last()).expect("a conversation");
        let conversation = last["conversation"].as_str().expect("its ID").to_owned();

        // The second time, a file that had changes already has others.
        for _ in 0..2 {
            let out = attach(&project, &["--stop"]).output();
            assert_eq!(out.code, 0, "{out}\n{}", user.diagnosis());
            let said = out.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in ["1 file has changes", "Changed in the session's folder: _qa.md."] {
                assert!(said.contains(part), "{cli}: {part}: {out}");
            }
        }
        let attached = user.read("attached");
        assert_eq!(attached.lines().count(), 2, "{attached}");
        assert!(attached.contains("resume") && attached.contains(&conversation), "{attached}");
        let runs = session.conversations().len();
        project.samocode(["start", "jwt"]).ok();
        user.wait_until("it has run", BOUND, || session.conversations().len() > runs);
        settles(&session, "waiting", "requirements");
        let told = api.requests();
        let told =
            told.iter().filter(|request| request.says("A human took this conversation over"));
        assert!(told.count() > 0, "{cli} was not told");
    }
}

#[test]
fn what_cannot_be_attached_is_said_before_anything_is_stopped() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("stays-out");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    settles(&session, "waiting", "requirements");

    let out = attach(&project, &[]).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("no interactive mode"), "{out}");
    assert!(out.stdout.contains("samocode send jwt"), "{out}");
    assert_eq!(session.stands().0, "waiting");
    let out = user.samocode(["attach", "search"]).cwd(&project.dir).on_a_terminal().output();
    assert_eq!(out.code, 2, "{out}");
    let out = project.samocode(["attach", "jwt"]).output();
    assert!(out.stderr.contains("needs a terminal"), "{out}");
}
