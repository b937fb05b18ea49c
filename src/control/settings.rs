//! Showing every setting and its source; for a session, the settings of its unit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::{roles, vocabulary};
use crate::config::{self, Dirs, Env, Flags, Origin, Row, keys};
use crate::service::{self, Recorded};
use crate::session::Phase;
use crate::session::journal::Event;
use crate::session::store;

use super::context::{Context, is_outside};
use super::error::Result;
use super::operation::{Operation, Perform};
use super::session::Session;
use super::target::Target;

/// Looks up all settings for commands run here, or those of a session's unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// A name, a dated folder name or an instance, as typed; without one, the settings here.
    #[serde(default)]
    pub session: Option<String>,
}

/// All settings, and whom they are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Configured {
    /// For a session that has a unit.
    Unit(OfUnit),
    /// For a session without a unit: what `enable` would record here.
    Session(OfSession),
    /// For commands run here, in a project or outside of any.
    Here(Here),
}

/// The settings in effect for commands run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// The project's folder; `None` outside any project, where project settings are left out.
    pub project: Option<PathBuf>,
    /// The project's `.samocode`; `None` outside of any project.
    pub config: Option<PathBuf>,
    /// One row per key.
    pub settings: Vec<Setting>,
    /// Instructions of the agents that are not the built-in ones.
    #[serde(default)]
    pub instructions: Vec<Replaced>,
}

/// The settings here, for a session that has no unit yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfSession {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// Always `None`: without a unit nothing is recorded.
    pub unit: Option<String>,
    /// One row per key.
    pub settings: Vec<Setting>,
    /// Instructions of the agents that are not the built-in ones.
    #[serde(default)]
    pub instructions: Vec<Replaced>,
    /// The agents that worked on it so far, reviewers aside.
    #[serde(default)]
    pub worked: Vec<Worked>,
}

/// The settings that a session's worker uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfUnit {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// Its unit's full name.
    pub unit: String,
    /// The project's file, as recorded in the unit.
    pub config: PathBuf,
    /// One row per key.
    pub settings: Vec<UnitSetting>,
    /// The recorded variables that are not settings.
    pub environment: BTreeMap<String, String>,
    /// Instructions of the agents that are not the built-in ones.
    #[serde(default)]
    pub instructions: Vec<Replaced>,
    /// The agents that worked on it so far, reviewers aside.
    #[serde(default)]
    pub worked: Vec<Worked>,
}

/// An agent, and where in a session it took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    /// The agent, with its command line if it has one.
    pub agent: String,
    /// The phase of its first run.
    pub from: Phase,
    /// The number of that iteration in the session.
    pub total: u32,
}

/// Built-in instructions that a file replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// What is replaced: `workflow.md`, `agents/PHASE-agent.md`.
    pub name: String,
    /// The file that replaces it.
    pub file: PathBuf,
}

/// The instructions that the project's files or the user's replace.
fn replaced(project: &Path, dirs: &Dirs) -> Vec<Replaced> {
    let folders = roles::folders(project, dirs.config.parent());
    let all = roles::overrides(&folders).into_iter();
    all.map(|(name, file)| Replaced { name, file }).collect()
}

/// A key with its value and where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The key, with its phase where it is for one.
    pub key: String,
    /// The value as written; for a secret just "set".
    pub value: String,
    /// Where it is set, as in `~/shop/.samocode:3`.
    pub origin: String,
    /// One line on what the key does.
    pub doc: String,
}

/// One setting of a unit, next to the same setting of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSetting {
    /// The setting that the worker uses.
    #[serde(flatten)]
    pub setting: Setting,
    /// The caller's value and its source, where the value differs.
    pub here: Option<String>,
}

/// The source of a value in the unit's own environment.
pub const RECORDED: &str = "recorded by enable";

impl Setting {
    fn of(row: &Row) -> Self {
        Self {
            key: row.key.clone(),
            value: row.value.clone(),
            origin: row.origin.to_string(),
            doc: row.doc.to_owned(),
        }
    }
}

