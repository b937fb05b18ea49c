//! What follows the end of a run: its outcome and cost are recorded, its signal is taken, and the rule
//! for its outcome applies.

use jiff::Timestamp;

use crate::agent::Outcome;
use crate::agent::cost::difference;
use crate::agent::price::Prices;
use crate::config::Dirs;
use crate::session::event;
use crate::session::journal::{Event, RunCost};
use crate::session::signal::SignalError;
use crate::session::store::StoreError;

use super::account::Account;
use super::iterate::Plan;
use super::last_words::{denials, explained};
use super::rules::{self, Rule};
use super::under_way::Ended;
use super::{Trouble, Worker, notices};

impl Worker<'_> {
    /// Records the end of a run, then applies the rule for its outcome and handles its signal.
    pub(super) async fn conclude(
        &mut self,
        plan: &Plan,
        ended: Ended,
        account: Option<&Account>,
    ) -> Result<(), Trouble> {
        self.writer.set_aside()?;
        let signal = self.writer.folder.read_signal(&plan.run);
        self.writer.take_overview_back()?;
        let rule = self.rule(&ended.outcome, account)?;
        let detail = self.detail(&ended, &rule, signal.as_ref().err());
        let has_signal = signal.is_ok();
        // A run that the worker interrupted had no time for a handoff; it is asked again when
        // resumed.
        let hands_over = rule == Rule::HandOver || (ended.handoff_asked && rule != Rule::GoOn);
        // An agent gets one chance per iteration to supply a missing signal, if it can be asked at
        // all.
        let was_asked =
            self.writer.state().iteration.as_ref().is_some_and(|iteration| iteration.was_asked);
        let may_ask = !was_asked && plan.resumes;
        let failure = rule == Rule::Fail || (rule == Rule::TakeSignal && !may_ask);
        let run_ended = Event::RunEnded(event::RunEnded {
            run: plan.run.clone(),
            outcome: rules::word(&ended.outcome),
            detail,
            failure: !has_signal && !hands_over && failure,
            endless: !has_signal && rules::is_endless(&ended.outcome),
            resumable: plan.resumes && rules::resumable(&ended.outcome, plan.resume),
            context_window: ended.told.finished.as_ref().and_then(|end| end.context_window),
            cost: self.cost(plan, &ended),
        });
        let problem = match signal {
            Ok(signal) => return self.take_signal(&plan.run, Some(run_ended), signal).await,
            Err(problem) => problem,
        };
        // A single write: the consequences of a run must survive a worker that dies here.
        let mut events = vec![run_ended];
        events.extend(self.head_moved().await);
        if hands_over {
            let mut state = ended.seen.handoff();
            self.redactor.redact_value(&mut state);
            events.push(Event::HandoffMade(event::HandoffMade { run: plan.run.clone(), state }));
        }
        let mut delays = false;
        match rule {
            // The cause that ended this run would end the next one too.
            Rule::Pause(event) => events.push(*event),
            _ if hands_over => {}
            Rule::TakeSignal if may_ask => {
                let problem = self.redactor.redact(&problem.to_string()).into_owned();
                events.push(Event::SignalAsked(event::SignalAsked {
                    run: plan.run.clone(),
                    problem,
                }));
            }
            Rule::TakeSignal | Rule::Fail => delays = true,
            Rule::GoOn | Rule::HandOver => {}
        }
        self.writer.record_all(events)?;
        if delays && !self.signals.end {
            self.notify.status(&notices::status_line(self.writer.state(), Some("retrying"), None));
            self.pause(self.setup.settings.retry_delay).await;
        }
        Ok(())
    }

    /// The rule for an outcome. What it says about the account is shared with other sessions.
    fn rule(&self, outcome: &Outcome, account: Option<&Account>) -> Result<Rule, StoreError> {
        let state = self.writer.state();
        let iteration = state.iteration.as_ref();
        let attempt = iteration.map_or(1, |iteration| iteration.attempt);
        let refusals = iteration.map_or(0, |iteration| iteration.refusals.count);
        let mut rule = rules::rule(outcome, attempt, refusals, Timestamp::now());
        if let Some(account) = account {
            share(account, outcome, state.open_run().map(|run| run.since), &mut rule)?;
        }
        if let Rule::Pause(event) = &mut rule
            && let Event::Paused(event::Paused { detail, .. }) = event.as_mut()
        {
            *detail = self.redactor.redact(detail).into_owned();
        }
        Ok(rule)
    }

    /// What there is to say about a run's end. The agent's last output may quote secrets from its
    /// input.
    fn detail(
        &self,
        ended: &Ended,
        rule: &Rule,
        no_signal: Option<&SignalError>,
    ) -> Option<String> {
        let detail = ended.why.clone().or_else(|| rules::detail(&ended.outcome));
        let detail = detail.map(|detail| match denials(&ended.told) {
            Some(denials) if *rule == Rule::Fail => format!("{detail}; {denials}"),
            _ => detail,
        });
        let detail = detail.or_else(|| {
            let problem = no_signal.filter(|_| *rule == Rule::TakeSignal)?.to_string();
            Some(explained(&problem, &ended.told, ended.seen.words()))
        });
        let detail = detail.or_else(|| ended.log_error.clone());
        detail.map(|text| self.redactor.redact(&text).into_owned())
    }

    /// The prices to estimate costs by: the user's, and the built-in ones.
    fn prices(&self) -> Prices {
        let own = Dirs::user(&self.setup.env).ok().map(|dirs| dirs.prices_file());
        let (prices, problems) = Prices::load(own.as_deref());
        for problem in problems {
            tracing::warn!("{problem}");
        }
        prices
    }

    fn cost(&self, plan: &Plan, ended: &Ended) -> RunCost {
        let finished = ended.told.finished.as_ref();
        let reported = finished.and_then(|finished| finished.cost);
        let conversation = self.writer.state().conversation();
        let before = conversation.and_then(|known| known.usd);
        let counted = finished.and_then(|finished| finished.conversation_usage);
        let conversation_tokens = counted.or(ended.records.conversation_usage);
        let tokens = conversation_tokens.map_or_else(
            || ended.told.usage(),
            |total| total.since(conversation.and_then(|known| known.tokens).unwrap_or_default()),
        );
        let reported_usd = reported.map(|cost| difference(before, cost));
        let model = Some(&ended.told.model).filter(|model| !model.is_empty());
        let estimate = || self.prices().estimate(model.or(ended.records.model.as_ref())?, tokens);
        // An agent that reports the cost includes what a run before spent.
        let estimated = (!plan.reports_cost && reported_usd.is_none()).then(estimate).flatten();
        RunCost {
            usd: reported_usd.or(estimated),
            conversation_usd: reported.map(|cost| cost.total),
            estimated: estimated.is_some(),
            tokens,
            conversation_tokens,
            cpu_ms: ended.counted.cpu.map(|cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX)),
            peak_memory: ended.counted.peak_memory,
            leftovers: Some(ended.counted.leftovers).filter(|left| *left > 0),
        }
    }
}

/// Shares what a run's end says about the account with the account's other sessions.
fn share(
    account: &Account,
    outcome: &Outcome,
    since: Option<Timestamp>,
    rule: &mut Rule,
) -> Result<(), StoreError> {
    match (outcome, rule) {
        (Outcome::Finished, _) => {
            let now = Timestamp::now();
            account.went_well(since.unwrap_or(now), now)
        }
        (Outcome::Limit { .. }, Rule::Pause(event)) => match event.as_ref() {
            Event::Limited(event::Limited { until, what }) => {
                account.limited(*until, what.clone(), Timestamp::now())
            }
            _ => Ok(()),
        },
        (Outcome::Auth { what }, Rule::Pause(event)) => {
            let first = account.refused(what, Timestamp::now())?;
            if let Event::Paused(event::Paused { quiet, .. }) = event.as_mut() {
                *quiet = !first;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
