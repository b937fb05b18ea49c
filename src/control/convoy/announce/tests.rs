//! Whoever tells the human may be killed between any two steps.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::control::context::Warnings;
use crate::control::convoy::next::{Facts, Members, Place, remember};
use crate::control::host::tests::caller;
use crate::notify::unsent::{Unsent, UnsentFolder};
use crate::session::state::Word;
use crate::session::store::faults;

/// A small generator (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What the one who tells does, once.
fn tell(context: &Context, plan: &Plan, members: &Members) {
    let files = Files::of(&context.project, &plan.id).unwrap();
    let before = files.memory().unwrap();
    let memory = remember(plan, members, &[], &before);
    if memory != before || !memory.is_settled() {
        settle(context, plan, &files, memory).unwrap();
    }
}

/// Sends what is to be sent, as another process may at any time; returns how much that is.
fn send_elsewhere(context: &Context) -> usize {
    let folder = context.dirs.state.join("notices");
    let all = UnsentFolder::of(&context.dirs.state).all();
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let is_end = |unsent: &&Unsent| unsent.notice.text.contains("is complete");
    all.iter().filter(is_end).filter(|unsent| unsent.by == "telegram").count()
}

#[test]
fn the_end_is_announced_once_in_200_trials_with_kills_at_any_step() {
    let mut dice = Dice(20_261_120);
    let mut kills = 0;
    for trial in 0..200 {
        let root = tempfile::tempdir().unwrap();
        let mut caller = caller(root.path());
        caller.env.set("TELEGRAM_BOT_TOKEN", "12345678:AAabcdefghijklmnopqrstuvwxyz0123456");
        caller.env.set("TELEGRAM_CHAT_ID", "1");
        let context = Context::here(&caller, &Warnings::default()).unwrap();
        let names = ["a", "b"].map(str::to_owned);
        let plan = Plan {
            id: "login".into(),
            sessions: names.to_vec(),
            notify_on_complete: true,
            ..Plan::default()
        };
        let done = Facts {
            place: Place::Begun(Word::Done),
            since: Timestamp::UNIX_EPOCH,
            reason: None,
            cost_usd: 1.0,
        };
        let members: Members = names.iter().map(|name| (name.clone(), done.clone())).collect();
        let mut sent = 0;
        for _ in 0..=dice.below(3) {
            faults::set(Some(u32::try_from(dice.below(22)).unwrap() + 1), None);
            let died = catch_unwind(AssertUnwindSafe(|| tell(&context, &plan, &members))).is_err();
            faults::set(None, None);
            kills += usize::from(died);
            if dice.below(2) == 0 {
                sent += send_elsewhere(&context);
            }
        }
        tell(&context, &plan, &members);
        tell(&context, &plan, &members);
        sent += send_elsewhere(&context);
        let inbox = human_folder(&context.project).unread().unwrap().messages;
        let said = inbox.iter().filter(|(_, message)| message.body.contains("is complete"));
        assert_eq!((said.count(), sent), (1, 1), "trial {trial}");
        assert!(Files::of(&context.project, "login").unwrap().memory().unwrap().is_settled());
    }
    assert!(kills > 150, "only {kills} kills");
}
