//! Who uses the command line, and from where.

use crate::config::Env;
use crate::control::origin::Origin;
use crate::platform;

/// The origin of this process's calls.
pub(super) fn of_process(env: &Env) -> Origin {
    if env.text("SAMOCODE_RUN").is_some() || platform::origin::is_in_run() {
        return Origin::Run;
    }
    Origin::Outside(describe(env, terminal()))
}

fn describe(env: &Env, terminal: Option<String>) -> String {
    let user = env.text("SUDO_USER").or_else(|| env.text("USER")).unwrap_or("someone");
    let place = terminal.map_or_else(
        || format!("without a terminal, process {}", std::process::id()),
        |terminal| format!("on {terminal}"),
    );
    let ssh = env.text("SSH_CONNECTION").and_then(|ssh| ssh.split_whitespace().next());
    let ssh = ssh.map_or_else(String::new, |address| format!(", over ssh from {address}"));
    format!("{user} {place}{ssh}")
}

/// The terminal of this process, if it has one.
fn terminal() -> Option<String> {
    let name = rustix::termios::ttyname(std::io::stdin(), Vec::new())
        .or_else(|_| rustix::termios::ttyname(std::io::stderr(), Vec::new()));
    name.ok()?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_in_a_run_is_told_from_one_outside_who_is_described() {
        let env = |names: &[(&str, &str)]| names.iter().copied().collect::<Env>();
        assert_eq!(of_process(&env(&[("SAMOCODE_RUN", "r7")])), Origin::Run);
        let ssh = env(&[("USER", "u"), ("SSH_CONNECTION", "192.0.2.7 5000 192.0.2.1 22")]);
        assert_eq!(
            describe(&ssh, Some("/dev/pts/3".into())),
            "u on /dev/pts/3, over ssh from 192.0.2.7"
        );
        let sudo = env(&[("USER", "root"), ("SUDO_USER", "u")]);
        assert!(describe(&sudo, None).starts_with("u without a terminal, process "));
    }
}
