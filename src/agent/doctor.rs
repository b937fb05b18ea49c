//! Checks that the chosen agents would work: their programs, versions and credentials.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::canary::{self, Met};
use super::environment::RunIds;
use super::exam::{About, Exam, Finding, Status};
use super::price::Prices;
use super::registry::Registry;
use super::unseen::Unseen;
use super::{Agent, AgentError, Environment, spec};
use crate::config::secret::is_secret;
use crate::config::{AgentManifest, AgentName, EnvFile};
use crate::session::{Hint as _, Phase};

/// An agent that cannot be used.
fn broken(error: &AgentError) -> Finding {
    let remedy = error.hint().unwrap_or_default();
    Finding::new(About::Program, Status::Broken, error.to_string(), remedy)
}

/// Checks each agent that some phase uses, or that reviews.
pub async fn examine(registry: &Registry, exam: &Exam<'_>) -> Vec<Finding> {
    let mut names: Vec<&AgentName> = Vec::new();
    let mut findings = Vec::new();
    for (phase, name) in exam.settings.agents() {
        if names.contains(&name) {
            continue;
        }
        names.push(name);
        let agent = registry.agent(name, phase, exam.settings, exam.env, exam.samocode);
        match agent {
            Ok(agent) => {
                findings.push(program(registry, exam, &agent).await);
                findings.extend(agent.spec().check(&agent, exam));
                findings.extend(abilities(exam, &agent));
            }
            Err(error) => {
                findings.push(broken(&error));
            }
        }
    }
    findings.extend(prices(exam));
    findings.extend(shell_only(registry, exam, &names));
    let specs = names.iter().filter_map(|name| registry.spec(name.word()));
    let mut with_keys = specs.filter(|spec| !spec.manifest().credentials.keys.is_empty());
    findings.extend(with_keys.by_ref().map(|spec| credentials(exam, spec)));
    findings
}

/// The agents of some phase for which a unit would find no credentials.
#[must_use]
pub fn without_credentials(registry: &Registry, exam: &Exam<'_>) -> Vec<Finding> {
    let specs = registry.specs().filter(|spec| {
        let word = spec.manifest().name;
        let is_used = exam.settings.agents().any(|(_, name)| name.word() == word);
        !spec.manifest().credentials.keys.is_empty() && is_used
    });
    let found = specs.map(|spec| credentials(exam, spec));
    found.filter(|finding| finding.status != Status::Ok).collect()
}

async fn program(registry: &Registry, exam: &Exam<'_>, agent: &Agent) -> Finding {
    let run = RunIds {
        session: "doctor".to_owned(),
        session_dir: exam.dirs.state.clone(),
        phase: Phase::Init,
        iteration: 0,
        run: "doctor".to_owned(),
        tmpdir: tempfile::env::temp_dir(),
        port_base: None,
        own_caches: Vec::new(),
        path_additions: agent.path_additions().to_vec(),
    };
    let environment: Environment =
        registry.environment(exam.env, exam.file, agent.name(), &run).into_iter().collect();
    let found = |status, what| Finding::new(About::Program, status, what, "");
    if let Err(error) = agent.ready(exam.is_root, &environment) {
        return broken(&error);
    }
    let path = agent.program().display();
    if agent.program() == exam.samocode {
        return found(Status::Ok, format!("{}, which is built in", agent.word()));
    }
    if !agent.capabilities().tells_version {
        return found(Status::Ok, format!("{} ({path})", agent.name()));
    }
    match agent.version(&environment).await {
        Ok(printed) if !printed.contains(|c: char| c.is_ascii_digit()) => Finding::new(
            About::Program,
            Status::Note,
            format!("'{path} --version' printed '{printed}', which is no version"),
            format!(
                "check that this is the {} program, or set its path in .samocode",
                agent.word()
            ),
        ),
        Ok(version) => {
            let what = format!("{} {version} ({path})", agent.word());
            newer(&exam.dirs.state, agent, &version, &what)
                .unwrap_or_else(|| found(Status::Ok, older(agent, &version, what)))
        }
        Err(error) => broken(&error),
    }
}

