use super::*;
use crate::agent::command::Lines;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;

/// Reads lines as a command's, and takes messages as lines.
struct Decoding;

impl Decoder for Decoding {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        Lines.line(line, emit);
    }

    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        Some(format!("{text}\n").into_bytes())
    }
}

/// The same for an agent that can be asked to end its turn.
struct Cancelling;

impl Decoder for Cancelling {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        Lines.line(line, emit);
    }

    fn cancel(&mut self) -> Option<Vec<u8>> {
        Some(b"cancel\n".to_vec())
    }
}

fn run(script: &str, input: Input, grace: Duration) -> (Run, File) {
    run_with(script, input, grace, TERM_GRACE)
}

fn run_with(script: &str, input: Input, grace: Duration, term_grace: Duration) -> (Run, File) {
    let log = tempfile::tempfile().unwrap();
    let launch = Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        input,
        defaults: vec![("GIVEN", "default".into()), ("KEPT", "default".into())],
        files: Vec::new(),
    };
    let environment = vec![("PATH".into(), "/usr/bin:/bin".into()), ("KEPT".into(), "mine".into())];
    let setting = Setting {
        environment,
        working_dir: Path::new("/"),
        cgroup: None,
        cage: None,
        log: log.try_clone().unwrap(),
        stderr_log: Log::later(tempfile::tempfile),
        veil: crate::config::Veil::default(),
        grace,
        term_grace,
    };
    (Run::start(launch, Box::new(Decoding), setting).unwrap(), log)
}

async fn to_end(run: &mut Run) -> (Vec<String>, ExitStatus) {
    let mut told = Vec::new();
    loop {
        match run.next().await {
            Step::Exited(status) => return (told, status),
            Step::Event(Event::Text { text }) => told.push(text),
            Step::Event(Event::Finished(_)) => told.push("finished".into()),
            Step::Event(_) => told.push("progress".into()),
            Step::ClosedStdout => told.push("closed".into()),
            Step::Overstayed(signal) => told.push(signal.into()),
        }
    }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

const FINISHED: &str = r#"echo '{"event":"finished"}'"#;

#[tokio::test]
async fn a_run_is_told_logged_and_ended() {
    let script = r#"cat; echo; echo "$GIVEN $KEPT"; echo '{"event":"text","text":"hi"}'; echo oh >&2; exit 3"#;
    let (mut run, log) = run(script, Input::Text(b"prompt".to_vec()), GRACE);
    let (told, status) = to_end(&mut run).await;
    assert_eq!(status.code(), Some(3));
    let told: Vec<_> = told.iter().filter(|told| *told != "progress").collect();
    assert_eq!(told, ["hi", "closed"]);
    assert_eq!(text(log), "prompt\ndefault mine\n{\"event\":\"text\",\"text\":\"hi\"}\n");
    let summary = run.summary();
    assert_eq!(summary.stderr_tail, "oh\n");
    assert!(summary.log_error.is_none());
    assert!(matches!(run.next().await, Step::Exited(again) if again == status));
}

#[tokio::test]
async fn a_feed_stays_open_until_it_is_closed() {
    let script = r#"while read line; do echo "{\"event\":\"text\",\"text\":\"$line\"}"; done"#;
    let (mut run, _log) = run(script, Input::Feed(b"one\n".to_vec()), GRACE);
    assert!(matches!(run.next().await, Step::Event(Event::Text { text }) if text == "one"));
    assert!(run.send("two"));
    assert!(matches!(run.next().await, Step::Event(Event::Text { text }) if text == "two"));
    run.close_input();
    assert!(!run.send("three"));
    let (told, status) = to_end(&mut run).await;
    assert_eq!((told, status.success()), (vec!["closed".to_owned()], true));
}

#[tokio::test]
async fn a_prompt_larger_than_the_pipe_and_an_agent_that_reads_nothing_both_end() {
    let large = Input::Text(vec![b'x'; 4_000_000]);
    let (mut counting, log) = run("wc -c", large.clone(), GRACE);
    assert!(to_end(&mut counting).await.1.success());
    assert_eq!(text(log).trim(), "4000000");
    let (mut deaf, _log) = run("exec 0<&-; exit 0", large, GRACE);
    assert!(to_end(&mut deaf).await.1.success());
}

#[tokio::test]
async fn output_held_open_by_a_process_left_behind_does_not_hold_the_run() {
    // The one left behind ends when its own input does: with this test's file.
    let script = r#"sh -c 'read _' <&3 3<&- & echo '{"event":"text","text":"last"}'"#;
    let script = format!("exec 3<&0; {script}");
    let (mut run, _log) = run(&script, Input::Feed(Vec::new()), GRACE);
    let (told, status) = to_end(&mut run).await;
    assert_eq!((told, status.success()), (vec!["last".to_owned(), "closed".to_owned()], true));
}

#[tokio::test]
async fn a_process_that_overstays_its_end_is_asked_to_go() {
    let script = format!("{FINISHED}; read _");
    let (mut run, _log) = run(&script, Input::Feed(Vec::new()), Duration::ZERO);
    let (told, status) = to_end(&mut run).await;
    assert_eq!(told, ["finished", "SIGTERM", "closed"]);
    assert_eq!(status.signal(), Some(15));
}

#[tokio::test]
async fn one_that_does_not_go_is_killed() {
    let script = format!("trap '' TERM; {FINISHED}; read _; read _");
    let (mut run, _log) =
        run_with(&script, Input::Feed(Vec::new()), Duration::ZERO, Duration::ZERO);
    let (told, status) = to_end(&mut run).await;
    assert_eq!(told, ["finished", "SIGTERM", "SIGKILL", "closed"]);
    assert_eq!(status.signal(), Some(9));
}

#[tokio::test]
async fn further_input_after_an_end_takes_the_grace_time_back() {
    let script = format!("{FINISHED}; read _; {FINISHED}");
    let (mut run, _log) = run(&script, Input::Feed(Vec::new()), Duration::from_secs(3600));
    assert!(matches!(run.next().await, Step::Event(Event::Finished(_))));
    assert!(run.deadline.is_some());
    assert!(run.send("more"));
    assert!(run.deadline.is_none());
    assert!(matches!(run.next().await, Step::Event(Event::Finished(_))));
    assert!(run.deadline.is_some());
    assert!(to_end(&mut run).await.1.success());
}

#[tokio::test]
async fn the_whole_group_is_ended_and_one_that_is_dropped_is_killed() {
    let (mut ended, _log) = run("exec 3<&0; cat <&3 & wait", Input::Feed(Vec::new()), GRACE);
    ended.terminate();
    assert_eq!(to_end(&mut ended).await.1.signal(), Some(15));
    let script = r#"echo '{"event":"text","text":"up"}'; read _"#;
    let (mut dropped, _log) = run(script, Input::Feed(Vec::new()), GRACE);
    assert!(matches!(dropped.next().await, Step::Event(Event::Text { .. })));
    let pid = Pid::from_raw(i32::try_from(dropped.pid()).unwrap()).unwrap();
    let watch = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    drop(dropped);
    let mut ended = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut ended, Some(&limit)).unwrap(), 1);
}

