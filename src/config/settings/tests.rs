//! Tests of the settings: precedence, bad values, and what is shown of them.

use std::path::Path;

use super::super::vocabulary::sample;
use super::*;
use crate::session::Hint as _;
use proptest::prelude::*;

/// A home with the user's files and a project, each as text.
#[derive(Default)]
struct Given {
    user: &'static str,
    project: &'static str,
    env_file: &'static str,
    env: Vec<(&'static str, &'static str)>,
    flags: Flags,
}

impl Given {
    fn load(&self) -> Result<Settings, Error> {
        let parse =
            |path: &str, text: &str| ConfigFile::parse(Path::new(path), text.as_bytes()).unwrap();
        let file = parse("/h/shop/.samocode", self.project);
        let project = Project {
            config: file.path.clone(),
            root: "/h/shop".into(),
            name: "shop".to_owned(),
            main_repo: "/h/shop".into(),
            worktrees: "/h/w".into(),
            sessions: "/h/s".into(),
            file,
        };
        let user = parse("/h/.config/samocode/config", self.user);
        let env_file = EnvFile::of(&parse("/h/.config/samocode/env", self.env_file));
        let env = Env::from_iter(self.env.iter().copied());
        let dirs = Dirs::of_home(Path::new("/h"));
        Settings::of_layers(
            &sample::vocabulary(),
            &dirs,
            &user,
            Some(&project),
            &env_file,
            &env,
            &self.flags,
        )
    }

    fn row(&self, key: &str) -> (String, String) {
        let settings = self.load().unwrap();
        let row = settings.rows().iter().find(|row| row.key == key).unwrap();
        (row.value.clone(), row.origin.to_string())
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err().in_one_line()
    }
}

#[test]
fn without_any_setting_the_defaults_of_the_table_count() {
    let settings = Given::default().load().unwrap();
    assert_eq!(
        (settings.of_agents("CLAUDE_PATH").unwrap(), settings.of_agents("CLAUDE_MODEL").unwrap()),
        ("claude", "opus")
    );
    assert_eq!((settings.of_agents("CLAUDE_MAX_TURNS").unwrap(), settings.max_retries), ("300", 3));
    assert_eq!(settings.run_timeout, Duration::from_secs(1800));
    assert_eq!(settings.retry_delay, Duration::from_secs(5));
    assert_eq!(settings.budgets, Budgets::default());
    let limits = [&settings.memory_max, &settings.tasks_max, &settings.cpu_weight];
    assert_eq!(limits, ["50%", "4096", "100"]);
    assert_eq!((settings.disk_floor, settings.context_handoff_at), (1 << 30, 80));
    assert_eq!((settings.max_running, settings.inhibit), (None, Inhibit::None));
    assert_eq!(
        (settings.branch_prefix, settings.test_command, settings.telegram_chat_id),
        (None, None, None)
    );
    assert!(settings.telegram_bot_token.is_none());
    assert_eq!(settings.telegram_api_url, "https://api.telegram.org");
    for phase in Phase::ALL {
        let settings = Given::default().load().unwrap();
        assert_eq!(settings.agent(phase).word(), "claude");
        assert_eq!(settings.stall_after(phase), Duration::from_secs(600));
    }
}

#[test]
fn the_later_layer_counts_and_the_origin_is_told() {
    let mut given = Given::default();
    assert_eq!(given.row("CLAUDE_MODEL"), ("opus".to_owned(), "default".to_owned()));
    given.user = "\n\nCLAUDE_MODEL=user\n";
    assert_eq!(
        given.row("CLAUDE_MODEL"),
        ("user".to_owned(), "~/.config/samocode/config:3".to_owned())
    );
    given.project = "CLAUDE_MODEL=project\n";
    assert_eq!(given.row("CLAUDE_MODEL"), ("project".to_owned(), "~/shop/.samocode:1".to_owned()));
    given.env_file = "# x\nCLAUDE_MODEL=file\nSAMOCODE_MAX_RETRIES=9\n";
    assert_eq!(given.row("SAMOCODE_MAX_RETRIES").0, "3", "not a setting of that file");
    assert_eq!(
        given.row("CLAUDE_MODEL"),
        ("file".to_owned(), "~/.config/samocode/env:2".to_owned())
    );
    given.env = vec![("CLAUDE_MODEL", "env")];
    assert_eq!(given.row("CLAUDE_MODEL"), ("env".to_owned(), "environment".to_owned()));
    given.flags = Flags::default().with("--model", "CLAUDE_MODEL", "flag");
    assert_eq!(given.row("CLAUDE_MODEL"), ("flag".to_owned(), "--model".to_owned()));
    assert_eq!(given.load().unwrap().of_agents("CLAUDE_MODEL").unwrap(), "flag");
}

