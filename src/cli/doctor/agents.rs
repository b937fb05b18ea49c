//! The agents' programs and what they log in with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::{self, Programs};
use crate::cli::front::own_binary;
use crate::config::agent_path::find_agent;
use crate::config::environment::{Family, RunIds, agent_environment, family, secrets_in_shell};
use crate::config::secret::is_secret;
use crate::config::{AgentChoice, Dirs, Env, EnvFile, Error as ProjectError, Settings, Warning};
use crate::session::Phase;

use super::Patient;
use super::check::{Check, Fix};

const AGENTS: &str = "Agents";
const CREDENTIALS: &str = "Credentials";

/// The user's file of credentials: whose it is, who may read it, what is wrong in it.
pub(super) fn env_file(patient: &Patient, file: &Result<EnvFile, ProjectError>) -> Vec<Check> {
    let path = patient.dirs.env_file();
    let short = patient.dirs.short(&path);
    let file = match file {
        Ok(file) => file,
        Err(error) => return vec![Check::broken(CREDENTIALS, error.to_string(), "")],
    };
    let mut checks: Vec<Check> = file
        .warnings()
        .iter()
        .map(|warning| match warning {
            Warning::Readable { mode, .. } => Check::broken(
                CREDENTIALS,
                format!("{short} can be read by others (mode {mode:04o})"),
                format!("chmod 600 {short}"),
            )
            .mended_by(Fix::Mode(path.clone(), 0o600)),
            other => Check::note(CREDENTIALS, other.to_string(), ""),
        })
        .collect();
    if checks.is_empty() && path.exists() {
        let names: Vec<&str> = file.iter().map(|(name, ..)| name).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        checks.push(Check::ok(CREDENTIALS, format!("{short} is yours alone and has {names}")));
    }
    checks
}

