use super::*;

#[test]
fn a_failed_job_names_the_commands_that_tell_more() {
    let ask = "`samocode why jwt-login` and `samocode logs jwt-login` say why".to_owned();
    let unit = "samocode@jwt-login.service".to_owned();
    let error = Error::Job { verb: Verb::Start, unit, result: JobResult::Failed, ask };
    let told = error.to_string();
    assert!(told.starts_with("start of samocode@jwt-login.service failed: "), "{told}");
    assert!(told.contains("`samocode why jwt-login`"), "{told}");
    let error = Error::NoManager { scope: Scope::User, why: "no bus".to_owned() };
    assert!(error.to_string().contains("`samocode run SESSION`"));
}
