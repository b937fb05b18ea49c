//! How much of their input a session's runs read from the prompt cache. The share falls when the
//! beginning of the prompt no longer stays the same: instructions, tools or the model changed.

use super::cost::Usage;
use super::event::Event;

/// Runs with fewer tokens of input say nothing: there is little to keep in a cache.
const LEAST: u64 = 20_000;

/// How many runs in a row must be below the ones before them. One alone may follow a long pause,
/// after which the cache is empty.
const LAST: usize = 2;

/// How many runs before them are compared.
const BEFORE: usize = 8;

/// By how many percentage points the share must have fallen.
const FALL: u8 = 25;

/// The runs of a session whose share of cached input is known, per agent.
#[derive(Debug, Default)]
pub struct CachedShares {
    /// The agent of the run that was started last.
    agent: String,
    /// Agent and tokens of each run, in their order.
    runs: Vec<(String, Usage)>,
}

/// A share that has fallen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fall {
    /// The agent whose runs these are.
    pub agent: String,
    /// The share before, in percent.
    pub before: u8,
    /// The share of the last runs, in percent.
    pub after: u8,
}

impl CachedShares {
    /// Takes the next event of the journal.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted(started) => {
                self.agent = started.command.as_ref().unwrap_or(&started.agent).clone();
            }
            Event::RunEnded(ended) if ended.cost.tokens.taken_in() >= LEAST => {
                self.runs.push((self.agent.clone(), ended.cost.tokens));
            }
            _ => {}
        }
    }

    /// How far the share of the last agent's last runs is below that of its runs before, if it is.
    #[must_use]
    pub fn fall(&self) -> Option<Fall> {
        let (agent, _) = self.runs.last()?;
        let own = self.runs.iter().filter(|(by, _)| by == agent).map(|(_, usage)| *usage);
        let own: Vec<Usage> = own.collect();
        let (before, last) = own.split_at_checked(own.len().checked_sub(LAST)?)?;
        if before.len() < LAST {
            return None;
        }
        let before = share(before.get(before.len().saturating_sub(BEFORE)..)?)?;
        let each = last.iter().map(|usage| usage.cached_percent());
        let worst = each.collect::<Option<Vec<u8>>>()?.into_iter().max()?;
        let after = share(last)?;
        (before.saturating_sub(worst) >= FALL).then(|| Fall { agent: agent.clone(), before, after })
    }
}

impl Fall {
    /// The fall in a sentence, and what may be the cause.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { agent, before, after } = self;
        format!(
            "{agent} read {after} % of its input from the cache in its last {LAST} runs, {before} % \
             before: something at the beginning of its prompt changes from run to run, such as the \
             instructions, the tools or the model"
        )
    }
}

/// The share of all these runs together.
fn share(runs: &[Usage]) -> Option<u8> {
    runs.iter().fold(Usage::default(), |sum, usage| sum.plus(*usage)).cached_percent()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(runs: &[(&str, u64)]) -> CachedShares {
        let usage = |percent| Usage {
            input: 1000 * (100 - percent),
            cache_read: 1000 * percent,
            ..Usage::default()
        };
        let runs = runs.iter().map(|(agent, percent)| ((*agent).to_owned(), usage(*percent)));
        CachedShares { agent: String::new(), runs: runs.collect() }
    }

    #[test]
    fn a_share_that_fell_and_stays_low_is_found() {
        let claude = |percents: &[u64]| {
            shares(&percents.iter().map(|percent| ("claude", *percent)).collect::<Vec<_>>())
        };
        let fall = claude(&[90, 94, 30, 20]).fall().unwrap();
        assert_eq!((fall.before, fall.after), (92, 25));
        let said = fall.describe();
        assert!(said.starts_with("claude read 25 % of its input from the cache"), "{said}");
        assert!(said.contains("92 % before: something at the beginning"), "{said}");
        for fine in [
            &[90, 94, 93, 20][..],
            &[90, 94, 20, 93],
            &[90, 94, 70, 75],
            &[10, 12, 5, 0],
            &[30, 20],
            &[90, 30, 20],
            &[],
            &[50],
        ] {
            assert_eq!(claude(fine).fall(), None, "{fine:?}");
        }
    }

    #[test]
    fn agents_are_not_compared_with_each_other() {
        let mixed = [("claude", 90), ("claude", 91), ("codex", 10), ("codex", 12)];
        assert_eq!(shares(&mixed).fall(), None);
        let back = [("claude", 90), ("claude", 91), ("codex", 10), ("claude", 9), ("claude", 8)];
        assert_eq!(shares(&back).fall().map(|fall| fall.before), Some(91));
    }

    #[test]
    fn runs_are_read_from_the_journal_and_small_ones_left_out() {
        let entry = |json: &str| serde_json::from_str::<Event>(json).unwrap();
        let mut shares = CachedShares::default();
        shares.take(&entry(
            r#"{"kind":"run_started","run":"r","agent":"acp","command":"acp:x","conversation":"c","resume":false,"phase":"testing","iteration":1,"total":1,"attempt":1,"log":"l"}"#,
        ));
        for read in [19_000, 90_000] {
            shares.take(&entry(&format!(
                r#"{{"kind":"run_ended","run":"r","outcome":"finished","cost":{{"tokens":{{"input":900,"output":1,"cache_read":{read}}}}}}}"#
            )));
        }
        let kept = Usage { input: 900, output: 1, cache_read: 90_000, cache_write: 0 };
        assert_eq!(shares.runs, [("acp:x".to_owned(), kept)]);
    }
}
