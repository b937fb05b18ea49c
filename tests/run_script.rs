//! `tests/run.sh` with an npm that fetches programs which do not run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// A folder that plays `tests/.cache`, with an npm that "fetches" programs.
struct Cache(tempfile::TempDir);

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program that cannot run, like the musl build on a system with glibc.
const NO_LOADER: &str = "#!/nowhere/ld-musl-x86_64.so.1\n";
const RUNS: &str = "#!/bin/sh\necho '9.9.9 (Claude Code)'\n";

impl Cache {
    /// With an npm that brings each of these builds.
    fn new(builds: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut npm = "#!/bin/sh\nset -e\n".to_owned();
        for (name, text) in builds {
            let build = dir.path().join("registry").join(name);
            program(&build, text);
            let package = format!("node_modules/@anthropic-ai/claude-code-{name}");
            npm.push_str(&format!("mkdir -p {package}\ncp {} {package}/claude\n", build.display()));
        }
        program(&dir.path().join("bin/npm"), &npm);
        Self(dir)
    }

    /// Calls functions of the script on this cache.
    fn call(&self, functions: &str) -> Output {
        let dir = self.0.path().display();
        let script =
            format!("source tests/run.sh; cache={dir}/cache; PATH={dir}/bin:$PATH; {functions}");
        Command::new("bash")
            .args(["-c", &script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    }

    fn fetched(&self) -> Option<String> {
        let out = Command::new(self.0.path().join("cache/claude/bin/claude")).output().ok()?;
        Some(String::from_utf8(out.stdout).unwrap())
    }
}

fn output_of(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn the_build_that_runs_is_chosen_from_those_npm_brings() {
    // In the order of their names, the one that does not run comes first.
    let cache = Cache::new(&[("linux-x64", NO_LOADER), ("linux-x64-glibc", RUNS)]);
    let out = cache.call("fetch_claude");
    assert!(out.status.success() && output_of(&out).contains("9.9.9"), "{}", output_of(&out));
    assert_eq!(cache.fetched().unwrap(), "9.9.9 (Claude Code)\n");
    assert!(cache.call("claude_is_current").status.success());
    let kept = cache.0.path().join("cache/claude/node_modules/@anthropic-ai");
    assert_eq!(fs::read_dir(kept).unwrap().count(), 1, "the other build takes room for nothing");
}

#[test]
fn a_fetch_with_no_build_that_runs_fails_and_quotes_each_of_them() {
    let broken = "#!/bin/sh\necho 'wrong processor'; exit 1\n";
    let cache = Cache::new(&[("linux-x64", broken), ("linux-x64-musl", NO_LOADER)]);
    let out = cache.call("step 'Claude Code' fetch_claude; echo \"failed: ${failed[*]}\"");
    let text = output_of(&out);
    for part in [
        "claude-code-linux-x64/claude --version: wrong processor",
        "claude-code-linux-x64-musl/claude --version: ",
        "failed: Claude Code",
    ] {
        assert!(text.contains(part), "{part:?}\n{text}");
    }
    assert!(cache.fetched().is_none());
    let left: Vec<_> = fs::read_dir(cache.0.path().join("cache")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.path().is_file()), "logs alone: {left:?}");
}

#[test]
fn a_build_that_no_longer_runs_is_fetched_again() {
    let cache = Cache::new(&[("linux-x64", RUNS)]);
    assert!(cache.call("fetch_claude").status.success());
    let installed = cache.0.path().join("cache/claude/bin/claude");
    program(&fs::canonicalize(installed).unwrap(), NO_LOADER);
    assert!(!cache.call("claude_is_current").status.success());

    let out = cache.call("fetch_claude");
    assert!(out.status.success(), "{}", output_of(&out));
    assert_eq!(cache.fetched().unwrap(), "9.9.9 (Claude Code)\n");
}

#[test]
fn a_step_that_could_not_be_done_is_not_called_ok_and_failed_tests_are_named() {
    let cache = Cache::new(&[]);
    let log =
        "test a::b ... ok\ntest a::broken ... FAILED\ntest result: FAILED. 5 passed; 1 failed\n";
    let script = format!(
        "mkdir -p \"$cache\"; printf {log:?} >\"$cache/test.log\"
         unable() {{ return \"$SKIP\"; }}
         step able true; step advisories unable; step tests false; summary"
    );
    let out = cache.call(&script);
    let text = output_of(&out);
    assert_eq!(out.status.code(), Some(1), "{text}");
    for line in [
        "ok      able",
        "skipped advisories",
        "FAILED  tests",
        "FAILED  test a::broken",
        "5 tests passed, 0 skipped, 1 failed; 1 steps failed",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line:?}\n{text}");
    }
}
