//! Reads launchctl's output. It is meant for people and changes between versions of macOS, so only a
//! few lines are read, and whatever is missing or unknown is left out.

use super::instance_of;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether launchd starts the job again: `KeepAlive` with `SuccessfulExit=false`.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Code(0))
    }
}

/// A job as `launchctl print` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Its process, if it is running.
    pub pid: Option<u32>,
    /// How its last process ended; `None` if none has.
    pub exit: Option<Exit>,
    /// How often it was started.
    pub runs: u32,
}

/// A job in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The session's instance.
    pub instance: String,
    /// The job.
    pub job: Job,
}

/// Reads the answer to `launchctl print gui/UID/LABEL`.
#[must_use]
pub fn parse(text: &str) -> Job {
    let mut job = Job::default();
    let (mut code, mut signal) = (None, None);
    for (key, value) in fields(text) {
        match key {
            "pid" => job.pid = first_number(value),
            "runs" => job.runs = first_number(value).unwrap_or_default(),
            // `0`, `78: EX_CONFIG`, `(never exited)`.
            "last exit code" | "last exit status" => code = first_number(value),
            // `Killed: 9`, `9`.
            "last terminating signal" => signal = last_number(value),
            _ => {}
        }
    }
    job.exit = signal.filter(|number| *number != 0).map(Exit::Signal).or(code.map(Exit::Code));
    job
}

/// The assignments of the outermost block: nested ones describe other things in the same words.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut depth = 0_usize;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line.ends_with('{') {
            depth += 1;
            return None;
        }
        if line == "}" {
            depth = depth.saturating_sub(1);
            return None;
        }
        let (key, value) = line.split_once('=')?;
        (depth == 1 && !value.starts_with('>')).then(|| (key.trim(), value.trim()))
    })
}

fn first_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.split([' ', ':', '\t']).next()?.parse().ok()
}

fn last_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.rsplit([' ', ':', '\t']).next()?.parse().ok()
}

/// Reads the sessions in the answer to `launchctl print gui/UID`: lines of pid, last exit, label.
#[must_use]
pub fn parse_list(text: &str) -> Vec<Listed> {
    let listed = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [pid, exit, label] = words.as_slice() else { return None };
        let instance = instance_of(label)?.to_owned();
        let pid = pid.parse().ok().filter(|pid| *pid != 0);
        // `-` for none, a code, or a signal as a negative number.
        let exit = exit.parse().ok().map(|code: i32| match code {
            ..0 => Exit::Signal(-code),
            _ => Exit::Code(code),
        });
        Some(Listed { instance, job: Job { pid, exit, runs: 0 } })
    };
    text.lines().filter_map(listed).collect()
}

