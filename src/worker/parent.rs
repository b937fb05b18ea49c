//! Reports to the session that began this one: by mail, each time this one comes to rest. The mail
//! wakes the parent, which needs no process of its own to watch.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::service::{self, Action, Token};
use crate::session::Hint as _;
use crate::session::WaitsFor;
use crate::session::mail::{Kind, Message};
use crate::session::state::{Standing, State};
use crate::session::store::{Folder, Vouchers, read_journal};

use super::Worker;

impl Worker<'_> {
    /// Tells the parent that this session needs something, or is done. Each rest is reported once, also
    /// by a worker that repeats it after its predecessor was killed.
    pub(super) fn report_to_parent(&self) {
        let state = self.writer.state();
        let instance = &self.setup.instance;
        let opens_gates = self.above_opens_gates();
        let report = report(state, instance, opens_gates);
        let (Some(parent), Some(body)) = (&state.parent, report) else { return };
        let body = self.redactor.redact(&body).into_owned();
        if let Err(error) = self.send_to(parent, body) {
            tracing::warn!("could not send mail to {parent}, the parent of this session: {error}");
        }
    }

    /// Whether the human lets the parent open this session's gates.
    pub(super) fn above_opens_gates(&self) -> bool {
        let folder = self.writer.state().parent.as_ref().and_then(|parent| self.folder_of(parent));
        let read = folder.map(|folder| read_journal(&folder, |_| {}));
        let is_there = |state: &State| {
            !state.stopped && !matches!(state.standing, Standing::Done | Standing::GaveUp)
        };
        matches!(read, Some(Ok((state, _))) if state.opens_gates && is_there(&state))
    }

    fn send_to(&self, parent: &str, body: String) -> Result<(), String> {
        let folder = self.folder_of(parent).ok_or("it no longer exists")?;
        let state = self.writer.state();
        let message =
            Message::new(&self.setup.instance, parent, Timestamp::now(), Kind::Text, body)
                .map_err(|error| error.to_string())?;
        let message = Message { id: id_of(&self.setup.instance, state.since), ..message };
        if !folder.was_read(&message.id) && !folder.is_unread(&message.id) {
            let vouchers = Vouchers::of(&self.setup.state_dir, parent);
            vouchers.vouch(&message, "its worker").map_err(|error| error.to_string())?;
            folder.deliver(&message).map_err(|error| error.to_string())?;
        }
        if let Some(spool) = &self.setup.spool
            && let Some(token) = Token::new(Action::Start, parent)
        {
            spool.leave(&token).map_err(|error| error.in_one_line())?;
        }
        Ok(())
    }

    fn folder_of(&self, instance: &str) -> Option<Folder> {
        let recorded = service::recorded(self.setup.scope, instance).ok().flatten();
        let path: PathBuf = recorded?.folder;
        path.is_dir().then(|| Folder::new(path))
    }
}

/// The mail to the parent; `None` if the session continues by itself.
fn report(state: &State, instance: &str, opens_gates: bool) -> Option<String> {
    let with = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
    if state.stopped {
        return None;
    }
    Some(match &state.standing {
        // What it waits for comes from those below it.
        Standing::Waiting { waits_for: WaitsFor::Workers, .. } => return None,
        Standing::Waiting { waits_for, reason } => {
            let reason = with(reason.as_deref().unwrap_or_default());
            let command = waits_for.answer_command(instance);
            let is_gate = matches!(waits_for, WaitsFor::QaAnswers | WaitsFor::PlanApproval);
            let then = match is_gate && !opens_gates {
                true => format!(
                    "Its gates are the human's, who has been notified. Send it what you know: samocode send {instance} \"…\""
                ),
                false => format!("It resumes after: {command}"),
            };
            format!("{instance} is waiting for {waits_for}{reason}\n\n{then}")
        }
        Standing::Blocked { reason, .. } => format!(
            "{instance} is blocked{}\n\nTell it what to do: samocode send {instance} \"…\"",
            with(reason)
        ),
        Standing::Done => {
            let summary = state.last_signal.as_ref().and_then(|last| last.line.summary.as_deref());
            let branch =
                state.branch().map_or_else(String::new, |name| format!(" on branch {name}"));
            format!("{instance} is done{branch}{}", with(summary.unwrap_or_default()))
        }
        Standing::GaveUp => format!("{instance} has failed: samocode why {instance}"),
        _ => return None,
    })
}

/// The id of the report about a rest that began then.
fn id_of(instance: &str, since: Timestamp) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = instance.chars().map(plain).take(40).collect();
    format!("rest-{}-{name}", since.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Needs;

    fn report_of(standing: Standing) -> Option<String> {
        report(&State { standing, ..State::default() }, "jwt", true)
    }

    #[test]
    fn a_parent_hears_what_its_worker_needs_and_when_it_is_done_and_nothing_else() {
        let waiting = Standing::Waiting {
            waits_for: WaitsFor::QaAnswers,
            reason: Some("two questions".into()),
        };
        let mail = report_of(waiting).unwrap();
        assert!(mail.starts_with("jwt is waiting for answers: two questions\n"), "{mail}");
        assert!(mail.ends_with("samocode answer jwt"), "{mail}");
        let blocked = Standing::Blocked { reason: "no port".into(), needs: Needs::Investigation };
        assert!(report_of(blocked.clone()).unwrap().starts_with("jwt is blocked: no port\n"));
        assert_eq!(report_of(Standing::Done).unwrap(), "jwt is done");
        assert!(report_of(Standing::GaveUp).unwrap().contains("samocode why jwt"));
        assert_eq!((report_of(Standing::Running), report_of(Standing::Queued)), (None, None));
        let stopped = State { stopped: true, standing: blocked, ..State::default() };
        assert_eq!(report(&stopped, "jwt", true), None, "a human knows");
        let waiting = |waits_for| State {
            standing: Standing::Waiting { waits_for, reason: None },
            ..State::default()
        };
        let said = report(&waiting(WaitsFor::PlanApproval), "jwt", false).unwrap();
        assert!(said.contains("Its gates are the human's") && !said.contains("approve"), "{said}");
        assert_eq!(report(&waiting(WaitsFor::Workers), "jwt", true), None);
    }

    #[test]
    fn each_rest_has_an_id_of_its_own_that_is_a_file_name() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let long = format!("{}--shop.2", "x".repeat(64));
        for instance in ["jwt", "a.b--shop", &long] {
            let id = id_of(instance, at(1_800_000_000));
            assert!(id.len() <= 64 && !id.contains(['.', '/']), "{id}");
            assert_eq!(id, id_of(instance, at(1_800_000_000)));
            assert_ne!(id, id_of(instance, at(1_800_000_001)));
        }
    }
}
