//! Merging a convoy that is complete.

use crate::control::context::Context;
use crate::control::merge::{End, Landed, Merge, Merged, Part};
use crate::control::operation::{Operation, Perform as _};

use super::plan::Plan;

/// Merges the branches of all members, and says in a sentence what became of it.
pub(super) async fn merge(on: &Operation<'_>, context: &Context, plan: &Plan) -> String {
    let call = Merge {
        sessions: plan.order().into_iter().map(str::to_owned).collect(),
        into: plan.into.clone(),
        ..Merge::default()
    };
    let caller = crate::control::Caller {
        config: Some(context.project.config.clone()),
        ..on.caller.clone()
    };
    let on = Operation { caller: &caller, warnings: on.warnings.clone(), progress: on.progress };
    let id = &plan.id;
    match call.perform(&on).await {
        Ok(merged) => in_words(id, &merged),
        Err(error) => format!(
            "convoy {id} was not merged: {}; then merge it with: samocode merge {id}",
            error.in_one_line()
        ),
    }
}

fn in_words(id: &str, merged: &Merged) -> String {
    let count = merged.members.iter().filter(|part| part.end == Some(End::Merged)).count();
    let sessions = if count == 1 { "1 session" } else { &format!("{count} sessions") };
    let into = &merged.into;
    let is_in = |part: &Part| part.end == Some(End::Contained);
    if !merged.members.is_empty() && merged.members.iter().all(is_in) {
        return format!("convoy {id} is merged already: {into} has all its work");
    }
    let mut text = match &merged.landed {
        Landed::Moved { .. } => format!("convoy {id} is merged: {into} has {sessions}"),
        Landed::Beside { branch, command, .. } => format!(
            "convoy {id} is merged: {branch} has {sessions}; {into} is checked out; get the result with: {command}"
        ),
        Landed::Nothing | Landed::Predicted | Landed::Unpredictable => {
            format!("nothing of convoy {id} could be merged: {into} is unchanged")
        }
    };
    match &merged.tested {
        Some(command) => text += &format!("; tested with: {command}"),
        None => text += "; not tested: SAMOCODE_TEST_COMMAND is not set",
    }
    for part in &merged.members {
        let Some(end) = part.end.as_ref().filter(|end| end.is_left_out()) else { continue };
        text += &format!("; {} was left out: {}", part.session, end.why());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_human_hears_where_the_result_is_and_who_was_left_out() {
        let part = |session: &str, end: End| Part {
            session: session.into(),
            instance: session.into(),
            branch: session.into(),
            commits: 1,
            end: Some(end),
        };
        let red = End::Red { with: vec!["schema".into()], output: "1 failed".into() };
        let merged = Merged {
            into: "main".into(),
            base: "0".repeat(40),
            members: vec![part("schema", End::Merged), part("server", red)],
            landed: Landed::Moved { commit: "1".repeat(40) },
            tested: Some("make test".into()),
            resolving: Vec::new(),
            log: None,
        };
        assert_eq!(
            in_words("login", &merged),
            "convoy login is merged: main has 1 session; tested with: make test; \
             server was left out: the tests fail with it and schema together"
        );
        let known = vec![part("schema", End::Contained), part("server", End::Contained)];
        let already = Merged { landed: Landed::Nothing, members: known, ..merged.clone() };
        assert_eq!(
            in_words("login", &already),
            "convoy login is merged already: main has all its work"
        );
        let nothing =
            Merged { landed: Landed::Nothing, tested: None, members: Vec::new(), ..merged };
        assert_eq!(
            in_words("login", &nothing),
            "nothing of convoy login could be merged: main is unchanged; \
             not tested: SAMOCODE_TEST_COMMAND is not set"
        );
    }
}
