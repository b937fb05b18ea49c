//! Budgets in US dollars and tokens, for a session and for a day across all sessions. They are
//! checked between iterations; the budget of a run is enforced by the agent and by
//! [`super::follow`].

use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::config::Dirs;
use crate::config::settings::Budget;
use crate::session::event;
use crate::session::journal::{Event, Usage};
use crate::session::state::{Costs, State};
use crate::session::store::StoreError;
use crate::session::{Cause, Certainty, clock, dollars};

use super::ledger::{Ledger, Line};
use super::{Trouble, Worker};

/// Percentage of a budget at which the human is warned.
const WARN_AT: f64 = 80.0;

/// Percentage of a budget that is used, of money or tokens, whichever is higher.
fn share(budget: &Budget, usd: f64, tokens: u64) -> Option<f64> {
    let of = |used: f64, most: f64| if most > 0.0 { used / most * 100.0 } else { 100.0 };
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more precision")]
    let by_tokens = budget.tokens.map(|most| of(tokens as f64, most as f64));
    let by_usd = budget.usd.map(|most| of(usd, most));
    [by_usd, by_tokens].into_iter().flatten().reduce(f64::max)
}

fn in_words(budget: &Budget, usd: f64, tokens: u64, known: Certainty) -> String {
    let usd = budget.usd.map(|most| format!("{} of ${most:.2}", dollars(usd, known)));
    let tokens = budget.tokens.map(|most| format!("{tokens} of {most} tokens"));
    [usd, tokens].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How to raise a session's budget. Values recorded by `enable` override the project's file, so
/// editing that file might not help.
fn remedy(budget: &Budget, usd: f64, instance: &str) -> String {
    match budget.usd.filter(|most| usd >= *most) {
        Some(most) => {
            let more = (usd.max(most) * 2.0).ceil().max(1.0);
            format!("samocode enable {instance} --budget {more}, or SAMOCODE_BUDGET_USD for all")
        }
        None => format!(
            "SAMOCODE_BUDGET_TOKENS (samocode config {instance} shows where it is set), then: \
             samocode start {instance}"
        ),
    }
}

pub(super) const fn used(tokens: Usage) -> u64 {
    tokens.taken_in().saturating_add(tokens.output)
}

/// Why the session's own budget prevents another run, if it does; a human has to raise it. What the
/// sessions below it cost counts, too.
pub(super) fn session_is_spent(
    budget: &Budget,
    (usd, tokens): (f64, u64),
    known: Certainty,
    instance: &str,
) -> Option<String> {
    share(budget, usd, tokens).filter(|share| *share >= 100.0)?;
    let words = in_words(budget, usd, tokens, known);
    let remedy = remedy(budget, usd, instance);
    Some(format!("the session's budget is spent ({words}): raise it with {remedy}"))
}

/// Why the budget of a session above prevents another run, if it does.
pub(super) fn above_is_spent(
    budget: &Budget,
    (usd, tokens): (f64, u64),
    instance: &str,
) -> Option<String> {
    share(budget, usd, tokens).filter(|share| *share >= 100.0)?;
    let words = in_words(budget, usd, tokens, Certainty::default());
    let remedy = remedy(budget, usd, instance);
    Some(format!(
        "the budget of {instance}, which coordinates this session, is spent ({words}): raise it with {remedy}"
    ))
}

/// A pause until tomorrow if all sessions together have spent the day's budget.
pub(super) fn day_is_spent(
    budget: &Budget,
    (usd, tokens): (f64, u64),
    now: &Zoned,
) -> Option<Event> {
    share(budget, usd, tokens).filter(|share| *share >= 100.0)?;
    let words = in_words(budget, usd, tokens, Certainty::default());
    Some(Event::Paused(event::Paused {
        cause: Cause::Budget,
        detail: format!("the day's budget is spent ({words}); resumes tomorrow"),
        until: tomorrow(now),
        quiet: false,
    }))
}

impl Worker<'_> {
    /// What all sessions spent today, in US dollars and tokens; `None` if the day has no budget.
    pub(super) fn spent_today(&self, now: &Zoned) -> Result<Option<(f64, u64)>, StoreError> {
        if self.setup.settings.budgets.day == Budget::default() {
            return Ok(None);
        }
        self.ledger(now).sum().map(Some)
    }

    /// Adds the last run's cost to the day's ledger, and warns when 80 % of a budget is used, or when
    /// one in dollars begins to miss what an agent costs that does not report it.
    pub(super) fn account_for(&mut self, before: &Costs, reported: bool) -> Result<(), Trouble> {
        self.enter_in_ledger()?;
        let budgets = self.setup.settings.budgets;
        let costs = &self.writer.state().costs;
        let in_dollars =
            [budgets.session, budgets.run, budgets.day].iter().any(|b| b.usd.is_some());
        let is_unread = |costs: &Costs| costs.last.as_ref().is_some_and(|last| last.unread);
        let is_missed = match reported {
            true => is_unread(costs) && !is_unread(before),
            false => before.unpriced == 0 && costs.unpriced > 0,
        };
        if in_dollars && is_missed {
            let model = costs.last.as_ref().and_then(|last| last.model.clone());
            self.warn_of_price(model.as_deref())?;
        }
        let before = (before.usd, used(before.tokens));
        let state = self.writer.state();
        let now = (state.costs.usd, used(state.costs.tokens));
        self.warn("the session", &budgets.session, before, now)?;
        if budgets.day != Budget::default() {
            let (usd, tokens) = self.ledger(&clock::local_now()).sum()?;
            let run = (now.0 - before.0, now.1.saturating_sub(before.1));
            let before = (usd - run.0, tokens.saturating_sub(run.1));
            self.warn("the day", &budgets.day, before, (usd, tokens))?;
        }
        Ok(())
    }

    /// Adds the last run to the ledger, even without a daily budget: another project may have one,
    /// or this one may get one today. Also covers for a worker that died before it could.
    pub(super) fn enter_in_ledger(&mut self) -> Result<(), StoreError> {
        let Some(last) = &self.writer.state().costs.last else { return Ok(()) };
        let line = Line {
            run: last.run.clone(),
            session: self.setup.instance.clone(),
            usd: last.usd,
            tokens: used(last.tokens),
        };
        let written = self.ledger(&last.at.to_zoned(clock::local_zone())).add(&line)?;
        self.writer.sync_later(written);
        Ok(())
    }

    fn warn(
        &mut self,
        whose: &str,
        budget: &Budget,
        before: (f64, u64),
        now: (f64, u64),
    ) -> Result<(), Trouble> {
        let warned = |(usd, tokens)| share(budget, usd, tokens).is_some_and(|s| s >= WARN_AT);
        if warned(now) && !warned(before) {
            let known = self.writer.state().costs.certainty();
            let words = in_words(budget, now.0, now.1, known);
            self.say_of_budget(format!("80 % of {whose}'s budget is used: {words}"))?;
        }
        Ok(())
    }

    fn warn_of_price(&mut self, model: Option<&str>) -> Result<(), Trouble> {
        let tokens = "set SAMOCODE_BUDGET_TOKENS";
        let dirs = Dirs::user(&self.setup.env).ok();
        let file = dirs.map_or_else(String::new, |dirs| dirs.short(&dirs.prices_file()));
        self.say_of_budget(match model {
            Some(model) => format!(
                "budgets in dollars do not count the runs of {model}, which has no price: write one into {file}, or {tokens}"
            ),
            None => format!(
                "budgets in dollars do not count this agent's runs, whose model is unknown: {tokens}"
            ),
        })
    }

    fn say_of_budget(&mut self, text: String) -> Result<(), Trouble> {
        self.writer.record(Event::BudgetWarned(event::BudgetWarned { text: text.clone() }))?;
        self.tell_of_budget(&text);
        Ok(())
    }

    fn ledger(&self, at: &Zoned) -> Ledger {
        Ledger::of(&self.setup.state_dir, at.date())
    }

    /// Spending before a run, in US dollars and tokens, to detect a crossed threshold afterwards.
    pub(super) fn spent(&self) -> (f64, u64) {
        spent(self.writer.state())
    }
}