#[test]
fn an_empty_value_is_no_value() {
    let given = Given {
        user: "CLAUDE_MODEL=user\n",
        project: "CLAUDE_MODEL=\n",
        env: vec![("CLAUDE_MODEL", " ")],
        flags: Flags::default().with("--model", "CLAUDE_MODEL", ""),
        ..Given::default()
    };
    assert_eq!(given.load().unwrap().of_agents("CLAUDE_MODEL").unwrap(), "user");
}

#[test]
fn a_phases_own_key_counts_unless_the_general_one_is_set_later() {
    let mut given = Given {
        user: "SAMOCODE_AGENT=rehearsal\nSAMOCODE_STALL_AFTER_TESTING=1h\n",
        project: "SAMOCODE_AGENT=codex\nSAMOCODE_AGENT_TESTING=claude\n",
        ..Given::default()
    };
    let settings = given.load().unwrap();
    assert_eq!(settings.agent(Phase::Planning).word(), "codex");
    assert_eq!(settings.agent(Phase::Testing).word(), "claude");
    assert_eq!(settings.stall_after(Phase::Testing), Duration::from_secs(3600));
    assert_eq!(settings.stall_after(Phase::Planning), Duration::from_secs(600));
    given.flags = Flags::default().with("--agent", "SAMOCODE_AGENT", "rehearsal");
    let settings = given.load().unwrap();
    assert!(Phase::ALL.iter().all(|phase| settings.agent(*phase).word() == "rehearsal"));
    assert_eq!(given.row("SAMOCODE_AGENT_TESTING").1, "~/shop/.samocode:2");
}

#[test]
fn flags_count_the_same_once_they_are_in_the_environment() {
    let env = vec![("SAMOCODE_AGENT_TESTING", "codex"), ("CLAUDE_MODEL", "haiku")];
    let flags = Flags::default()
        .with("--agent", "SAMOCODE_AGENT", "rehearsal")
        .with("--agent-planning", "SAMOCODE_AGENT_PLANNING", "claude")
        .with("--model", "CLAUDE_MODEL", "");
    let with_flags =
        Given { env: env.clone(), flags: flags.clone(), ..Given::default() }.load().unwrap();
    let over = flags.over(&Env::from_iter(env));
    let pairs: Vec<_> =
        over.iter().map(|(n, v)| (n.to_str().unwrap(), v.to_str().unwrap())).collect();
    let dirs = Dirs::of_home(Path::new("/h"));
    let none = ConfigFile::parse(Path::new("/h/x"), b"").unwrap();
    let recorded = Env::from_iter(pairs);
    let without = Settings::of_layers(
        &sample::vocabulary(),
        &dirs,
        &none,
        None,
        &EnvFile::default(),
        &recorded,
        &Flags::default(),
    )
    .unwrap();
    for phase in Phase::ALL {
        assert_eq!(with_flags.agent(phase), without.agent(phase), "{phase}");
    }
    assert_eq!(without.agent(Phase::Testing).word(), "rehearsal");
    assert_eq!(
        (with_flags.of_agents("CLAUDE_MODEL"), without.of_agents("CLAUDE_MODEL")),
        (Some("haiku"), Some("haiku"))
    );
}

#[test]
fn a_bad_value_is_named_with_its_place_and_what_is_allowed() {
    let project = |project| Given { project, ..Given::default() }.refusal();
    assert_eq!(
        project("\nSAMOCODE_STALL_AFTER=soon\n"),
        "SAMOCODE_STALL_AFTER=soon (~/shop/.samocode:2) is not allowed: use seconds or a duration above 0, as in 1800, 30s, 10 min or 2h, up to a year"
    );
    for (line, allowed) in [
        ("CLAUDE_MAX_TURNS=0", "from 1 to 1000000"),
        ("CLAUDE_MAX_TURNS=4294967297", "from 1 to"),
        ("CLAUDE_TIMEOUT=0", "above 0"),
        ("SAMOCODE_MAX_RETRIES=-1", "from 0 to"),
        ("SAMOCODE_AGENT=cluade", "use claude, codex"),
        ("SAMOCODE_AGENT=command:a 'b", "not closed"),
        ("SAMOCODE_AGENT_TESTING=x", "use claude, codex"),
        ("SAMOCODE_BUDGET_USD=0", "or none"),
        ("SAMOCODE_BUDGET_TOKENS_DAY=x", "or none"),
        ("SAMOCODE_MEMORY_MAX=lots", "infinity"),
        ("SAMOCODE_CPU_WEIGHT=0", "from 1 to 10000"),
        ("SAMOCODE_DISK_FLOOR=1 parsec", "use a size"),
        ("SAMOCODE_CONTEXT_HANDOFF_AT=0.8", "whole percent"),
        ("SAMOCODE_MAX_RUNNING=0", "by memory"),
        ("TELEGRAM_API_URL=api.telegram.org", "as in https://"),
        ("SAMOCODE_INHIBIT=sleep", "none or idle"),
        ("GIT_BRANCH_PREFIX=a..b", "branch name"),
        ("GIT_BRANCH_PREFIX=-x", "branch name"),
        ("CLAUDE_PATH=~bob/claude", "another user's home"),
        ("CLAUDE_MODEL=\"a\\nb\"", "without control characters"),
    ] {
        let told = project(line);
        let key = line.split('=').next().unwrap();
        assert!(told.starts_with(&format!("{key}=")) && told.contains(allowed), "{told}");
        assert!(told.contains("(~/shop/.samocode:1)") && !told.contains('\n'), "{told}");
    }
    let env = Given { env: vec![("CLAUDE_TIMEOUT", "x")], ..Given::default() }.refusal();
    assert!(env.starts_with("CLAUDE_TIMEOUT=x (environment) is not allowed: "), "{env}");
    let env = vec![("SAMOCODE_AGENT", "command:'open")];
    let env = Given { env, ..Given::default() }.refusal();
    assert!(
        env.starts_with("SAMOCODE_AGENT=command:'open (environment) is not allowed: "),
        "{env}"
    );
    let flag = Flags::default().with("--budget", "SAMOCODE_BUDGET_USD", "much");
    let flag = Given { flags: flag, ..Given::default() }.refusal();
    assert!(flag.starts_with("SAMOCODE_BUDGET_USD=much (--budget) is not allowed: "), "{flag}");
}

