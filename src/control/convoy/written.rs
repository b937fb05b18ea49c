//! A convoy as a person writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    session: Vec<WrittenSession>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSession {
    name: String,
    #[serde(default)]
    task: String,
    agent: Option<String>,
    budget: Option<f64>,
    #[serde(default)]
    after: Vec<String>,
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
    for WrittenSession { name, task, agent, budget, after } in written.session {
        if !after.is_empty() {
            plan.after.insert(name.clone(), after);
        }
        let budget = budget.map(|budget| budget.to_string());
        plan.tasks.insert(name.clone(), Task { task, agent, budget });
        plan.sessions.push(name);
    }
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
}