fn spent(state: &State) -> (f64, u64) {
    (state.costs.usd, used(state.costs.tokens))
}

fn tomorrow(now: &Zoned) -> Option<Timestamp> {
    let next = now.start_of_day().ok()?.checked_add(1.day()).ok()?;
    Some(next.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_near_the_end_of_their_type_do_not_overflow() {
        let most = Usage { input: u64::MAX, output: 7, cache_read: 1, cache_write: u64::MAX };
        assert_eq!(used(most), u64::MAX);
        let budget = Budget { usd: None, tokens: Some(1000) };
        assert!(share(&budget, 0.0, used(most)).is_some_and(|share| share > 100.0));
    }

    #[test]
    fn what_is_spent_is_marked_where_it_is_an_estimate() {
        let budget = Budget { usd: Some(1.0), tokens: None };
        let spent = |known| session_is_spent(&budget, (1.2, 0), known, "jwt").unwrap_or_default();
        assert!(spent(Certainty::default()).contains(" ($1.20 of $1.00)"));
        let known = Certainty { estimated: true, incomplete: true };
        assert!(spent(known).contains(" (~$1.20 + ? of $1.00)"));
    }

    #[test]
    fn the_share_is_of_money_or_of_tokens_whichever_is_more() {
        let budget = Budget { usd: Some(10.0), tokens: Some(1000) };
        assert_eq!(share(&budget, 5.0, 900), Some(90.0));
        assert_eq!(share(&budget, 9.5, 100), Some(95.0));
        assert_eq!(share(&Budget::default(), 9.5, 100), None);
        assert_eq!(share(&Budget { usd: Some(0.0), tokens: None }, 0.0, 0), Some(100.0));
    }

    #[test]
    fn the_remedy_is_for_the_budget_that_is_spent() {
        let budget = Budget { usd: Some(1.0), tokens: Some(1000) };
        assert_eq!(
            remedy(&budget, 1.35, "jwt"),
            "samocode enable jwt --budget 3, or SAMOCODE_BUDGET_USD for all"
        );
        assert!(
            remedy(&budget, 0.5, "jwt").starts_with("SAMOCODE_BUDGET_TOKENS (samocode config jwt ")
        );
    }
}