#[test]
fn a_bad_value_that_is_overridden_does_no_harm() {
    let given =
        Given { user: "CLAUDE_TIMEOUT=x\n", project: "CLAUDE_TIMEOUT=9.5\n", ..Given::default() };
    assert_eq!(given.load().unwrap().run_timeout, Duration::from_millis(9500));
}

#[test]
fn values_of_all_kinds_are_read() {
    let given = Given {
        project: "SAMOCODE_BUDGET_USD=$5\nSAMOCODE_BUDGET_TOKENS_RUN=2M\nSAMOCODE_MEMORY_MAX=2 GiB\n\
                  SAMOCODE_MAX_RUNNING=4\nSAMOCODE_INHIBIT=idle\nGIT_BRANCH_PREFIX=team/ai/\n\
                  CLAUDE_PATH=bin/claude\nSAMOCODE_AGENT=command:./run -x\nSAMOCODE_TEST_COMMAND=make \"a b\" # c\n",
        user: "SAMOCODE_BUDGET_USD_DAY=20\nCLAUDE_PATH=~/x\n",
        env: vec![("SAMOCODE_BUDGET_USD_DAY", "none")],
        ..Given::default()
    };
    let settings = given.load().unwrap();
    assert_eq!(settings.budgets.session, Budget { usd: Some(5.0), tokens: None });
    assert_eq!(settings.budgets.run, Budget { usd: None, tokens: Some(2_000_000) });
    assert_eq!(settings.budgets.day, Budget::default());
    assert_eq!(settings.memory_max, "2147483648");
    assert_eq!((settings.max_running, settings.inhibit), (Some(4), Inhibit::Idle));
    assert_eq!(settings.branch_prefix.as_deref(), Some("team/ai"));
    assert_eq!(settings.of_agents("CLAUDE_PATH").unwrap(), "/h/shop/bin/claude");
    assert_eq!(settings.agent(Phase::Init).to_string(), "command:/h/shop/run -x");
    assert_eq!(settings.test_command.as_deref(), Some("make \"a b\""));
}

#[test]
fn secrets_are_shown_as_set_and_in_no_debug_output() {
    let given = Given {
        project: "TELEGRAM_BOT_TOKEN=1:project-secret\n",
        env_file: "TELEGRAM_BOT_TOKEN=1:file-secret\n",
        ..Given::default()
    };
    let settings = given.load().unwrap();
    assert_eq!(settings.telegram_bot_token.as_ref().map(Secret::expose), Some("1:file-secret"));
    assert_eq!(
        given.row("TELEGRAM_BOT_TOKEN"),
        ("set".to_owned(), "~/.config/samocode/env:1".to_owned())
    );
    let shown = format!("{settings:?} {}", serde_json::to_string(settings.rows()).unwrap());
    assert!(!shown.contains("secret\""), "{shown}");
    assert!(!shown.contains("-secret"), "{shown}");
    let bad = Given { env: vec![("TELEGRAM_BOT_TOKEN", "1:bad\u{1}-secret")], ..Given::default() };
    assert!(!bad.refusal().contains("-secret"), "{}", bad.refusal());
}

