//! Which instructions an agent gets.

use super::*;

/// The instructions of a session that sits at `place` below `/s`.
fn roles(place: &str, folders: &[PathBuf]) -> Roles {
    Roles::of(folders.to_vec(), &Folder::new(Path::new("/s").join(place)), Path::new("/s"))
}

fn system_prompt(phase: Phase, folders: &[PathBuf]) -> Result<String, RoleError> {
    roles("26-11-20-jwt", folders).parts(phase).map(|parts| joined(&parts))
}

#[test]
fn every_phase_has_workflow_and_role_without_front_matter() {
    for phase in Phase::ALL {
        let prompt = system_prompt(phase, &[]).unwrap();
        assert!(prompt.starts_with(without_front_matter(WORKFLOW)));
        assert!(prompt.trim_end().ends_with(without_front_matter(embedded(phase))));
        assert!(!prompt.contains("\n---\nname:"), "{phase}");
    }
}

#[test]
fn front_matter_is_left_out_and_a_rule_in_the_text_is_not() {
    assert_eq!(without_front_matter("\u{feff}---\r\nname: x\r\n---\r\n\r\nText\n"), "Text");
    assert_eq!(without_front_matter("Text\n---\nmore\n"), "Text\n---\nmore");
    assert_eq!(without_front_matter("---\nnever closed"), "---\nnever closed");
}

#[test]
fn the_projects_file_counts_before_the_users_and_both_before_ours() {
    let (project, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = folders(project.path(), Some(user.path()));
    let put = |folder: &Path, text: &str| {
        std::fs::create_dir_all(folder.join("agents")).unwrap();
        std::fs::write(folder.join("agents/testing-agent.md"), text).unwrap();
    };
    put(&folders[1], "user's");
    assert!(system_prompt(Phase::Testing, &folders).unwrap().ends_with("\n\nuser's\n"));
    put(&folders[0], "---\nname: x\n---\nproject's");
    assert!(system_prompt(Phase::Testing, &folders).unwrap().ends_with("\n\nproject's\n"));
    let role = folders[0].join("agents/testing-agent.md");
    assert_eq!(overrides(&folders), [("agents/testing-agent.md".to_owned(), role.clone())]);
    let parts = roles("26-11-20-jwt", &folders).parts(Phase::Testing).unwrap();
    let [workflow, testing] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!((&workflow.file, &testing.file), (&None, &Some(role)));
    let other = system_prompt(Phase::Quality, &folders).unwrap();
    assert!(other.contains(without_front_matter(embedded(Phase::Quality))));
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let project = tempfile::tempdir().unwrap();
    let folders = folders(project.path(), None);
    std::fs::create_dir_all(&folders[0]).unwrap();
    let file = folders[0].join("workflow.md");
    for (bytes, why) in [(&b"\xff"[..], "not UTF-8"), (b" \n", "empty"), (b"a\0", "NUL")] {
        std::fs::write(&file, bytes).unwrap();
        let told = system_prompt(Phase::Init, &folders).unwrap_err().to_string();
        assert!(told.contains(why) && told.contains("workflow.md"), "{told}");
    }
    std::fs::write(&file, "x".repeat(300_000)).unwrap();
    assert!(system_prompt(Phase::Init, &folders).is_err());
}

#[test]
fn a_role_comes_between_the_workflow_and_the_phase() {
    let project = tempfile::tempdir().unwrap();
    let folders = folders(project.path(), None);
    let names = |place: &str| {
        let parts = roles(place, &folders).parts(Phase::Planning).unwrap();
        parts.into_iter().map(|part| part.name).collect::<Vec<_>>()
    };
    let worker = ["workflow.md", "agents/implementation-worker.md", "agents/planning-agent.md"];
    assert_eq!(names("26-11-20-big/workers/impl-1"), worker);
    assert_eq!(names("26-11-20-big"), ["workflow.md", "agents/planning-agent.md"]);
    for (role, text) in ROLES {
        let text = without_front_matter(text);
        assert!(text.starts_with("# ") && text.lines().count() < 60, "{role}");
    }
    std::fs::create_dir_all(folders[0].join("agents")).unwrap();
    std::fs::write(folders[0].join("agents/implementation-worker.md"), "Ours.").unwrap();
    let parts = roles("26-11-20-big/workers/impl-1", &folders).parts(Phase::Planning).unwrap();
    assert_eq!(parts[1].text, "Ours.");

    let rules = folders[0].join(rules::FILE);
    std::fs::write(&rules, "[[role]]\nrole = \"reviewer\"\nfolder = \"review-*\"\n").unwrap();
    let error = roles("26-11-20-review-api", &folders).parts(Phase::Planning).unwrap_err();
    assert_eq!(error.file, rules);
    assert!(error.why.contains("agents/reviewer.md"), "{error}");
    std::fs::write(folders[0].join("agents/reviewer.md"), "Review.").unwrap();
    assert_eq!(names("26-11-20-review-api")[1], "agents/reviewer.md");
}
