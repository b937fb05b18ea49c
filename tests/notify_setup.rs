//! `samocode notify setup`, by a person at a real terminal with a phone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::{self, Bot, Screen, WRONG_TOKEN};

const TOKEN: &str = "12345678:AAabcdefghijklmnopqrstuvwxyz0123456";

const ASKS: &str = "token (not shown):";

/// The code that the screen asks to be sent.
fn code(screen: &Screen<'_>) -> String {
    let text = screen.text();
    let found = text.rsplit_once("/start ").and_then(|(_, rest)| rest.split_whitespace().next());
    found.unwrap_or_else(|| panic!("no code: {text}")).to_owned()
}

#[test]
fn a_bot_is_paired_at_a_terminal_whatever_goes_wrong_before() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("pairs"), Bot::start());
    let reaches = |url: &str| {
        user.write(".config/samocode/config", format!("TELEGRAM_API_URL={url}\n"));
    };
    reaches(bot.url());
    let nothing_is_saved = || {
        assert!(!user.host_path(user.home.join(".config/samocode/env")).exists(), "it is saved");
    };
    let Some(screen) = Screen::open(&user, &user.home, "samocode notify setup") else { return };

    // Ctrl-C leaves a terminal that shows what is typed, Ctrl-Z as well.
    screen.shows(ASKS);
    screen.keys("secret C-c");
    screen.keys("'clear; stty -a | grep -qw -- -echo || echo it is $((40 + 2))' Enter");
    screen.shows("it is 42");
    screen.keys("'clear; samocode notify setup' Enter");
    screen.shows(ASKS);
    screen.keys("C-z");
    screen.shows("Stopped");
    screen.keys("'clear; stty -a | grep -qw -- -echo || echo it is $((40 + 3))' Enter");
    screen.shows("it is 43");
    screen.keys("'clear; fg' Enter");
    screen.shows(ASKS);

    screen.keys(&format!("{WRONG_TOKEN} Enter"));
    screen.shows("rejected the bot");
    screen.shows("@BotFather");
    nothing_is_saved();

    // No network.
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port");
    reaches(&format!("http://{}", unused.local_addr().expect("an address")));
    drop(unused);
    screen.keys("'clear; samocode notify setup' Enter");
    screen.shows(ASKS);
    screen.keys(&format!("{TOKEN} Enter"));
    screen.shows("cannot reach 127.0.0.1");
    screen.shows("nothing was saved");
    reaches(bot.url());

    // Left while it waits for the phone.
    screen.keys("'clear; samocode notify setup' Enter");
    screen.shows(ASKS);
    screen.keys(&format!("{TOKEN} Enter"));
    screen.shows("https://t.me/shop_bot?start=");
    screen.shows("Waiting for that");
    let left = code(&screen);
    screen.keys("C-c");
    nothing_is_saved();

    screen.keys("'clear; samocode notify setup' Enter");
    screen.shows(ASKS);
    screen.keys(&format!("{TOKEN} Enter"));
    screen.shows("Waiting for that");
    let processes = user.sh("ps -u $USER -o args=").ok().stdout;
    assert!(!processes.contains(TOKEN), "{processes}");
    // Strangers guess, and an older code is worth nothing.
    bot.write("/start 12345678", None);
    bot.write(&format!("/start {left}"), None);
    bot.write(&format!("/start {}", code(&screen)), None);
    screen.shows("Paired with chat 1; saved in ~/.config/samocode/env.");
    screen.shows("sent in");
    screen.shows("samocode bot --install");
    let all = screen.tmux("capture-pane -p -S - -t top");
    assert!(!all.contains("AAabcdef") && !all.contains("secret"), "{all}");
    assert_eq!(bot.count_of("can reach you here"), 1, "{:?}", bot.messages());
    let env = user.home.join(".config/samocode/env");
    assert!(user.read(&env).contains(&format!("TELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID=1\n")));
    let mode = std::fs::metadata(user.host_path(&env)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    screen.tmux("kill-server");
}
