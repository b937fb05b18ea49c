//! What a project's command can do in its cage: the kernel's own answer.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::platform::shell::{Ended, Shell};

async fn run(keys: &Confine, root: &Path, command: &str) -> Ended {
    let work = root.join("work");
    let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let caged = Caged::command(keys, &root.join("home"), (&work, None), None, env).unwrap();
    // Whatever else has this run's ID on the machine is ended with it.
    let run = format!("caged-command-{}", std::process::id());
    let shell = Shell {
        command,
        folder: &work,
        env: caged.env.clone(),
        run: &run,
        log: &root.join("log"),
        limit: Duration::from_secs(60),
        cage: caged.cage,
        filter: None,
    };
    shell.run(None).await.unwrap()
}

#[tokio::test]
async fn a_projects_command_works_in_its_folder_and_reaches_nothing_else() {
    let keys = Confine { level: Level::Standard, demanded: true, ..Confine::default() };
    if let Some(why) = confine::obstacle(&keys, &confine::support(keys.level)) {
        return crate::skipped(&why);
    }
    let root = tempfile::tempdir().unwrap();
    let (work, secret) = (root.path().join("work"), root.path().join("secret"));
    std::fs::create_dir(&work).unwrap();
    std::fs::write(&secret, "s").unwrap();
    let works =
        "touch made \"$TMPDIR/x\" \"$XDG_CACHE_HOME/x\" && test \"$SAMOCODE_CONFINED\" = standard";
    assert_eq!(run(&keys, root.path(), works).await, Ended::Well);
    assert!(work.join("made").exists());
    let held = "! cat ../secret && ! touch ../made && ! touch /tmp/made-by-a-caged-command";
    assert_eq!(run(&keys, root.path(), held).await, Ended::Well);
    let opened = Confine { read: vec![secret], ..keys.clone() };
    assert_eq!(run(&opened, root.path(), "cat ../secret").await, Ended::Well);
    let off = Confine { level: Level::Off, ..keys };
    assert_eq!(run(&off, root.path(), "touch ../made").await, Ended::Well);
}

#[test]
fn a_projects_settings_are_held_from_an_agent_that_works_in_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join(".samocode");
    std::fs::create_dir(root.path().join("repo")).unwrap();
    std::fs::write(&config, "MAIN_REPO=.\nWORKTREES=w\nSESSIONS=s\n").unwrap();
    let project = Project::read(&config, None).unwrap();
    assert!(settings_in(&project, &root.path().join("repo")).is_empty());
    let held = settings_in(&project, root.path());
    assert_eq!(held, [config, root.path().join(PROJECT_FOLDER)]);
    assert!(held.iter().all(|path| path.exists()));
}