/// The finding `what` about a program, with a word if it is older than the one that was tested.
fn older(agent: &Agent, version: &str, what: String) -> String {
    match agent.spec().tested().filter(|tested| canary::is_older(version, tested)) {
        Some(tested) => format!("{what} is older than {tested}, which samocode was tested with"),
        None => what,
    }
}

/// What there is to say of a program that is newer than the one that was tested.
fn newer(state: &Path, agent: &Agent, version: &str, what: &str) -> Option<Finding> {
    let tested = agent.spec().tested().filter(|tested| canary::is_newer(version, tested))?;
    let what = format!("{what} is newer than {tested}, which samocode was tested with");
    let met = Met::read(state, agent.word());
    if met.version != version || met.unknown.is_empty() {
        return Some(Finding::new(About::Program, Status::Ok, what, ""));
    }
    let what = format!("{what}; unknown in its output: {}", met.describe());
    let remedy = format!(
        "update samocode if something looks wrong, or try what it expects: samocode doctor --agent {} --live",
        agent.word()
    );
    Some(Finding::new(About::Program, Status::Note, what, remedy))
}

/// The lines of the user's prices that cannot be read.
fn prices(exam: &Exam<'_>) -> impl Iterator<Item = Finding> {
    let (_, problems) = Prices::load(Some(&exam.dirs.prices_file()));
    problems.into_iter().map(|what| Finding::new(About::Program, Status::Note, what, ""))
}

/// What an agent cannot do that others can.
fn abilities(exam: &Exam<'_>, agent: &Agent) -> Option<Finding> {
    let lacks = agent.capabilities().lacks();
    // What is built in does not need to be explained.
    let is_worth_it = !lacks.is_empty() && agent.program() != exam.samocode;
    let what = format!("{}: {lacks}", agent.name());
    is_worth_it.then(|| Finding::new(About::Program, Status::Ok, what, ""))
}

/// Variables of this shell that units do not have, or have with another value.
fn shell_only(registry: &Registry, exam: &Exam<'_>, names: &[&AgentName]) -> Vec<Finding> {
    let vocabulary = registry.vocabulary();
    let unseen = Unseen::of(&vocabulary, exam.env, exam.units, exam.file);
    // An agent whose only credentials these are would be refused.
    let mut specs = names.iter().filter_map(|name| registry.spec(name.word()));
    let needed = specs.any(|spec| {
        unseen.secrets.iter().any(|name| is_key(spec.manifest(), name))
            && in_env_file(spec.manifest(), exam.file).is_none()
            && login(exam, spec).is_none()
    });
    let env_file = exam.dirs.short(&exam.dirs.env_file());
    let differences = unseen.describe(&env_file, "samocode enable SESSION --import-env");
    let mut findings: Vec<Finding> = differences
        .into_iter()
        .map(|it| Finding::new(About::Credentials, Status::Note, it.what, it.remedy))
        .collect();
    // The credentials come first.
    if let Some(first) = findings.first_mut().filter(|_| needed) {
        first.status = Status::Broken;
    }
    findings.extend(units_only(registry, exam));
    findings
}

/// Variables that send the work elsewhere than what is tried by hand in this shell.
fn units_only(registry: &Registry, exam: &Exam<'_>) -> Option<Finding> {
    let vocabulary = registry.vocabulary();
    let of_units = exam.units.iter().filter_map(|(name, _)| name.to_str());
    let mut names: Vec<&str> = of_units.chain(exam.file.iter().map(|(name, ..)| name)).collect();
    names.retain(|name| vocabulary.decides_route(name) && exam.env.get(name).is_none());
    names.sort_unstable();
    names.dedup();
    let what = format!("units have {}, which this shell does not set", names.join(", "));
    (!names.is_empty()).then(|| Finding::new(About::Credentials, Status::Ok, what, ""))
}

/// The secrets among an agent's own variables are what it may log in with.
fn is_key(agent: &AgentManifest, name: &str) -> bool {
    agent.owns(name) && is_secret(name, "")
}