/// Each agent that some phase uses.
pub(super) async fn look(patient: &Patient, settings: &Settings, file: &EnvFile) -> Vec<Check> {
    let mut choices: Vec<&AgentChoice> = Vec::new();
    for choice in Phase::ALL.into_iter().map(|phase| settings.agent(phase)) {
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    let mut checks = Vec::new();
    for choice in &choices {
        checks.push(program(patient, settings, file, choice).await);
    }
    checks.extend(shell_only(patient, file, &choices));
    if choices.contains(&&AgentChoice::Claude) {
        checks.push(claude_credentials(patient, file));
    }
    checks
}

async fn program(
    patient: &Patient,
    settings: &Settings,
    file: &EnvFile,
    choice: &AgentChoice,
) -> Check {
    let found = match find_agent(settings, choice, &patient.env) {
        Ok(found) => found,
        Err(error) => return Check::broken(AGENTS, error.to_string(), ""),
    };
    let path = found.as_ref().map_or_else(PathBuf::new, |found| found.path.clone());
    let run = RunIds {
        session: "doctor".to_owned(),
        session_dir: patient.dirs.state.clone(),
        phase: Phase::Init,
        iteration: 0,
        run: "doctor".to_owned(),
        tmpdir: std::env::temp_dir(),
        path_additions: found.map(|found| found.path_additions).unwrap_or_default(),
    };
    let environment: agent::Environment =
        agent_environment(&patient.env, file, choice, &run).into_iter().collect();
    let samocode = match own_binary() {
        Ok(samocode) => samocode,
        Err(error) => return Check::broken(AGENTS, error.to_string(), ""),
    };
    let programs = Programs { claude: path.clone(), samocode };
    let agent = match agent::choose(&choice.to_string(), &programs) {
        Ok(agent) => agent,
        Err(error) => return Check::broken(AGENTS, error.to_string(), ""),
    };
    if let Err(error) = agent.ready(patient.is_root, &environment) {
        return Check::broken(AGENTS, error.to_string(), "");
    }
    match choice {
        AgentChoice::Rehearsal => Check::ok(AGENTS, "rehearsal, which is built in"),
        // Whatever it is, it may take --version for a task.
        AgentChoice::Command { .. } => Check::ok(AGENTS, format!("{choice} ({})", path.display())),
        _ => match agent.version(&environment).await {
            Ok(version) => {
                Check::ok(AGENTS, format!("{} {version} ({})", choice.kind(), path.display()))
            }
            Err(error) => Check::broken(AGENTS, error.to_string(), ""),
        },
    }
}

/// Secrets that this shell has and no unit sees.
fn shell_only(patient: &Patient, file: &EnvFile, agents: &[&AgentChoice]) -> Option<Check> {
    let secrets = secrets_in_shell(&patient.env, file);
    if secrets.is_empty() {
        return None;
    }
    let (is, them) = if secrets.len() == 1 { ("is", "it") } else { ("are", "them") };
    let what =
        format!("{} {is} set in this shell only: units do not see {them}", secrets.join(", "));
    let remedy = format!(
        "samocode enable SESSION --import-env saves {them} in {}",
        patient.dirs.short(&patient.dirs.env_file())
    );
    let is_claudes = secrets.iter().any(|name| is_claudes_key(name));
    let has_other =
        in_env_file(file).is_some() || logged_in(&patient.env, &patient.dirs, file).is_some();
    Some(if is_claudes && !has_other && agents.contains(&&AgentChoice::Claude) {
        Check::broken(CREDENTIALS, what, remedy)
    } else {
        Check::note(CREDENTIALS, what, remedy)
    })
}

/// The secrets of Claude's family are what it may log in with.
fn is_claudes_key(name: &str) -> bool {
    family(name) == Some(Family::Claude) && is_secret(name, "")
}

/// What is in the env file that Claude logs in with.
fn in_env_file(file: &EnvFile) -> Option<String> {
    const CLOUDS: [&str; 2] = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"];
    let names: Vec<&str> = file
        .iter()
        .map(|(name, ..)| name)
        .filter(|name| is_claudes_key(name) || CLOUDS.contains(name))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The folder or file by which Claude is logged in: OAuth, or a helper that brings a key.
fn logged_in(env: &Env, dirs: &Dirs, file: &EnvFile) -> Option<String> {
    const CONFIG_DIR: &str = "CLAUDE_CONFIG_DIR";
    let folder = env
        .get(CONFIG_DIR)
        .map(PathBuf::from)
        .or_else(|| file.get(CONFIG_DIR).map(|folder| PathBuf::from(folder.expose())))
        .unwrap_or_else(|| dirs.home.join(".claude"));
    let oauth = folder.join(".credentials.json");
    if oauth.is_file() {
        return Some(format!("logged in by {}", dirs.short(&oauth)));
    }
    let settings = folder.join("settings.json");
    has_helper(&settings).then(|| format!("apiKeyHelper in {}", dirs.short(&settings)))
}

fn has_helper(settings: &Path) -> bool {
    fs::read(settings)
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .is_some_and(|settings| settings["apiKeyHelper"].is_string())
}

fn claude_credentials(patient: &Patient, file: &EnvFile) -> Check {
    let short = patient.dirs.short(&patient.dirs.env_file());
    if let Some(names) = in_env_file(file) {
        return Check::ok(CREDENTIALS, format!("claude has {names} from {short}"));
    }
    match logged_in(&patient.env, &patient.dirs, file) {
        Some(how) => Check::ok(CREDENTIALS, format!("claude is {how}")),
        None => Check::note(
            CREDENTIALS,
            "no credentials for claude were found that a unit would see",
            format!("log in with: claude /login, or put ANTHROPIC_API_KEY into {short}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::ConfigFile;

    fn file(text: &str) -> EnvFile {
        EnvFile::of(&ConfigFile::parse(Path::new("env"), text.as_bytes()).unwrap())
    }

    #[test]
    fn claude_is_logged_in_by_its_own_folder_wherever_that_is() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::of_home(home.path());
        let none = file("");
        assert_eq!(logged_in(&Env::default(), &dirs, &none), None);

        let work = home.path().join("work");
        fs::create_dir(&work).unwrap();
        fs::write(work.join(".credentials.json"), "{}").unwrap();
        let mut env = Env::default();
        env.set("CLAUDE_CONFIG_DIR", &work);
        let how = logged_in(&env, &dirs, &none).unwrap();
        assert_eq!(how, "logged in by ~/work/.credentials.json");
        let filed = file(&format!("CLAUDE_CONFIG_DIR={}\n", work.display()));
        assert_eq!(logged_in(&Env::default(), &dirs, &filed), Some(how));

        fs::create_dir(home.path().join(".claude")).unwrap();
        let settings = home.path().join(".claude/settings.json");
        fs::write(&settings, "{\"model\": \"opus\"}").unwrap();
        assert_eq!(logged_in(&Env::default(), &dirs, &none), None);
        fs::write(&settings, "{\"apiKeyHelper\": \"/bin/key\"}").unwrap();
        assert!(logged_in(&Env::default(), &dirs, &none).unwrap().starts_with("apiKeyHelper"));
    }

    #[test]
    fn what_claude_logs_in_with_is_told_by_name() {
        let filed = file("ANTHROPIC_API_KEY=sk-x\nANTHROPIC_BASE_URL=http://x\nOPENAI_API_KEY=y\n");
        assert_eq!(in_env_file(&filed).as_deref(), Some("ANTHROPIC_API_KEY"));
        assert_eq!(in_env_file(&file("TELEGRAM_BOT_TOKEN=x\n")), None);
        let bedrock = in_env_file(&file("CLAUDE_CODE_USE_BEDROCK=1\n"));
        assert_eq!(bedrock.as_deref(), Some("CLAUDE_CODE_USE_BEDROCK"));
    }
}
