//! Every key of the table, from every layer that may set it, has the effect it is there for. What is
//! looked at is not the setting but what is made of it: the agent's command line, the request that
//! reaches the server, the limits.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::agent::environment::recorded;
use crate::agent::{REGISTRY, Task, vocabulary};
use crate::config::file::ConfigFile;
use crate::config::keys::{self, Key, Kind};
use crate::config::{AgentManifest, AgentName, Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::channels;
use crate::notify::{Files, Notice};
use crate::service::Limits;
use crate::session::Phase;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layer {
    User,
    Project,
    EnvFile,
    Environment,
    Flag,
}

const LAYERS: [Layer; 5] =
    [Layer::User, Layer::Project, Layer::EnvFile, Layer::Environment, Layer::Flag];

/// A server of the Bot API that notes down what it gets.
struct Server {
    url: String,
    seen: Arc<Mutex<String>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(String::new()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                // The body is one line of JSON.
                while !request.ends_with(b"}") {
                    let mut chunk = [0; 4096];
                    let count = stream.read(&mut chunk).await.unwrap();
                    request.extend_from_slice(&chunk[..count]);
                }
                *record.lock().unwrap() = String::from_utf8(request).unwrap();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"ok\":true}";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> String {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// A machine with two Bot API servers, a program, and a project.
struct Bench {
    root: tempfile::TempDir,
    servers: [Server; 2],
}

impl Bench {
    fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    /// A value other than the default, for each kind of key.
    fn value(&self, key: &Key) -> String {
        match key.kind {
            Kind::Folder => self.path("elsewhere"),
            Kind::Program => self.path("program"),
            Kind::Text if key.name == "TELEGRAM_BOT_TOKEN" => "7:other".to_owned(),
            Kind::Text => "other".to_owned(),
            Kind::Url => self.servers[1].url.clone(),
            Kind::WordOrFile(_) => self.path("file"),
            Kind::BranchPrefix => "feature".to_owned(),
            Kind::Number(..) => "7".to_owned(),
            Kind::Duration | Kind::Timeout => "77".to_owned(),
            Kind::Agent => "rehearsal".to_owned(),
            Kind::Agents => "rehearsal, claude".to_owned(),
            Kind::Money => "7.50".to_owned(),
            Kind::Tokens => "70k".to_owned(),
            Kind::Memory => "7G".to_owned(),
            Kind::Tasks | Kind::CpuWeight => "77".to_owned(),
            Kind::Size => "7 GiB".to_owned(),
            Kind::Percent => "70".to_owned(),
            Kind::MaxRunning => "7".to_owned(),
            Kind::Inhibit => "idle".to_owned(),
            Kind::Confine => "strict".to_owned(),
            Kind::Paths => "/srv/models:~/data".to_owned(),
            Kind::Peers => "example.org, 5432".to_owned(),
            Kind::Sockets => "any".to_owned(),
            Kind::YesNo => "yes".to_owned(),
            Kind::Names => "target out".to_owned(),
            Kind::Variables => "YARN_CACHE_FOLDER".to_owned(),
        }
    }

    fn file(&self, name: &str, text: &str) -> ConfigFile {
        ConfigFile::parse(&self.root.path().join(name), text.as_bytes()).unwrap()
    }

    /// The effect of a key, with `name` set to `value` in one layer, or nowhere.
    async fn effect(&self, key: &Key, set: Option<(Layer, &str, &str)>) -> String {
        let line = |layer: Layer| match set {
            Some((in_layer, name, value)) if in_layer == layer => format!("{name}={value}\n"),
            _ => String::new(),
        };
        // A bot that works, for the keys of which only one is looked at.
        let url = &self.servers[0].url;
        let bot =
            format!("TELEGRAM_BOT_TOKEN=1:token\nTELEGRAM_CHAT_ID=5\nTELEGRAM_API_URL={url}\n");
        let user = self.file("config", &format!("{bot}{}", line(Layer::User)));
        let mut text = line(Layer::Project);
        for folder in ["MAIN_REPO", "WORKTREES", "SESSIONS"] {
            if !text.starts_with(folder) {
                writeln!(text, "{folder}={}", self.path(folder)).unwrap();
            }
        }
        let config = self.root.path().join(".samocode");
        std::fs::write(&config, text).unwrap();
        let project = Project::read(&config, None).unwrap();
        let env_file = EnvFile::of(&self.file("env", &line(Layer::EnvFile)));
        let (mut env, mut flags) = (Env::from_iter([("PATH", self.path(""))]), Flags::default());
        match set {
            Some((Layer::Environment, name, value)) => env.set(name, value),
            Some((Layer::Flag, name, value)) => flags = flags.with("--flag", name, value),
            _ => {}
        }
        let dirs = Dirs::of_home(self.root.path());
        let settings = Settings::of_layers(
            &vocabulary(),
            &dirs,
            &user,
            Some(&project),
            &env_file,
            &env,
            &flags,
        )
        .unwrap();
        self.made_of(key, &settings, &project, &env, &env_file).await
    }

    /// What is made of a key.
    async fn made_of(
        &self,
        key: &Key,
        settings: &Settings,
        project: &Project,
        env: &Env,
        env_file: &EnvFile,
    ) -> String {
        let Settings { budgets, .. } = settings;
        let limits = || {
            let limits = Limits {
                tasks_max: Some(settings.tasks_max.clone()),
                cpu_weight: Some(settings.cpu_weight.clone()),
                ..Limits::default()
            };
            format!("{:?}", limits.with_memory(&settings.memory_max))
        };
        match key.name {
            "MAIN_REPO" => project.main_repo.display().to_string(),
            "WORKTREES" => project.worktrees.display().to_string(),
            "SESSIONS" => project.sessions.display().to_string(),
            "SAMOCODE_AGENT" => Phase::ALL.map(|phase| settings.agent(phase).to_string()).join(" "),
            "SAMOCODE_REVIEWERS" => format!("{:?}", settings.reviewers),
            "SAMOCODE_REVIEW_ROUNDS" => settings.review_rounds.to_string(),
            "SAMOCODE_STALL_AFTER" => {
                Phase::ALL.map(|phase| format!("{:?}", settings.stall_after(phase))).join(" ")
            }
            "CLAUDE_TIMEOUT" => format!("{:?}", settings.run_timeout),
            "SAMOCODE_MAX_RETRIES" => settings.max_retries.to_string(),
            "SAMOCODE_RETRY_DELAY" => format!("{:?}", settings.retry_delay),
            "GIT_BRANCH_PREFIX" => settings.branch_of("jwt"),
            "SAMOCODE_MAIL_BUDGET" => settings.mail_budget.to_string(),
            "SAMOCODE_TEST_TIMEOUT" => format!("{:?}", settings.test_timeout),
            "SAMOCODE_SETUP_COMMAND"
            | "SAMOCODE_TEARDOWN_COMMAND"
            | "SAMOCODE_SETUP_TIMEOUT"
            | "SAMOCODE_SUBMODULES" => format!("{:?}", settings.provision),
            "SAMOCODE_TEST_COMMAND" => format!("{:?}", settings.test_command),
            "SAMOCODE_BUDGET_USD" | "SAMOCODE_BUDGET_TOKENS" => format!("{:?}", budgets.session),
            "SAMOCODE_BUDGET_USD_RUN" | "SAMOCODE_BUDGET_TOKENS_RUN" => {
                format!("{:?}", budgets.run)
            }
            "SAMOCODE_BUDGET_USD_DAY" | "SAMOCODE_BUDGET_TOKENS_DAY" => {
                format!("{:?}", budgets.day)
            }
            "SAMOCODE_CONTEXT_HANDOFF_AT" => settings.context_handoff_at.to_string(),
            "SAMOCODE_QUOTA_SPARE" => settings.quota_spare.to_string(),
            "SAMOCODE_QUOTA_STOP_AT" => format!("{:?}", settings.quota_stop_at),
            "SAMOCODE_MEMORY_MAX" | "SAMOCODE_TASKS_MAX" | "SAMOCODE_CPU_WEIGHT" => limits(),
            "SAMOCODE_CACHE_FOLDERS" => settings.cache_folders.join(" "),
            "SAMOCODE_OWN_CACHES" => settings.own_caches.join(" "),
            "SAMOCODE_COMPRESS_LOGS_AFTER" => format!("{:?}", settings.compress_logs_after),
            "SAMOCODE_DISK_FLOOR" => settings.disk_floor.to_string(),
            "SAMOCODE_MAX_RUNNING" => format!("{:?}", settings.max_running),
            "SAMOCODE_PRIORITY" => settings.priority.to_string(),
            "SAMOCODE_INHIBIT" => format!("{:?}", settings.inhibit),
            "SAMOCODE_CONFINE"
            | "SAMOCODE_ALLOW_READ"
            | "SAMOCODE_ALLOW_WRITE"
            | "SAMOCODE_ALLOW_CONNECT"
            | "SAMOCODE_ALLOW_SOCKETS" => {
                Phase::ALL.map(|phase| format!("{:?}", settings.confine(phase))).join(" ")
            }
            "TELEGRAM_BOT_TOKEN" | "TELEGRAM_CHAT_ID" | "TELEGRAM_API_URL" => {
                let channels = channels(settings, Files::default(), env, env_file, false);
                channels.notifiers[0].send(&Notice::test("n", "")).await.unwrap();
                self.servers.iter().map(Server::seen).collect::<Vec<_>>().join("|")
            }
            name if vocabulary().agents_keys().any(|known| known.name == name) => {
                let binary = Path::new("/bin/samocode");
                let words = vocabulary();
                let has =
                    |agent: &&&AgentManifest| agent.keys.iter().any(|known| known.name == name);
                let agent = words.agents().iter().find(has).unwrap().name;
                let agent = AgentName::parse(agent, Path::new("/"), None, &words).unwrap();
                let launched = |phase| match REGISTRY.agent(&agent, phase, settings, env, binary) {
                    Ok(agent) => format!("{:?}", agent.launch(&Task::default())),
                    Err(error) => error.to_string(),
                };
                Phase::ALL.map(launched).join(" ")
            }
            other => panic!("say here what {other} does"),
        }
    }
}

#[tokio::test]
async fn every_key_acts_from_every_layer() {
    let root = tempfile::tempdir().unwrap();
    let bench = Bench { root, servers: [Server::start().await, Server::start().await] };
    for program in ["program", "claude", "codex", "gemini"] {
        let path = bench.path(program);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
    let words = vocabulary();
    let mut seen = 0;
    for key in words.keys() {
        let value = bench.value(key);
        let without = bench.effect(key, None).await;
        for name in keys::names(key) {
            for layer in LAYERS {
                let may = match layer {
                    Layer::Project => true,
                    Layer::EnvFile => words.owner(&name).is_some() && !key.of_project,
                    _ => !key.of_project,
                };
                let with = bench.effect(key, Some((layer, &name, &value))).await;
                assert_eq!(with != without, may, "{name} in {layer:?}: {without} -> {with}");
                seen += 1;
            }
            // What the shell sets when a unit is made has to reach the worker.
            let env = Env::from_iter([(name.as_str(), value.as_str())]);
            let reaches = !key.of_project && !key.secret;
            let unit = recorded(&words, &env, bench.root.path());
            assert_eq!(unit.iter().any(|(known, _)| *known == name), reaches, "{name}: {unit:?}");
        }
    }
    assert!(seen > 150, "{seen}");
}