impl UnitSetting {
    fn of(row: &Row, here: Option<&Row>) -> Self {
        let setting = Setting::of(row);
        let origin = match row.origin {
            Origin::Environment => RECORDED.to_owned(),
            _ => setting.origin,
        };
        let here = here.filter(|here| here.value != row.value);
        let here = here.map(|here| format!("{} ({})", here.value, here.origin));
        Self { setting: Setting { origin, ..setting }, here }
    }
}

#[async_trait]
impl Perform for Configure {
    async fn perform(self, on: &Operation<'_>) -> Result<Configured> {
        if let Some(typed) = self.session {
            return of_session(on, &on.resolve(&typed)?);
        }
        if is_outside(on.caller) {
            return Ok(Configured::Here(outside(on)?));
        }
        let Context { project, settings, dirs, .. } = Context::here(on.caller, &on.warnings)?;
        Ok(Configured::Here(Here {
            instructions: replaced(&project.root, &dirs),
            project: Some(project.root),
            config: Some(project.config),
            settings: settings.rows().iter().map(Setting::of).collect(),
        }))
    }
}

/// The settings that apply to all projects.
fn outside(on: &Operation<'_>) -> Result<Here> {
    let settings = config::Settings::load(&vocabulary(), None, &on.caller.env, &Flags::default())?;
    settings.warnings().iter().for_each(|warning| on.warnings.add(warning.to_string()));
    on.warnings.add("no .samocode here or in a parent folder: project settings are not shown");
    let rows = settings.rows().iter().filter(|row| !is_projects(row));
    let settings = rows.map(Setting::of).collect();
    Ok(Here { project: None, config: None, settings, instructions: Vec::new() })
}

fn is_projects(row: &Row) -> bool {
    keys::KEYS.iter().any(|key| key.of_project && key.name == row.key)
}

/// The agents that worked on a session, each where it took over from another.
fn worked(session: &Session) -> Result<Vec<Worked>> {
    let mut all: Vec<Worked> = Vec::new();
    if !session.exists() {
        return Ok(all);
    }
    store::read_journal(&session.folder, |entry| {
        let Event::RunStarted(run) = &entry.event else { return };
        let command = run.command.as_ref().map(|command| format!("{}:{command}", run.agent));
        let agent = command.unwrap_or_else(|| run.agent.clone());
        if run.review.is_none() && all.last().is_none_or(|last| last.agent != agent) {
            all.push(Worked { agent, from: run.phase, total: run.total });
        }
    })?;
    Ok(all)
}

fn of_session(on: &Operation<'_>, target: &Target) -> Result<Configured> {
    let Target { context, session } = target;
    let here = context.settings.rows();
    let (name, instance) = (session.name.clone(), session.instance.clone());
    let worked = worked(session)?;
    let Some(recorded) = service::recorded(context.scope(), &instance)? else {
        on.warnings
            .add(format!("{name} has no unit: enable would record the settings of this shell"));
        let settings = here.iter().map(Setting::of).collect();
        return Ok(Configured::Session(OfSession {
            session: name,
            instance,
            unit: None,
            settings,
            instructions: replaced(&context.project.root, &context.dirs),
            worked,
        }));
    };
    let words = vocabulary();
    let env = units_env(&context.dirs, &recorded);
    let unit = config::Settings::load(&words, Some(&context.project), &env, &Flags::default())?;
    let counterpart = |row: &Row| here.iter().find(|here| here.key == row.key);
    let settings: Vec<_> =
        unit.rows().iter().map(|row| UnitSetting::of(row, counterpart(row))).collect();
    if settings.iter().any(|setting| setting.here.is_some()) {
        on.warnings.add(format!(
            "the unit ignores values that differ here; to record this shell's settings: samocode enable {instance}"
        ));
    }
    let others = recorded.environment.into_iter().filter(|(name, _)| words.lookup(name).is_none());
    Ok(Configured::Unit(OfUnit {
        session: name,
        unit: service::unit_name(&instance),
        instance,
        config: recorded.config,
        settings,
        environment: others.collect(),
        instructions: replaced(&context.project.root, &context.dirs),
        worked,
    }))
}

