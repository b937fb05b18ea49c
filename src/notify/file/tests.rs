//! `notify.toml`: channels, secrets, mistakes.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Secret;
use crate::notify::{Channels, from_settings};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn channels(&self, project: Option<PathBuf>) -> Channels {
        let files = Files {
            user: Some(self.0.path().join(FILE)),
            project,
            home: self.0.path().to_owned(),
            ..Files::default()
        };
        let settings = Settings {
            telegram_token: Some(Secret::new("1:a")),
            telegram_chat: Some("5".to_owned()),
            files,
            ..Settings::default()
        };
        let folder = self.0.path().join("credentials").display().to_string();
        from_settings(&settings, &|name| match name {
            "HOOK_SECRET" => Some("s3cret-of-the-hook".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(folder.clone()),
            _ => None,
        })
    }

    fn user(&self, text: &str) -> Channels {
        self.write(FILE, text, 0o600);
        self.channels(None)
    }

    /// The one mistake in a file.
    fn mistake(&self, text: &str) -> String {
        let channels = self.user(text);
        let mut mistakes: Vec<_> =
            channels.left_out.into_iter().filter(|left_out| left_out.mistaken).collect();
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        assert!(names(&self.channels(None)).contains(&"telegram".to_owned()), "{text}");
        let LeftOut { notifier, reason, .. } = mistakes.remove(0);
        assert!(!reason.contains('\n'), "{reason}");
        format!("{notifier}: {reason}")
    }
}

fn names(channels: &Channels) -> Vec<String> {
    channels.notifiers.iter().map(|notifier| notifier.name().to_owned()).collect()
}

const ALL: &str = r#"
digest = "08:00"

[quiet]
from = "22:00"
to = "07:00"
except = ["blocked", "failed"]

[channel.phone]
type = "ntfy"
url = "https://ntfy.sh/my-topic"
token = "tk_1"
events = ["waiting", "blocked"]

[channel.slack]
url = "https://hooks.slack.com/services/T/B/x"

[channel.discord]
url_env = "HOOK_SECRET"

[channel.hook]
type = "webhook"
url = "https://example.org/hook"
secret_env = "HOOK_SECRET"
except = ["mail"]

[channel.me]
type = "mail"
to = "me@example.org"
sendmail = "/bin/true"

[channel.say]
type = "command"
command = ["say.sh", "-v"]

[channel.other-chat]
type = "telegram"
chat = -100200

[channel.desktop]
enabled = false
"#;

#[test]
fn every_kind_of_channel_is_set_up_by_its_table() {
    let home = Home::new();
    let text =
        ALL.replace("url_env = \"HOOK_SECRET\"", "url = \"https://discord.com/api/webhooks/1/x\"");
    let channels = home.user(&text);
    assert!(channels.left_out.is_empty(), "{:?}", channels.left_out);
    let expected = ["telegram", "discord", "hook", "me", "other-chat", "phone", "say", "slack"];
    assert_eq!(names(&channels), expected);
    let hours = &channels.hours;
    assert_eq!(hours.digest, Some(jiff::civil::time(8, 0, 0, 0)));
    let except = hours.quiet.as_ref().map(|quiet| quiet.except.clone());
    assert_eq!(except, Some(vec![NoticeKind::Blocked, NoticeKind::Failed]));
    let by_name = |name| channels.notifiers.iter().find(|one| one.name() == name).unwrap();
    assert!(
        by_name("phone").wants(NoticeKind::Blocked) && !by_name("phone").wants(NoticeKind::Done)
    );
    assert!(by_name("phone").wants(NoticeKind::Test), "a test reaches every channel");
    assert!(by_name("hook").wants(NoticeKind::Done) && !by_name("hook").wants(NoticeKind::Mail));
}

#[test]
fn a_mistake_is_one_line_with_its_key_and_costs_no_other_channel() {
    let home = Home::new();
    for (text, expected) in [
        (
            "[channel.phone]\ntype = \"ntfy\"\nulr = \"x\"\n",
            "phone: ~/notify.toml: [channel.phone]: url is missing; add url = \"https://ntfy.sh/TOPIC\"",
        ),
        (
            "[channel.phone]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh/x\"\ntokn_file = \"x\"\n",
            "tokn_file is not a key here; did you mean token_file?",
        ),
        ("[channel.phone]\ntype = \"ntfi\"\n", "type cannot be used: unknown variant `ntfi`"),
        ("[channel.phone]\nurl = \"x\"\n", "type is missing"),
        ("[channel.phone]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh\"\n", "url has no topic"),
        ("[channel.slack]\nurl = \"hooks.slack.com\"\n", "url is not an address"),
        ("[channel.slack]\nurl_env = \"NO_SUCH\"\n", "url_env: NO_SUCH is not set"),
        ("[channel.slack]\nurl_file = \"missing\"\n", "there is no such file"),
        (
            "[channel.slack]\nurl = \"https://x.y/z\"\nurl_env = \"HOOK_SECRET\"\n",
            "exclude each other",
        ),
        ("[channel.mail]\nto = \"a@b, c@d\"\nsendmail = \"/bin/true\"\n", "is not a plain address"),
        ("[channel.command]\ncommand = []\n", "command is empty"),
        ("[channel.command]\ncommand = \"say hello\"\n", "write it like command = ["),
        (
            "[channel.desktop]\nevents = [\"wating\"]\n",
            "events cannot be used: unknown variant `wating`",
        ),
        ("[channel.Phone]\n", "a channel's name has lower-case letters"),
        ("channel = 5\n", "notify.toml: ~/notify.toml: channel: it is of the type integer"),
        ("[chanel.phone]\n", "chanel is not a key here"),
        ("[quiet]\nfrom = \"22:00\"\n", "[quiet]: to is missing"),
        ("[quiet]\nfrom = \"25:00\"\nto = \"07:00\"\n", "[quiet]: from is not a time"),
        ("[quiet]\nfrom = \"07:00\"\nto = \"07:00\"\n", "are the same time"),
        ("digest = \"08:00\"\n", "digest tells of quiet hours and there are none"),
        (
            "digest = \"06:00\"\n[quiet]\nfrom = \"22:00\"\nto = \"07:00\"\n",
            "set it to 07:00 or later",
        ),
        ("\n[channel.phone\n", "notify.toml: ~/notify.toml: line 2: "),
    ] {
        let mistake = home.mistake(text);
        assert!(mistake.contains(expected), "{text}: {mistake}");
    }
}