/// The names of an agent's credentials in the env file.
fn in_env_file(agent: &AgentManifest, file: &EnvFile) -> Option<String> {
    let is_wanted = |name: &&str| is_key(agent, name) || agent.credentials.switches.contains(name);
    let names: Vec<&str> = file.iter().map(|(name, ..)| name).filter(is_wanted).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// An agent's own folder.
fn own_folder(exam: &Exam<'_>, spec: &dyn spec::AgentSpec) -> Option<PathBuf> {
    let (variable, default) = spec.manifest().credentials.folder?;
    let set = exam.env.get(variable).map(Into::into);
    Some(
        set.or_else(|| exam.file.get(variable).map(|folder| folder.expose().into()))
            .unwrap_or_else(|| exam.dirs.home.join(default)),
    )
}

/// The login found in an agent's own folder, as text.
fn login(exam: &Exam<'_>, spec: &dyn spec::AgentSpec) -> Option<String> {
    let login = spec.logged_in(&own_folder(exam, spec)?)?;
    Some(format!("{} {}", login.how, exam.dirs.short(&login.file)))
}

/// How long before its end a token that several sessions share is worth a look.
const SOON: SignedDuration = SignedDuration::from_hours(1);

/// What is wrong with a login that several sessions share and that is about to end, and the remedy.
fn shared_token(exam: &Exam<'_>, spec: &dyn spec::AgentSpec) -> Option<(String, String)> {
    let token = spec.token(&own_folder(exam, spec)?)?;
    let left = token.ends.duration_since(Timestamp::now());
    if exam.sessions < 2 || left > SOON {
        return None;
    }
    let name = spec.manifest().name;
    let when = match left.as_mins() {
        minutes if left.is_positive() => format!("ends in {} min", minutes.max(1)),
        _ => "has ended".to_owned(),
    };
    let what = format!(
        "{} sessions share the login of {name}, whose token {when}; agents that refresh it at the same moment log each other out",
        exam.sessions
    );
    let file = exam.dirs.short(&exam.dirs.env_file());
    Some((what, format!("{} {file}", token.lasting)))
}

fn credentials(exam: &Exam<'_>, spec: &dyn spec::AgentSpec) -> Finding {
    let short = exam.dirs.short(&exam.dirs.env_file());
    let agent = spec.manifest();
    let found =
        |status, what, remedy: String| Finding::new(About::Credentials, status, what, remedy);
    if let Some(names) = in_env_file(agent, exam.file) {
        let what = format!("{} has {names} from {short}", agent.name);
        return found(Status::Ok, what, String::new());
    }
    match login(exam, spec) {
        Some(how) => match shared_token(exam, spec) {
            Some((what, remedy)) => found(Status::Note, what, remedy),
            None => found(Status::Ok, format!("{} is {how}", agent.name), String::new()),
        },
        None => found(
            Status::Note,
            format!("found no credentials for {} that units can see", agent.name),
            format!("{} {short}", agent.credentials.remedy),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::registry::testing::{agent_of, settings};
    use crate::agent::unknown::Unknown;
    use crate::agent::{REGISTRY, claude};
    use crate::config::file::ConfigFile;
    use crate::config::{Dirs, Env};

    fn file(text: &str) -> EnvFile {
        EnvFile::of(&ConfigFile::parse(Path::new("env"), text.as_bytes()).unwrap())
    }

    #[test]
    fn claude_is_logged_in_by_its_own_folder_wherever_that_is() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::of_home(home.path());
        let settings = settings(&REGISTRY, "");
        let look = |env: &Env, file: &EnvFile| {
            let exam = Exam {
                env,
                units: &Env::default(),
                dirs: &dirs,
                file,
                settings: &settings,
                is_root: false,
                folders: &[],
                sessions: 2,
                samocode: Path::new("/bin/samocode"),
            };
            login(&exam, &claude::Claude)
        };
        let none = file("");
        assert_eq!(look(&Env::default(), &none), None);
        let work = home.path().join("work");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join(".credentials.json"), "{}").unwrap();
        let mut env = Env::default();
        env.set("CLAUDE_CONFIG_DIR", &work);
        let how = look(&env, &none).unwrap();
        assert_eq!(how, "logged in by ~/work/.credentials.json");
        let filed = file(&format!("CLAUDE_CONFIG_DIR={}\n", work.display()));
        assert_eq!(look(&Env::default(), &filed), Some(how));
    }

    #[test]
    fn a_login_that_several_share_and_that_is_about_to_end_is_worth_a_look() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, env, none) = (Dirs::of_home(home.path()), Env::default(), file(""));
        let settings = settings(&REGISTRY, "");
        let own = home.path().join(".claude");
        std::fs::create_dir(&own).unwrap();
        let look = |sessions: usize, minutes: i64| {
            let ends = Timestamp::now().as_millisecond() + minutes * 60_000 + 30_000;
            let login = format!(r#"{{"claudeAiOauth":{{"expiresAt":{ends}}}}}"#);
            std::fs::write(own.join(".credentials.json"), login).unwrap();
            let exam = Exam {
                env: &env,
                units: &env,
                dirs: &dirs,
                file: &none,
                settings: &settings,
                is_root: false,
                folders: &[],
                sessions,
                samocode: Path::new("/bin/samocode"),
            };
            credentials(&exam, &claude::Claude)
        };
        assert_eq!((look(1, 5).status, look(2, 90).status), (Status::Ok, Status::Ok));
        let shared = look(3, 5);
        assert_eq!(shared.status, Status::Note);
        assert!(
            shared
                .what
                .starts_with("3 sessions share the login of claude, whose token ends in 5 min")
        );
        assert!(shared.remedy.contains("claude setup-token"), "{}", shared.remedy);
        assert!(look(3, -5).what.contains("token has ended"));
    }

    #[test]
    fn a_program_that_is_newer_than_the_tested_one_is_worth_a_look_once_something_is_unknown() {
        let state = tempfile::tempdir().unwrap();
        let agent = agent_of(&REGISTRY, "claude", "CLAUDE_PATH=/bin/true").unwrap();
        let look = |version: &str| newer(state.path(), &agent, version, "claude X");
        assert_eq!(look("2.1.329 (Claude Code)"), None);
        let fine = look("3.0.1 (Claude Code)").unwrap();
        assert_eq!(fine.status, Status::Ok);
        assert!(fine.what.starts_with("claude X is newer than 2.1.329, which"), "{}", fine.what);
        let mut unknown = Unknown::default();
        unknown.note("event sketch");
        Met::add(state.path(), "claude", "3.0.1 (Claude Code)", &unknown).unwrap();
        let met = look("3.0.1 (Claude Code)").unwrap();
        assert_eq!(met.status, Status::Note);
        assert!(met.what.ends_with("unknown in its output: event sketch (1)"), "{}", met.what);
        assert!(met.remedy.contains("samocode doctor --agent claude --live"), "{}", met.remedy);
        let said = |version: &str| older(&agent, version, "claude X".to_owned());
        assert_eq!(said("2.1.329"), "claude X");
        assert_eq!(said("1.0.7"), "claude X is older than 2.1.329, which samocode was tested with");
        assert_eq!(look("3.0.2").unwrap().status, Status::Ok, "another version");
    }

    #[test]
    fn what_claude_logs_in_with_is_named() {
        let claude = REGISTRY.spec("claude").unwrap().manifest();
        let named = |text: &str| in_env_file(claude, &file(text));
        let filed = "ANTHROPIC_API_KEY=sk-x\nANTHROPIC_BASE_URL=http://x\nOPENAI_API_KEY=y\n";
        assert_eq!(named(filed).as_deref(), Some("ANTHROPIC_API_KEY"));
        assert_eq!(named("TELEGRAM_BOT_TOKEN=x\n"), None);
        let bedrock = named("CLAUDE_CODE_USE_BEDROCK=1\n");
        assert_eq!(bedrock.as_deref(), Some("CLAUDE_CODE_USE_BEDROCK"));
    }
}
