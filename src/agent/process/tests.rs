use super::*;
use std::io::{Seek, Write};

fn start<'a>(program: &'a str, args: &'a [OsString], environment: &'a Environment) -> Start<'a> {
    Start {
        program: Path::new(program),
        args,
        environment,
        working_dir: Path::new("/"),
        cgroup: None,
        cage: None,
        input: Stdin::Nothing,
    }
}

fn file(mode: u32, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    crate::write_program(&path, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn error(start: Start<'_>) -> StartError {
    match start.start() {
        Ok(process) => panic!("{process:?} was started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn every_reason_not_to_start_is_told_apart() {
    let none = Environment::new();
    let paths: Environment = vec![("PATH".into(), "/nowhere".into())];
    assert!(matches!(error(start("no-such-agent", &[], &paths)), StartError::NotOnPath { .. }));
    assert!(matches!(error(start("/no/such/agent", &[], &none)), StartError::NotFound(_)));
    let (_folder, plain) = file(0o644, "");
    assert!(matches!(error(start(&plain, &[], &none)), StartError::NotExecutable(_)));
    let (_folder, text) = file(0o755, "hello");
    assert!(matches!(error(start(&text, &[], &none)), StartError::NotAProgram(_)));
    let (_folder, orphan) = file(0o755, "#!/no/such/interpreter\n");
    assert!(matches!(error(start(&orphan, &[], &none)), StartError::NoInterpreter(_)));
    let long = [OsString::from("x".repeat(MAX_ARGUMENT))];
    assert!(matches!(error(start("/bin/true", &long, &none)), StartError::TooLong(_)));
    let many: Vec<_> = (0..200).map(|_| OsString::from("x".repeat(100_000))).collect();
    assert!(matches!(error(start("/bin/true", &many, &none)), StartError::TooLong(_)));
    let nul = [OsString::from("a\0b")];
    assert!(matches!(error(start("/bin/true", &nul, &none)), StartError::Nul(_)));
    let elsewhere = Path::new("/no/such/folder");
    let lost = Start { working_dir: elsewhere, ..start("/bin/true", &[], &none) };
    assert!(matches!(error(lost), StartError::NoFolder { .. }));
}

async fn output(start: Start<'_>) -> String {
    let mut process = start.start().unwrap();
    process.child.wait().await.unwrap();
    let mut text = String::new();
    File::from(process.stdout).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn it_gets_its_environment_its_folder_its_group_and_no_file_of_ours() {
    let held = tempfile::NamedTempFile::new().unwrap();
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    let environment: Environment =
        vec![("PATH".into(), "/usr/bin:/bin".into()), ("ONLY".into(), "this".into())];
    // PWD, SHLVL and _ are the shell's own.
    let script = "echo $(env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort); pwd; echo $$; cut -d' ' -f5 /proc/$$/stat; readlink /proc/$$/fd/*";
    let args = ["-c".into(), script.into()];
    let text = output(start("sh", &args, &environment)).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "ONLY=this PATH=/usr/bin:/bin");
    assert_eq!(lines[1], "/");
    assert_eq!(lines[2], lines[3], "leads its process group");
    let held = held.path().to_str().unwrap();
    assert!(lines.contains(&"/dev/null") && !lines.contains(&held), "{lines:?}");
}

#[tokio::test]
async fn signals_the_worker_blocks_or_ignores_are_not_blocked_in_the_agent() {
    let none = Environment::new();
    let args = ["-c".into(), "grep -e SigBlk -e SigIgn /proc/self/status".into()];
    let started = child::with_blocked_hangup(|| start("/bin/sh", &args, &none).start());
    let mut process = started.unwrap();
    process.child.wait().await.unwrap();
    let mut text = String::new();
    File::from(process.stdout).read_to_string(&mut text).unwrap();
    let masks: Vec<_> = text.lines().filter_map(|line| line.split_once(":\t")).collect();
    assert_eq!(masks.len(), 2);
    for (name, mask) in masks {
        // Bit n - 1 stands for signal n; the first 31 are the ones a program may know.
        let mask = u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff;
        assert_eq!(mask, 0, "{name} {text}");
    }
}

#[tokio::test]
async fn it_writes_its_id_into_the_cgroup_before_it_begins() {
    let none = Environment::new();
    let mut procs = tempfile::tempfile().unwrap();
    let cgroup = Some(procs.try_clone().unwrap());
    assert_eq!(output(Start { cgroup, ..start("/bin/true", &[], &none) }).await, "");
    let mut written = String::new();
    procs.rewind().unwrap();
    procs.read_to_string(&mut written).unwrap();
    assert_eq!(written, "0");
    let closed = Some(File::open("/dev/null").unwrap());
    let refused = error(Start { cgroup: closed, ..start("/bin/true", &[], &none) });
    assert!(matches!(refused, StartError::Cgroup(_)), "{refused}");
}

#[tokio::test]
async fn input_is_a_pipe_or_nothing() {
    let none = Environment::new();
    assert_eq!(output(start("/bin/cat", &[], &none)).await, "");
    let mut process =
        Start { input: Stdin::Pipe, ..start("/bin/cat", &[], &none) }.start().unwrap();
    let mut stdin = File::from(process.stdin.take().unwrap());
    stdin.write_all(b"hello").unwrap();
    drop(stdin);
    process.child.wait().await.unwrap();
    let mut text = String::new();
    File::from(process.stdout).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}
