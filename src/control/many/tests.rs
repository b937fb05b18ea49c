use std::path::Path;

use super::*;
use crate::control::Class;
use crate::control::context::Warnings;
use crate::control::host::tests::caller;
use crate::service::quiet;
use crate::session::store::Folder;

/// The sessions that would be acted on, in the order of their names.
fn chosen(root: &Path, sessions: Chosen, action: &Action) -> Result<String> {
    let caller = &caller(root);
    let on = Operation { caller, warnings: Warnings::default(), progress: &quiet };
    let mut names = Many { sessions, action: action.clone() }.chosen(&on)?;
    names.sort_unstable();
    Ok(names.join(" "))
}

fn session(root: &Path, name: &str, state: &str) {
    let folder = root.join("sessions").join(format!("26-11-20-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let hook = format!(
        r#"{{"task_id":"{name}","phase":"testing","iteration":1,"total_iterations":1,"state":"{state}",
        "since":"2026-11-20T10:00:00Z","seq":1,"cost_usd":0.0,"tokens":{{"input":0,"output":0}}}}"#
    );
    std::fs::write(Folder::new(&folder).hook(), hook).unwrap();
}

fn named(names: &[&str]) -> Chosen {
    Chosen::Named(names.iter().map(|&name| name.to_owned()).collect())
}

fn enable() -> Action {
    Action::Enable {
        work: Box::default(),
        set: Overrides::default(),
        import_env: false,
        run_as: None,
    }
}

#[test]
fn all_are_those_for_which_the_action_does_something() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    caller(root);
    for state in ["running", "waiting", "blocked", "done", "stopped", "queued", "limited", "failed"]
    {
        session(root, state, state);
    }
    for (action, expected) in [
        (Action::Start, "blocked failed limited stopped"),
        (Action::Stop { now: true }, "blocked failed limited queued running waiting"),
        (Action::Disable, "blocked done failed limited queued running stopped waiting"),
        (enable(), "blocked failed limited queued running stopped waiting"),
        // No worker holds a lock here.
        (Action::Restart, ""),
        (Action::Reload { timeout_s: 1 }, ""),
    ] {
        assert_eq!(chosen(root, Chosen::All, &action).unwrap(), expected, "{action:?}");
    }
}

#[test]
fn a_mistyped_name_is_reported_before_anything_happens_and_a_name_twice_acts_once() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    caller(root);
    session(root, "jwt", "stopped");
    for action in [Action::Start, Action::Restart, Action::Stop { now: false }, Action::Disable] {
        let error = chosen(root, named(&["jwt", "jtw"]), &action).unwrap_err();
        assert_eq!(error.class, Class::NotFound, "{action:?}");
        assert_eq!(error.hint.as_deref(), Some("did you mean 'jwt'?"));
        assert_eq!(chosen(root, named(&["jwt", "jwt"]), &action).unwrap(), "jwt");
    }
    // It may be new.
    assert_eq!(chosen(root, named(&["jwt", "jtw"]), &enable()).unwrap(), "jtw jwt");
    assert_eq!(chosen(root, named(&[]), &Action::Start).unwrap_err().class, Class::Usage);
}
