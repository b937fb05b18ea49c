use std::os::unix::process::ExitStatusExt as _;

use super::*;

#[test]
fn credentials_in_urls_are_removed() {
    let line =
        "unable to access 'https://bob:s3cr3t@example.org/x.git/': refused, see http://t0ken@h:80";
    assert_eq!(
        without_credentials(line),
        "unable to access 'https://example.org/x.git/': refused, see http://h:80"
    );
    assert_eq!(without_credentials("https://u:p@ss@host/a@b"), "https://host/a@b");
    assert_eq!(without_credentials("no url, a@b"), "no url, a@b");
}

#[test]
fn the_telling_line_is_what_ssh_said_before_git_gave_up() {
    let stderr = b"ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.\n\nPlease make sure\nand exists.\n";
    assert_eq!(
        telling_line(stderr, ExitStatus::from_raw(0)),
        "ssh: connect to host h port 22: Connection refused"
    );
    assert_eq!(
        telling_line(b"error: a\nfatal: \x1b[31mb\nhint: c\n", ExitStatus::from_raw(0)),
        "[31mb"
    );
}

#[test]
fn the_telling_line_is_what_a_filter_said_before_it_failed() {
    let missing = "git-lfs filter-process: 1: git-lfs: not found";
    let of = |after: &str| {
        let stderr = format!("Preparing worktree (new branch 'a')\n{after}\n");
        telling_line(stderr.as_bytes(), ExitStatus::from_raw(0))
    };
    assert_eq!(of(&format!("{missing}\nfatal: the remote end hung up unexpectedly")), missing);
    let whole = format!(
        "{missing}\nerror: packet write with format failed\nfatal: a.bin: smudge filter lfs failed"
    );
    assert_eq!(of(&whole), format!("a.bin: smudge filter lfs failed ({missing})"));
    assert_eq!(of("fatal: a.bin: smudge filter lfs failed"), "a.bin: smudge filter lfs failed");
    let cause = "Error downloading object: a.bin (4d7a214): missing protocol";
    let after = "Errors logged to 'x.log'.\nerror: external filter 'git-lfs' failed\nfatal: a.bin: smudge filter lfs failed";
    let said = format!("a.bin: smudge filter lfs failed ({cause})");
    assert_eq!(of(&format!("{cause}\n{after}")), said);
    let unread = "error: open(\"a\"): Permission denied\nerror: unable to index file 'a'\nfatal: adding files failed";
    assert_eq!(of(unread), "unable to index file 'a'");
}

#[test]
fn names_on_the_lines_after_a_colon_belong_to_the_message() {
    let of = |stderr: &str| telling_line(stderr.as_bytes(), ExitStatus::from_raw(0));
    assert_eq!(
        of("fatal: unknown repository extension found:\n\tfoo\n"),
        "unknown repository extension found: foo"
    );
    assert_eq!(
        of("fatal: unknown repository extensions found:\n\tfoo\n\tbar\n"),
        "unknown repository extensions found: foo, bar"
    );
    assert_eq!(
        of(
            "error: The following untracked working tree files would be overwritten by checkout:\n\ta b\nPlease move or remove them before you switch branches.\nAborting\n"
        ),
        "The following untracked working tree files would be overwritten by checkout: a b"
    );
}

#[test]
fn versions_of_all_vendors_are_read() {
    let version = |major, minor, patch| Some(Version { major, minor, patch });
    assert_eq!(parse_version("git version 2.47.3"), version(2, 47, 3));
    assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)"), version(2, 39, 5));
    assert_eq!(parse_version("git version 2.47.0.windows.1"), version(2, 47, 0));
    assert_eq!(parse_version("git version 3.0-rc1"), version(3, 0, 0));
    assert_eq!(parse_version("git"), None);
}

#[test]
fn ssh_is_put_in_batch_mode_and_other_programs_are_left_alone() {
    let batch = " -o BatchMode=yes -o ConnectTimeout=10";
    assert_eq!(batch_ssh(None, None), Some(format!("ssh{batch}")));
    assert_eq!(
        batch_ssh(Some("/usr/bin/ssh -i key"), None),
        Some(format!("/usr/bin/ssh -i key{batch}"))
    );
    assert_eq!(batch_ssh(Some("plink -batch"), None), None);
    assert_eq!(batch_ssh(None, Some("/opt/wrapper")), None);
}

#[test]
fn the_telling_line_of_a_clone_within_git_is_why_it_failed() {
    let of = |stderr: &str| telling_line(stderr.as_bytes(), ExitStatus::from_raw(0));
    let said = of(
        "Cloning into '/w/lib'...\nfatal: unable to access 'https://e/l/': Could not resolve host: e\n\
         fatal: clone of 'https://e/l' into submodule path '/w/lib' failed\n\
         Failed to clone 'lib' a second time, aborting\n",
    );
    assert_eq!(said, "unable to access 'https://e/l/': Could not resolve host: e");
    let said = of(
        "fatal: '/gone/up' does not appear to be a git repository\nfatal: Could not read from remote repository.\n\n\
         Please make sure you have the correct access rights\nand the repository exists.\n\
         fatal: could not fetch 45b983 from promisor remote\n",
    );
    assert_eq!(
        said,
        "could not fetch 45b983 from promisor remote ('/gone/up' does not appear to be a git repository)"
    );
}
