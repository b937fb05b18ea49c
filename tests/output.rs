//! Much output of an agent, which goes to the log whole while the worker does not
//! grow with it; and our own output when its reader is gone.

use crate::lab::{self, secs};

/// Above what the worker takes unoptimised, 42 MiB, nearly all of it the program's own code. A buffer
/// of the long line alone would be twice that.
const MOST_KIB: u64 = 60 * 1024;

const MIB: u64 = 1 << 20;

#[test]
fn a_line_of_100_mb_and_many_lines_go_through_and_the_worker_stays_small() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("floods");
    // Its parent is the worker. The last of its output is still in the pipe.
    let flood = r#"yes '{"event":"text","text":"a line of the usual length, as agents print them"}' | head -c 150M
        echo
        head -c 100M /dev/zero | tr '\0' x
        echo
        ps -o comm= -p $PPID >~/parent
        grep VmHWM /proc/$PPID/status >~/peak"#;
    let first = format!("if [ $SAMOCODE_PHASE = investigation ]; then {flood}\nfi");
    let agent = user.obedient_agent(&first);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();

    let out = project.samocode(["run", "jwt", "--task", "t"]).within(secs(180)).output();

    assert_eq!(out.code, 10, "{out}");
    assert_eq!(user.read("parent").trim(), "samocode");
    let peak = user.read("peak");
    let kib: u64 = peak.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("VmHWM");
    assert!(kib < MOST_KIB, "the worker took {kib} KiB");
    let session = project.named("jwt");
    let log = session.journal("run_started")[0]["log"].as_str().expect("a log").to_owned();
    let path = project.session("jwt").expect("a session").join("_logs").join(log);
    let written = std::fs::metadata(user.host_path(&path)).expect("a log").len();
    assert_eq!(written, 250 * MIB + 2, "byte for byte");
    println!("peak of the worker: {kib} KiB");
    std::fs::remove_file(user.host_path(&path)).expect("room for others");
}

/// Verbs that print something, with their arguments.
const SHOWN: [&[&str]; 13] = [
    &["status"],
    &["status", "jwt"],
    &["status", "--json"],
    &["why", "jwt"],
    &["history", "jwt"],
    &["logs", "jwt"],
    &["cost"],
    &["cost", "jwt"],
    &["config"],
    &["units", "print"],
    &["inbox", "jwt"],
    &["doctor"],
    &["--help"],
];

#[test]
fn a_closed_or_full_output_causes_no_panic() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("unread");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    project.samocode(["enable", "jwt", "--task", "t"]).ok();
    project.named("jwt").wait_to_rest("waiting", "requirements");
    project.samocode(["send", "jwt", "a word"]).ok();

    let acts: [&[&str]; 4] =
        [&["stop", "jwt"], &["send", "jwt", "more"], &["start", "jwt"], &["init"]];
    for words in SHOWN.iter().chain(&acts) {
        let words = words.join(" ");
        for line in [
            format!("{{ sleep 0.1; exec samocode {words}; }} | true; exit ${{PIPESTATUS[0]}}"),
            format!("samocode {words} >/dev/full"),
            format!("samocode {words} >/dev/full 2>&1"),
        ] {
            let output = user.sh(&line).cwd(&project.dir).output();
            assert!(output.code < 100 && !output.stderr.contains("panicked"), "{line}: {output}");
        }
    }
    for verb in ["--help", "enable --help", "--version"] {
        let output = user.sh(&format!("samocode {verb} >/dev/full")).output();
        assert_eq!((output.code, output.stderr.lines().count()), (1, 1), "{verb}: {output}");
        assert!(output.stderr.contains("No space left on device"), "{verb}: {output}");
    }
    // A unit that someone masked.
    user.run(["ln", "-sf", "/dev/null", ".config/systemd/user/samocode@masked.service"]).ok();
    user.systemctl(["daemon-reload"]).ok();
    let masked = project.samocode(["enable", "masked", "--task", "t"]).output();
    assert_eq!(masked.code, 1, "{masked}");
    let remedy = "systemctl --user unmask samocode@masked.service";
    assert!(masked.stderr.contains(remedy) && masked.stderr.contains("is masked"), "{masked}");
}
