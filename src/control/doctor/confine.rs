//! Checks whether this host can confine agents as the settings demand.

use crate::agent::confine::{self, needs};
use crate::config::Settings;
use crate::config::confine::{LEVEL, Level};
use crate::session::Phase;

use super::Group;
use super::check::Check;

pub(super) fn look(settings: &Settings) -> Vec<Check> {
    let support = confine::support();
    let level = Phase::ALL.map(|phase| settings.confine(phase).level).into_iter().max();
    let level = level.unwrap_or_default();
    if level == Level::Off {
        let what = match confine::obstacle(Level::Standard, &support) {
            None => format!("agents are not confined; {LEVEL}=standard does it ({})", support.by),
            Some(_) => "agents are not confined, which this host could not do".to_owned(),
        };
        return vec![Check::ok(Group::Host, what)];
    }
    if let Some(why) = confine::obstacle(level, &support) {
        return vec![Check::broken(Group::Host, why, "")];
    }
    let mut checks =
        vec![Check::ok(Group::Host, format!("agents are confined: {level} ({})", support.by))];
    let open = support.lacks.iter().filter(|lack| !needs(level, **lack));
    checks.extend(open.map(|lack| Check::note(Group::Host, lack.describe(), "")));
    checks
}