/// Reads the variables in the answer to `launchctl print gui/UID`.
#[must_use]
pub fn parse_environment(text: &str) -> Vec<(String, String)> {
    let block = text
        .lines()
        .skip_while(|line| line.trim() != "environment = {")
        .skip(1)
        .take_while(|line| line.trim() != "}");
    let pair = |line: &str| {
        let (name, value) = line.split_once("=>")?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    block.filter_map(pair).collect()
}

/// Whether a job is disabled, from the answer to `launchctl print-disabled gui/UID`:
/// `"LABEL" => disabled`, before macOS 13 `"LABEL" => true`.
#[must_use]
pub fn is_disabled(text: &str, label: &str) -> bool {
    let quoted = format!("\"{label}\"");
    let word = text.lines().find_map(|line| {
        let (name, word) = line.split_once("=>")?;
        (name.trim() == quoted).then(|| word.trim())
    });
    matches!(word, Some("disabled" | "true"))
}

/// Reads `Darwin Bootstrapper Version 7.0.0: …`.
#[must_use]
pub fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Version ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of macOS 14's answer, shortened.
    const RUNNING: &str = "gui/501/dev.samocode.session.jwt = {
\tactive count = 1
\tpath = /Users/dev/Library/LaunchAgents/dev.samocode.session.jwt.plist
\ttype = LaunchAgent
\tstate = running

\tprogram = /usr/local/bin/samocode
\targuments = {
\t\t/usr/local/bin/samocode
\t\tworker
\t\tjwt
\t}

\tdefault environment = {
\t\tPATH => /usr/bin:/bin
\t}

\tenvironment = {
\t\tpid => 77
\t\tXPC_SERVICE_NAME => dev.samocode.session.jwt
\t}

\tdomain = gui/501 [100005]
\tminimum runtime = 10
\texit timeout = 30
\truns = 3
\tpid = 4321
\tlast exit code = 75: EX_TEMPFAIL

\tspawn type = interactive (4)

\tevent channels = {
\t\t\"com.apple.fsevents\" = {
\t\t\tpid = 1
\t\t\tlast exit code = 9
\t\t}
\t}
}
";

    #[test]
    fn a_running_job_has_a_process_and_nested_blocks_are_not_its_own() {
        let job = parse(RUNNING);
        assert_eq!(job, Job { pid: Some(4321), exit: Some(Exit::Code(75)), runs: 3 });
    }

    #[test]
    fn the_end_of_a_process_is_read_in_all_its_forms() {
        let exit = |line: &str| parse(&format!("x = {{\n\t{line}\n}}\n")).exit;
        assert_eq!(exit("last exit code = (never exited)"), None);
        assert_eq!(exit("last exit code = 0"), Some(Exit::Code(0)));
        assert_eq!(exit("last exit code = 78: EX_CONFIG"), Some(Exit::Code(78)));
        assert_eq!(exit("last exit status = 1"), Some(Exit::Code(1)));
        assert_eq!(exit("last terminating signal = Killed: 9"), Some(Exit::Signal(9)));
        assert_eq!(
            exit("last exit code = 0\n\tlast terminating signal = Alarm clock: 14"),
            Some(Exit::Signal(14))
        );
        assert_eq!(exit("state = waiting"), None);
    }

    #[test]
    fn text_that_is_no_answer_tells_of_no_process() {
        for text in ["", "}\n}\n", "Could not find service", "= {\npid = many\n}", "pid = 5"] {
            assert_eq!(parse(text), Job::default(), "{text:?}");
        }
    }

    #[test]
    fn sessions_are_listed_and_other_agents_are_not() {
        let text = "gui/501 = {
\tservices = {
\t\t       0     78 \tdev.samocode.session.broken
\t\t    4321      - \tdev.samocode.session.jwt--shop
\t\t       0     -9 \tdev.samocode.session.killed
\t\t       0      - \tdev.samocode.wake
\t\t     312      - \tcom.apple.Finder
\t}
\tdisabled services = {
\t\t\"dev.samocode.session.x\" => disabled
\t}
}
";
        let listed: Vec<(String, Option<u32>, Option<Exit>)> = parse_list(text)
            .into_iter()
            .map(|listed| (listed.instance, listed.job.pid, listed.job.exit))
            .collect();
        assert_eq!(
            listed,
            [
                ("broken".to_owned(), None, Some(Exit::Code(78))),
                ("jwt--shop".to_owned(), Some(4321), None),
                ("killed".to_owned(), None, Some(Exit::Signal(9))),
            ]
        );
    }

    #[test]
    fn the_environment_of_agents_and_what_is_disabled_are_read() {
        let text = "gui/501 = {\n\tenvironment = {\n\t\tSSH_AUTH_SOCK => /tmp/a b\n\t\tEMPTY => \n\t}\n\tx => y\n}\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse_environment(text), [pair("SSH_AUTH_SOCK", "/tmp/a b"), pair("EMPTY", "")]);
        let new = "disabled services = {\n\t\"a.b\" => disabled\n\t\"a.c\" => enabled\n}\n";
        let old = "disabled services = {\n\t\"a.b\" => true\n\t\"a.c\" => false\n}\n";
        for text in [new, old] {
            assert!(is_disabled(text, "a.b"));
            assert!(!is_disabled(text, "a.c") && !is_disabled(text, "a"));
        }
    }

    #[test]
    fn the_version_is_the_first_number_of_launchds() {
        let text = "Darwin Bootstrapper Version 7.0.0: Sat Oct  5 21:00:00 PDT 2025; root:libxpc";
        assert_eq!(parse_version(text), Some(7));
        assert_eq!(parse_version("launchd"), None);
    }
}
