//! Changes of sessions' agents. launchd reports none, so it is asked, for as long as somebody waits.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::manager::Launchd;
use crate::service::{Active, UnitChange, UnitStatus};

/// How often launchd is asked.
const EVERY: Duration = Duration::from_secs(1);

/// States by instance; one that is missing is inactive.
type States = HashMap<String, Active>;

/// The changes from `before`, in no particular order.
fn changes(before: &States, now: &States) -> Vec<UnitChange> {
    let all: HashSet<&String> = before.keys().chain(now.keys()).collect();
    let state = |states: &States, name: &String| states.get(name).cloned().unwrap_or_default();
    let change = |name: &String| {
        let active = state(now, name);
        (active != state(before, name)).then(|| UnitChange {
            instance: name.clone(),
            active: Some(active),
            status_text: None,
        })
    };
    all.into_iter().filter_map(change).collect()
}

fn states(units: Vec<UnitStatus>, instances: &HashSet<String>) -> States {
    let is_watched = |unit: &UnitStatus| instances.is_empty() || instances.contains(&unit.instance);
    units.into_iter().filter(is_watched).map(|unit| (unit.instance, unit.active)).collect()
}

/// The changes of these sessions' agents, of all if there are none, from `first` on. Ends when
/// launchctl can no longer be run.
pub(super) fn watch(
    manager: Launchd,
    instances: HashSet<String>,
    first: Vec<UnitStatus>,
) -> BoxStream<'static, UnitChange> {
    let before = states(first, &instances);
    let next = |(manager, instances, before): (Launchd, HashSet<String>, States)| async move {
        tokio::time::sleep(EVERY).await;
        let now = states(manager.all().await.ok()?, &instances);
        let changed = changes(&before, &now);
        Some((stream::iter(changed), (manager, instances, now)))
    };
    stream::unfold((manager, instances, before), next).flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_appeared_changed_or_went_away_is_a_change_and_nothing_else_is() {
        let states = |all: &[(&str, Active)]| -> States {
            all.iter().map(|(name, active)| ((*name).to_owned(), active.clone())).collect()
        };
        let before = states(&[("a", Active::Active), ("b", Active::Active), ("c", Active::Failed)]);
        let now = states(&[("a", Active::Active), ("c", Active::Active), ("d", Active::Inactive)]);
        let mut found: Vec<(String, Option<Active>)> =
            changes(&before, &now).into_iter().map(|it| (it.instance, it.active)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            found,
            [("b".to_owned(), Some(Active::Inactive)), ("c".to_owned(), Some(Active::Active))]
        );
    }
}
