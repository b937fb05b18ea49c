//! Checks whether this host can confine agents as the settings demand.

use crate::agent::confine;
use crate::config::Settings;
use crate::config::confine::{Confine, LEVEL, Level};
use crate::platform::confinement::Support;
use crate::session::Phase;

use super::Group;
use super::check::Check;

pub(super) fn look(settings: &Settings) -> Vec<Check> {
    let all: Vec<_> = Phase::ALL.map(|phase| settings.confine(phase)).into_iter().collect();
    let levels = all.iter().map(|keys| keys.level);
    vec![check(&all, &confine::support(levels.max().unwrap_or(Level::Off)))]
}

/// What is to be said of the phases' levels: the first that cannot be kept, else the closest.
fn check(all: &[&Confine], support: &Support) -> Check {
    if let Some(why) = all.iter().find_map(|keys| confine::obstacle(keys, support)) {
        return Check::broken(Group::Host, why, "");
    }
    let level = |keys: &&&Confine| confine::level(keys, support);
    let Some(keys) = all.iter().max_by_key(level) else {
        return Check::ok(Group::Host, "agents are not confined");
    };
    let described = confine::describe(keys, support);
    match level(&keys) {
        Level::Off if keys.demanded => {
            Check::ok(Group::Host, format!("agents are not confined: {LEVEL}={described}"))
        }
        Level::Off => Check::note(Group::Host, format!("agents are not confined: {described}"), ""),
        _ => {
            let open = all.iter().any(|keys| confine::level(keys, support) == Level::Off);
            let partly = if open { "in some phases " } else { "" };
            let what = format!("agents are confined {partly}: {described}").replace(" :", ":");
            if described.contains("; ") {
                Check::note(Group::Host, what, "")
            } else {
                Check::ok(Group::Host, what)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::Status;
    use crate::platform::confinement::Lack;

    #[test]
    fn what_the_host_lacks_is_noted_and_what_is_demanded_of_it_in_vain_is_broken() {
        let has = |lacks: &[Lack]| Support { by: "Landlock 2".to_owned(), lacks: lacks.to_vec() };
        let keys = |level, demanded| Confine { level, demanded, ..Confine::default() };
        let of = |keys: &Confine, support: &Support| {
            let Check { status, what, .. } = check(&[keys], support);
            (status, what)
        };
        let standard = keys(Level::Standard, true);
        let (status, what) = of(&standard, &has(&[]));
        assert_eq!(
            (status, what.as_str()),
            (Status::Ok, "agents are confined: standard (Landlock 2)")
        );
        let (status, what) = of(&standard, &has(&[Lack::Signals]));
        assert!(status == Status::Note && what.contains("6.12"), "{what}");
        let (status, what) = of(&standard, &has(&[Lack::Files]));
        assert!(status == Status::Broken && what.contains("SAMOCODE_CONFINE=off"), "{what}");
        let (status, what) = of(&keys(Level::Standard, false), &has(&[Lack::Files]));
        assert!(
            status == Status::Note && what.contains("not confined: off: access to files"),
            "{what}"
        );
        let (status, _) = of(&keys(Level::Off, true), &has(&[]));
        assert_eq!(status, Status::Ok);
        let (off, on) = (keys(Level::Off, true), keys(Level::Standard, true));
        let some = check(&[&off, &on], &has(&[])).what;
        assert_eq!(some, "agents are confined in some phases: standard (Landlock 2)");
    }
}