#[test]
fn a_secret_is_refused_in_a_file_that_others_can_read() {
    let home = Home::new();
    home.write(FILE, ALL, 0o644);
    let channels = home.channels(None);
    let reasons: Vec<_> = channels.left_out.iter().map(|left_out| &left_out.reason).collect();
    assert!(
        reasons.iter().any(|reason| reason.contains(
            "token is a secret, and others can read the file (mode 0644); run: chmod 600 "
        )),
        "{reasons:?}"
    );
    // Those that name their secrets, or have none, stay.
    assert_eq!(names(&channels), ["telegram", "hook", "me", "other-chat", "say"]);
    assert!(!format!("{channels:?}").contains("tk_1"));

    let text =
        "[channel.phone]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh/x\"\ntoken_file = \"token\"\n";
    home.write(FILE, text, 0o644);
    home.write("token", "tk_1\n", 0o640);
    let reason = home.channels(None).left_out.pop().unwrap().reason;
    assert!(reason.contains("others can read the file (mode 0640)"), "{reason}");
    home.write("token", "tk_1\n", 0o600);
    assert_eq!(names(&home.channels(None)), ["telegram", "phone"]);
}

#[test]
fn a_project_replaces_channels_by_name_and_never_the_quiet_hours() {
    let home = Home::new();
    home.user("[channel.ops]\ntype = \"command\"\ncommand = [\"a\"]\nevents = [\"done\"]\n");
    let wants = |channels: &Channels, kind| {
        channels.notifiers.iter().find(|one| one.name() == "ops").unwrap().wants(kind)
    };
    let project = |text| Some(home.write("project.toml", text, 0o600));
    let channels = home.channels(project(
        "[channel.ops]\ntype = \"command\"\ncommand = [\"b\"]\nevents = [\"blocked\"]\n",
    ));
    assert!(wants(&channels, NoticeKind::Blocked) && !wants(&channels, NoticeKind::Done));

    let channels = home.channels(project("[channel.ops]\ntype = \"command\"\n"));
    assert!(wants(&channels, NoticeKind::Done), "the user's is better than none");
    assert_eq!(channels.left_out.iter().filter(|left_out| left_out.mistaken).count(), 1);

    let channels = home.channels(project("[quiet]\nfrom = \"22:00\"\nto = \"07:00\"\n"));
    assert_eq!(channels.hours, Hours::default());
    let reason = &channels.left_out.last().unwrap().reason;
    assert!(reason.contains("[quiet] belongs into ~/.config/samocode/notify.toml"), "{reason}");

    let channels = home.channels(project("[channel.telegram]\nenabled = false\n"));
    assert_eq!(names(&channels), ["ops"]);
}

#[tokio::test]
async fn a_credential_is_used_by_the_unit_that_has_it_and_left_to_it_by_others() {
    let home = Home::new();
    let text =
        "[channel.bot]\ntype = \"telegram\"\ntoken_credential = \"token\"\nevents = [\"done\"]\n";
    let elsewhere = home.user(text);
    let find = |channels: &Channels| {
        channels.notifiers.iter().find(|notifier| notifier.name() == "bot").cloned().unwrap()
    };
    let channel = find(&elsewhere);
    assert!(!channel.sends_here() && channel.wants(NoticeKind::Done));
    assert!(!channel.wants(NoticeKind::Waiting) && channel.bot().is_none());
    let error = channel.send(&crate::notify::Notice::test("t", "")).await.unwrap_err();
    assert!(error.to_string().contains("LoadCredential=token:"), "{error}");

    fs::create_dir(home.0.path().join("credentials")).unwrap();
    home.write("credentials/token", "12:abc\n", 0o400);
    let here = home.user(text);
    let channel = find(&here);
    assert!(channel.sends_here());
    assert_eq!(channel.bot().unwrap().token.expose(), "12:abc");

    let said = home.mistake("[channel.bot]\ntype = \"telegram\"\ntoken_credential = \"../x\"\n");
    assert!(said.contains("cannot be the name of a credential"), "{said}");
    let both = "token_credential = \"token\"\ntoken_env = \"X\"\n";
    let said = home.mistake(&format!("[channel.bot]\ntype = \"telegram\"\n{both}"));
    assert!(said.contains("exclude each other"), "{said}");
}

#[test]
fn a_webhooks_secret_that_anybody_could_guess_is_refused() {
    let home = Home::new();
    let hook = |secret: &str| {
        format!(
            "[channel.hook]\ntype = \"webhook\"\nurl = \"https://example.org/hook\"\nsecret = \"{secret}\"\n"
        )
    };
    let said = home.mistake(&hook("e"));
    assert!(said.contains("too short") && said.contains("openssl rand"), "{said}");
    let channels = home.user(&hook("a longer one"));
    assert!(names(&channels).contains(&"hook".to_owned()), "{:?}", channels.left_out);
}
