//! A user's manager.

use super::{PROGRAM, drive, part, place};
use crate::lab;

macro_rules! driven {
    ($($name:ident = $part:literal;)*) => {$(
        #[test]
        fn $name() {
            let Some(lab) = lab::get() else { return };
            let user = lab.user("manager");
            drive(lab, &user, $part);
        }
    )*};
}

driven! {
    a_session_is_enabled_started_reloaded_restarted_and_stopped = "life::the_life_of_a_session";
    each_exit_code_of_the_worker_has_its_effect = "life::exit_codes";
    the_manager_is_reloaded_only_for_a_loaded_unit_whose_files_changed =
        "life::only_a_loaded_unit_costs_a_reload";
    a_start_of_a_unit_that_is_stopping_is_queued = "jobs::a_start_during_a_stop_comes_after_it";
    a_token_for_a_worker_that_is_finishing_starts_it_afterwards =
        "jobs::a_start_while_the_worker_finishes_is_queued";
    a_token_for_a_unit_that_is_being_stopped_leaves_it_stopped = "jobs::a_token_during_a_stop_is_void";
    a_unit_is_removed_even_while_something_starts_it = "jobs::a_removal_insists";
    fifty_sessions_are_woken_at_once_and_a_stopped_one_is_not = "waker::the_waker_starts_what_has_mail";
    mail_waits_out_a_waker_that_cannot_run = "waker::a_broken_waker_strands_no_mail";
    changes_of_a_watched_unit_are_reported = "life::a_change_is_reported";
    a_thousand_units_are_listed_in_one_call = "life::a_thousand_sessions_are_listed_at_once";
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("verify");
    drive(lab, &user, "units_to_verify");
    let names = [
        "samocode@verified.service",
        "samocode-wake.path",
        "samocode-wake.service",
        "samocode-notices.path",
        "samocode-notices.service",
        "samocode-held.timer",
        "samocode-held.service",
        "samocode-desktop.path",
        "samocode-desktop.service",
        "samocode-bot.service",
        "samocode-web.socket",
        "samocode-web.service",
        "samocode-failed@verified.service",
        "samocode-convoy@c.target",
        "samocode-timer@verified.timer",
        "samocode-timer@verified.service",
        "samocode.slice",
    ];
    let paths = names.map(|name| format!(".config/systemd/user/{name}")).join(" ");
    let verified = user.sh(&format!("systemd-analyze verify --user {paths}")).output();
    assert!(verified.code == 0 && !verified.stderr.contains("samocode"), "{verified}");
}

#[test]
fn without_a_message_bus_the_managers_own_socket_serves() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("busless");
    user.systemctl(["stop", "dbus.socket", "dbus.service"]).ok();
    // systemd leaves the socket behind, and nothing listens on it.
    drive(lab, &user, "life::the_life_of_a_session");
    std::fs::remove_file(lab.host_path(user.runtime_dir().join("bus"))).unwrap();
    drive(lab, &user, "life::a_change_is_reported");
}

#[test]
fn another_users_address_in_the_environment_is_not_followed() {
    let Some(lab) = lab::get() else { return };
    let (user, other) = (lab.user("own"), lab.user("other"));
    place(lab);
    let bus = format!("unix:path={}/bus", other.runtime_dir().display());
    for (name, value) in [
        ("DBUS_SESSION_BUS_ADDRESS", bus.as_str()),
        ("XDG_RUNTIME_DIR", &other.runtime_dir().display().to_string()),
    ] {
        let command = user.run([PROGRAM]).env(name, value);
        part(command, "service::inside::where_the_manager_is").ok();
    }
    let command = user.run([PROGRAM]).env_remove("XDG_RUNTIME_DIR");
    part(command, "service::inside::where_the_manager_is").ok();
}

#[test]
fn without_a_manager_one_line_names_run() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("alone");
    place(lab);
    let output = part(user.run([PROGRAM]), "service::inside::no_manager").ok().stdout;
    let line = output.lines().find(|line| line.contains("error: ")).unwrap();
    assert!(line.contains("no user service manager is reachable ("), "{line}");
    assert!(line.ends_with("use `samocode run SESSION`, which needs none"), "{line}");
}

#[test]
fn lingering_is_read_and_turned_on() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lingers");
    place(lab);
    let output = part(user.run([PROGRAM]), "service::inside::linger").ok().stdout;
    assert!(output.contains("before: Ok(false)"), "{output}");
    if output.contains("turned on: Ok(())") {
        assert!(output.contains("after: Ok(true)"), "{output}");
    } else {
        // Without polkit an unprivileged user may not.
        assert!(output.contains("loginctl enable-linger"), "{output}");
        lab.root(["loginctl", "enable-linger", &user.name]).ok();
        let output = part(user.run([PROGRAM]), "service::inside::linger").ok().stdout;
        assert!(output.contains("before: Ok(true)"), "{output}");
    }
}