#[tokio::test]
async fn one_that_floods_its_output_gets_its_input_and_is_killed_all_the_same() {
    let script = "trap '' TERM; (trap '' TERM; yes) & read word; echo \"$word\" >&2; wait";
    let (mut run, _log) = run_with(script, Input::Feed(b"heard\n".to_vec()), GRACE, Duration::ZERO);
    while run.tail.text() != "heard\n" {
        assert!(!matches!(run.next().await, Step::Exited(_)));
    }
    run.terminate();
    assert_eq!(to_end(&mut run).await.1.signal(), Some(9));
}

#[tokio::test]
async fn a_flood_of_empty_signs_of_life_is_told_in_few_events() {
    let (mut run, _log) = run("yes | head -c 20000000", Input::Null, GRACE);
    let (told, _) = to_end(&mut run).await;
    assert!(told.len() < 20_000_000 / 1000, "{} events", told.len());
    assert_eq!(run.summary().bytes, 20_000_000);
}

#[tokio::test]
async fn one_that_can_be_asked_ends_its_turn_itself_and_one_that_does_not_listen_is_ended() {
    let script = r#"echo '{"event":"text","text":"up"}'; read word; exit 7"#;
    let (mut asked, _log) = run(script, Input::Feed(Vec::new()), GRACE);
    asked.decoder = Box::new(Cancelling);
    // Its start is no part of the time it has to listen.
    assert!(matches!(asked.next().await, Step::Event(Event::Text { .. })));
    asked.terminate();
    assert_eq!(to_end(&mut asked).await.1.code(), Some(7));
    // Its report of an end gives it no more time.
    let script = format!("{FINISHED}; exec sleep 3600");
    let (mut deaf, _log) = run(&script, Input::Feed(Vec::new()), Duration::from_secs(3600));
    deaf.decoder = Box::new(Cancelling);
    deaf.terminate();
    deaf.terminate();
    assert_eq!(to_end(&mut deaf).await.1.signal(), Some(15));
}