/// The environment the unit's worker reads its settings from. The caller's is not part of it.
fn units_env(dirs: &Dirs, recorded: &Recorded) -> Env {
    let mut env: Env = recorded.environment.iter().cloned().collect();
    env.set_default("HOME", &dirs.home);
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::context::Warnings;
    use crate::control::target;
    use crate::session::event;
    use crate::session::store::{Journal, Lock};

    fn row(value: &str, origin: Origin) -> Row {
        Row { key: "CLAUDE_MODEL".to_owned(), value: value.to_owned(), origin, doc: "the model" }
    }

    #[test]
    fn a_setting_of_the_unit_names_the_callers_only_where_it_differs() {
        let unit = row("opus", Origin::Default);
        let same = UnitSetting::of(&unit, Some(&row("opus", Origin::Environment)));
        assert_eq!((same.setting.origin.as_str(), same.here), ("default", None));
        let other = UnitSetting::of(&unit, Some(&row("haiku", Origin::Environment)));
        assert_eq!(other.here.as_deref(), Some("haiku (environment)"));
        let recorded = UnitSetting::of(&row("haiku", Origin::Environment), None);
        assert_eq!(recorded.setting.origin, RECORDED);
    }

    #[test]
    fn each_kind_of_reply_comes_through_json_as_it_was() {
        let setting = Setting::of(&row("opus", Origin::Default));
        let (session, instance) = ("jwt".to_owned(), "jwt".to_owned());
        let of_unit = OfUnit {
            session: session.clone(),
            instance: instance.clone(),
            unit: "samocode@jwt.service".to_owned(),
            config: "/p/.samocode".into(),
            settings: vec![UnitSetting { setting: setting.clone(), here: None }],
            environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
            instructions: vec![Replaced { name: "workflow.md".into(), file: "/p/w.md".into() }],
            worked: vec![Worked { agent: "codex".into(), from: Phase::Quality, total: 9 }],
        };
        let settings = vec![setting];
        for configured in [
            Configured::Unit(of_unit),
            Configured::Session(OfSession {
                session,
                instance,
                unit: None,
                settings: settings.clone(),
                instructions: Vec::new(),
                worked: Vec::new(),
            }),
            Configured::Here(Here {
                project: None,
                config: None,
                settings,
                instructions: Vec::new(),
            }),
        ] {
            let text = serde_json::to_string(&configured).unwrap();
            assert_eq!(serde_json::from_str::<Configured>(&text).unwrap(), configured, "{text}");
        }
    }

    #[test]
    fn an_agent_is_named_with_the_phase_from_which_it_worked() {
        let root = tempfile::tempdir().unwrap();
        let caller = crate::control::host::tests::caller(root.path());
        let context = Context::here(&caller, &Warnings::default()).unwrap();
        let session = target::resolve(&context, "jwt").unwrap();
        assert_eq!(worked(&session), Ok(Vec::new()));
        std::fs::create_dir_all(session.folder.path()).unwrap();
        let lock = Lock::take(&session.folder).unwrap();
        let mut journal = Journal::open(&session.folder, &lock).unwrap();
        let mut ran = |agent: &str, command: Option<&str>, phase, total| {
            let run = event::RunStarted {
                run: format!("r{total}"),
                agent: agent.to_owned(),
                command: command.map(str::to_owned),
                conversation: String::new(),
                resume: false,
                phase,
                iteration: 1,
                total,
                attempt: 1,
                log: String::new(),
                confined: None,
                review: None,
            };
            journal.append(Event::RunStarted(run)).unwrap();
        };
        ran("claude", None, Phase::Planning, 1);
        ran("claude", None, Phase::Implementation, 2);
        ran("command", Some("a b"), Phase::Implementation, 3);
        ran("codex", None, Phase::Quality, 4);
        let found = worked(&session).unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.agent.as_str(), it.from, it.total)).collect();
        let wanted = [
            ("claude", Phase::Planning, 1),
            ("command:a b", Phase::Implementation, 3),
            ("codex", Phase::Quality, 4),
        ];
        assert_eq!(found, wanted);
    }
}
