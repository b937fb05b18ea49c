//! Agents that share a login refresh its token when that is about to end, and those that do so at the
//! same moment log each other out. So near its end they start one after the other; once it is
//! refreshed they all start.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::agent::REGISTRY;
use crate::agent::environment::RunIds;
use crate::session::store::{self, StoreError};

use super::account::Account;
use super::{Trouble, Worker, notices, tick};

/// How long before its end a token may be refreshed by an agent that starts.
const NEAR: SignedDuration = SignedDuration::from_mins(10);

/// How long an agent gets to refresh it before the next one starts.
const TURN: SignedDuration = SignedDuration::from_secs(15);

/// How often to look whether it is refreshed.
const LOOK: Duration = Duration::from_millis(500);

/// Whether an agent may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It may, and no other before this time.
    Now { next: Option<Timestamp> },
    /// Another one has just started.
    Wait,
}

/// Decides by the token's end and the time that the last one set.
fn turn(ends: Timestamp, next: Option<Timestamp>, now: Timestamp) -> Turn {
    let after = |time: SignedDuration| now.checked_add(time).ok();
    if after(NEAR).is_some_and(|near| ends > near) {
        return Turn::Now { next: None };
    }
    // A time too far ahead was set by a clock that has been set back since.
    match next {
        Some(next) if next > now && Some(next) <= after(TURN) => Turn::Wait,
        _ => Turn::Now { next: after(TURN) },
    }
}

impl Worker<'_> {
    /// Waits for this session's turn to start an agent, as long as the token of their login is about
    /// to end. Returns false if the worker was told something in the meantime.
    pub(super) async fn await_login(&mut self, account: &Account) -> Result<bool, Trouble> {
        loop {
            let Some(ends) = self.token_ends() else { return Ok(true) };
            if account.may_start(ends, Timestamp::now())? {
                return Ok(true);
            }
            let doing = "waiting for another session to refresh the login";
            self.notify.status(&notices::status_line(self.writer.state(), Some(doing), None));
            self.notify.watchdog();
            tokio::select! {
                _ = self.signals.next() => return Ok(false),
                () = tokio::time::sleep(LOOK.min(tick(self.notify))) => {}
            }
        }
    }

    fn token_ends(&self) -> Option<Timestamp> {
        let name = self.agent_name();
        let env = REGISTRY.environment(&self.setup.env, &self.env_file, name, &RunIds::default());
        REGISTRY.token_ends(name, &env)
    }
}

impl Account {
    /// Whether an agent of this account may start now; then others wait for their turn.
    fn may_start(&self, ends: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        if turn(ends, None, now) == (Turn::Now { next: None }) {
            return Ok(true);
        }
        let _lock = self.hold()?;
        let file = self.turns();
        let known = store::read(&file)?.unwrap_or_default();
        let known = std::str::from_utf8(&known).ok().and_then(|text| text.trim().parse().ok());
        Ok(match turn(ends, known, now) {
            Turn::Wait => false,
            Turn::Now { next } => {
                if let Some(next) = next {
                    store::replace_derived(&file, next.to_string().as_bytes())?;
                }
                true
            }
        })
    }

    fn turns(&self) -> PathBuf {
        self.file().with_extension("turn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::account::Sources;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn near_the_end_of_a_token_one_starts_at_a_time_and_otherwise_all() {
        assert_eq!(turn(at(3600), Some(at(5)), at(0)), Turn::Now { next: None });
        assert_eq!(turn(at(600), None, at(0)), Turn::Now { next: Some(at(15)) });
        assert_eq!(turn(at(600), Some(at(15)), at(14)), Turn::Wait);
        assert_eq!(turn(at(600), Some(at(15)), at(15)), Turn::Now { next: Some(at(30)) });
        // It has ended already.
        assert_eq!(turn(at(-9000), Some(at(15)), at(3)), Turn::Wait);
        // The clock was set back.
        assert_eq!(turn(at(400), Some(at(15)), at(-100)), Turn::Now { next: Some(at(-85)) });
    }

    #[test]
    fn sessions_of_an_account_take_turns_until_the_token_is_refreshed() {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::new(folder.path(), "abc", Sources::default(), None);
        let may = |ends, now| account.may_start(ends, now).unwrap();
        assert!(may(at(60), at(0)) && !may(at(60), at(1)) && !may(at(60), at(14)));
        assert!(may(at(60), at(16)) && !may(at(60), at(17)));
        assert!(may(at(9000), at(18)) && may(at(9000), at(18)), "it is refreshed");
        std::fs::write(account.turns(), "garbage").unwrap();
        assert!(may(at(60), at(20)));
    }
}