#[test]
fn oddities_of_the_files_are_warned_of() {
    let given = Given {
        user: "SESSIONS=~/s\n",
        project: "WORKTREES=~/w\nWORKTREE=~/w\nANTHROPIC_API_KEY=sk\nCLAUDE_MODEL=a\nCLAUDE_MODEL=b\nXYZZY=1\n",
        ..Given::default()
    };
    let settings = given.load().unwrap();
    let told: Vec<_> = settings.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "~/.config/samocode/config:1: SESSIONS is read only from a project's .samocode",
            "~/shop/.samocode:2: WORKTREE is not a key of samocode: did you mean WORKTREES?",
            "~/shop/.samocode:3: ANTHROPIC_API_KEY is ignored here: move it to ~/.config/samocode/env",
            "~/shop/.samocode:5: CLAUDE_MODEL is already set on line 4: this line overrides it",
            "~/shop/.samocode:6: XYZZY is not a key of samocode: 'samocode config' lists them",
        ]
    );
    assert_eq!(settings.of_agents("CLAUDE_MODEL").unwrap(), "b");
    assert_eq!(given.row("SESSIONS").1, "default");
}

#[test]
fn every_key_has_a_row_even_without_a_project() {
    let dirs = Dirs::of_home(Path::new("/h"));
    let none = ConfigFile::parse(Path::new("/h/x"), b"").unwrap();
    let settings = Settings::of_layers(
        &sample::vocabulary(),
        &dirs,
        &none,
        None,
        &EnvFile::default(),
        &Env::default(),
        &Flags::default(),
    );
    let rows: Vec<_> = settings.unwrap().rows().iter().map(|row| row.key.clone()).collect();
    let words = sample::vocabulary();
    assert_eq!(rows, words.keys().map(|key| key.name.to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_users_files_are_read_from_the_configuration_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("xdg/samocode");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config"), "CLAUDE_MODEL=haiku\n").unwrap();
    std::fs::write(folder.join("env"), "TELEGRAM_CHAT_ID=7\n").unwrap();
    let mut env = Env::from_iter([("HOME", home.path())]);
    env.set("XDG_CONFIG_HOME", home.path().join("xdg"));
    let settings = Settings::load(&sample::vocabulary(), None, &env, &Flags::default()).unwrap();
    assert_eq!(
        (settings.of_agents("CLAUDE_MODEL").unwrap(), settings.telegram_chat_id.as_deref()),
        ("haiku", Some("7"))
    );
    assert!(matches!(settings.warnings(), [Warning::Readable { .. }]), "{:?}", settings.warnings());
}

proptest! {
    #[test]
    fn the_last_layer_that_sets_a_key_counts(layers in proptest::array::uniform5(any::<bool>())) {
        let set = |at: usize, line: &'static str| if layers[at] { line } else { "" };
        let given = Given {
            user: set(0, "CLAUDE_MAX_TURNS=1"),
            project: set(1, "CLAUDE_MAX_TURNS=2"),
            env_file: set(2, "CLAUDE_MAX_TURNS=3"),
            env: if layers[3] { vec![("CLAUDE_MAX_TURNS", "4")] } else { vec![] },
            flags: if layers[4] {
                Flags::default().with("--max-turns", "CLAUDE_MAX_TURNS", "5")
            } else {
                Flags::default()
            },
        };
        let last = (1..=5).rev().find(|at| layers[*at as usize - 1]).unwrap_or(300);
        let settings = given.load().unwrap();
        let last = last.to_string();
        prop_assert_eq!(settings.of_agents("CLAUDE_MAX_TURNS"), Some(last.as_str()));
    }

    #[test]
    fn no_value_of_any_key_makes_it_panic(
        which in 0..sample::vocabulary().keys().count(),
        value in "\\PC{0,24}",
    ) {
        let key = sample::vocabulary().keys().nth(which).unwrap();
        let flags = Flags::default().with("--x", key.name, value);
        if let Err(error) = (Given { flags, ..Given::default() }).load() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn a_mistyped_variable_is_reported_and_one_of_ours_is_not() {
    let given = Given {
        env: vec![
            ("SAMOCODE_AGNET", "codex"),
            ("SAMOCODE_CONFIG", "/p/.samocode"),
            ("SAMOCODE_CONFINED", "1"),
            ("SAMOCODE_SESSION", "x"),
            ("SAMOCODE_SESSION_DIR", "/s"),
            ("SAMOCODE_PHASE", "testing"),
            ("SAMOCODE_RUN", "r"),
            ("SAMOCODE_PAGER", "less"),
            ("SAMOCODE_TEST", "1"),
        ],
        ..Given::default()
    };
    let settings = given.load().unwrap();
    let told: Vec<_> = settings.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["environment: SAMOCODE_AGNET is not a key of samocode: did you mean SAMOCODE_AGENT?"]
    );
}
