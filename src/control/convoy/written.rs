//! A convoy as a person writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Plan, Share, Task};

/// A convoy as a person writes it, in TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Option<String>,
    #[serde(default)]
    name: String,
    budget: Option<f64>,
    cap: Option<usize>,
    #[serde(default)]
    merge: bool,
    into: Option<String>,
    #[serde(default)]
    limits: Share,
    #[serde(default)]
    session: Vec<Planned>,
}

/// A session of a convoy as it is planned, new or one that exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// What it is to do; empty for one that exists.
    #[serde(default)]
    pub task: String,
    /// The agent, if not the project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The session's own budget, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// The sessions that must be done before it starts.
    #[serde(default)]
    pub after: Vec<String>,
}

impl Plan {
    /// Adds a session as it is planned.
    pub(super) fn add(&mut self, session: Planned) {
        let Planned { name, task, agent, budget, after } = session;
        if !after.is_empty() {
            self.after.insert(name.clone(), after);
        }
        let budget = budget.map(|budget| budget.to_string());
        self.tasks.insert(name.clone(), Task { task, agent, budget });
        self.sessions.push(name);
    }
}

/// Reads a convoy from TOML; `id` overrides the one in it.
///
/// # Errors
/// The problem, with its line.
pub(super) fn from_toml(text: &str, id: Option<&str>) -> Result<Plan, String> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let id = id
        .map(str::to_owned)
        .or(written.id)
        .ok_or("it has no id: add id = \"NAME\" at its top, or name it on the command line")?;
    let mut plan = Plan {
        id,
        name: written.name,
        sessions: Vec::new(),
        notify_on_complete: true,
        after: BTreeMap::new(),
        tasks: BTreeMap::new(),
        budget: written.budget,
        cap: written.cap,
        merge: written.merge,
        into: written.into,
        limits: written.limits,
    };
    written.session.into_iter().for_each(|session| plan.add(session));
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convoy_is_written_in_toml() {
        let text = "id = \"login\"\nbudget = 20\nmerge = true\nlimits = { memory_max = \"8G\" }\n\n[[session]]\nname = \"schema\"\ntask = \"Add the users table\"\n\n\
                    [[session]]\nname = \"server\"\ntask = \"\"\"\nAdd login.\nUse the table.\"\"\"\nagent = \"rehearsal\"\nafter = [\"schema\"]\n";
        let plan = from_toml(text, None).unwrap().checked().unwrap();
        assert_eq!((plan.id.as_str(), plan.budget, plan.merge), ("login", Some(20.0), true));
        assert_eq!(plan.limits.memory_max.as_deref(), Some("8G"));
        assert_eq!(plan.before("server"), ["schema"]);
        assert_eq!(plan.tasks["server"].task, "Add login.\nUse the table.");
        assert_eq!(plan.tasks["server"].agent.as_deref(), Some("rehearsal"));
        assert_eq!(from_toml(text, Some("other")).unwrap().id, "other");
        for (text, said) in [
            ("[[session]]\nname = \"a\"\n", "it has no id"),
            ("id = \"x\"\nsessions = 3\n", "line 2: unknown field `sessions`"),
            ("id = \"x\"\n[[session]]\ntask = \"t\"\n", "missing field `name`"),
            ("id = ", "line 1: "),
        ] {
            let error = from_toml(text, None).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_skill_shows_a_convoy_as_it_is_written() {
        let skill = concat!(env!("CARGO_MANIFEST_DIR"), "/plugin/skills/convoy/SKILL.md");
        let skill = std::fs::read_to_string(skill).unwrap();
        let (_, rest) = skill.split_once("```toml\n").unwrap();
        let plan = from_toml(rest.split_once("```").unwrap().0, None).unwrap().checked().unwrap();
        assert_eq!(plan.before("auth-tokens"), ["auth-api"]);
    }
}
