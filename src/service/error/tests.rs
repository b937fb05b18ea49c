use super::*;

#[test]
fn a_failed_job_names_the_commands_that_tell_more() {
    let ask = "to find out why: samocode why jwt-login; samocode logs jwt-login".to_owned();
    let unit = "samocode@jwt-login.service".to_owned();
    let error = Error::Job { verb: Verb::Start, unit, result: JobResult::Failed, ask };
    let message = error.in_one_line();
    assert!(message.starts_with("start of samocode@jwt-login.service failed: "), "{message}");
    assert!(message.contains("samocode why jwt-login"), "{message}");
    let error = Error::NoManager { scope: Scope::User, why: "no bus".to_owned() };
    assert!(error.in_one_line().contains("`samocode run SESSION`"));
    let as_root = without_manager(Scope::User, true);
    assert!(as_root.contains("--system") && as_root.contains("--run-as USER"));
    let as_user = without_manager(Scope::User, false);
    assert!(as_user.contains("su and sudo start none"), "{as_user}");
    let system = without_manager(Scope::System, false);
    assert_eq!(system, "use `samocode run SESSION`, which needs none");
}
