//! Measures samocode as its users meet it: whole processes, on a real disk, with an agent that
//! does next to nothing. See README.md.
//!
//! ```text
//! figures here  SAMOCODE AGENT DISK    what needs no service manager, as rows of the table
//! figures units SAMOCODE AGENT DISK    what needs one: run inside a session of a user's manager
//! ```

mod cage;
mod counts;
mod numbers;
mod project;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use counts::Counts;
use numbers::{Spread, cpu_of_children, ms};
use project::{Project, timed};

/// How often each figure is taken.
const TIMES: u32 = 21;
/// How many iterations the longer of two runs has, which tells the cost of one.
const LONG: u32 = 41;
/// How much the agent prints where throughput is measured, in bytes.
const STREAM: u64 = 1_000_000_000;
/// The single line that is printed where memory is measured, in bytes.
const LINE: u64 = 100_000_000;
/// How many other worktrees the repository has where many are to make no difference.
const OTHERS: u32 = 300;
/// `samocode run` says with 11 that the session is blocked: so each run ends here.
const BLOCKED: i32 = 11;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, samocode, agent, disk] = args.as_slice() else {
        eprintln!("use: figures here|units SAMOCODE AGENT DISK");
        return ExitCode::from(2);
    };
    let measured = match what.as_str() {
        "here" => here(Path::new(samocode), Path::new(agent), Path::new(disk)),
        "units" => units(Path::new(samocode), Path::new(agent), Path::new(disk)),
        other => Err(io::Error::other(format!("'{other}' is neither here nor units"))),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn row(figure: &str, target: &str, reached: Option<bool>, measured: &str) {
    let word = match reached {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    };
    println!("| {figure} | {target} | {measured} | {word} |");
}

fn here(samocode: &Path, agent: &Path, disk: &Path) -> io::Result<()> {
    let project = Project::create(&disk.join("disk"), samocode, agent, false)?;
    start_and_iterations(&project, samocode, agent)?;
    new_session(&project, samocode, agent, disk)?;
    stream(&project)?;
    references(&project)?;
    project.remove();
    cage::measure(samocode, agent)?;
    let size = fs::metadata(samocode)?.len() as f64 / f64::from(1 << 20);
    row("release binary", "≤ 12 MiB", Some(size <= 12.0), &format!("{size:.2} MiB"));
    Ok(())
}

fn start_and_iterations(project: &Project, samocode: &Path, agent: &Path) -> io::Result<()> {
    let disk = Costs::measure(project)?;
    let (start, cpu) = (disk.start, disk.start_cpu);
    row(
        "`samocode run`, start plus one iteration",
        "≤ 10 ms",
        Some(start.median <= 10.0),
        &format!("{start}, {cpu:.1} ms of CPU"),
    );
    let memory = Path::new("/dev/shm");
    let without = if memory.is_dir() {
        let folder = memory.join(format!("samocode-benches-{}", std::process::id()));
        let in_memory = Project::create(&folder, samocode, agent, false)?;
        let costs = Costs::measure(&in_memory)?;
        in_memory.remove();
        Some(costs)
    } else {
        None
    };
    let (further, cpu) = (disk.further, disk.further_cpu);
    row(
        "each further iteration, every write durable",
        "≤ 2 ms",
        Some(further.median <= 2.0),
        &format!("{further}, {cpu:.1} ms of CPU"),
    );
    if let Some(without) = without {
        let left = without.further.median;
        let waits = further.median - left;
        let counted = match fsyncs(project)? {
            Some(count) => format!("{count:.1} fsyncs an iteration, {waits:.1} ms"),
            None => format!("{waits:.1} ms"),
        };
        row("— of it waiting for the disk (the rest as on a tmpfs)", "", None, &counted);
        row("— the rest", "", None, &format!("{left:.1} ms"));
        let start = without.start;
        row("start plus one iteration on a tmpfs", "", None, &start.to_string());
    }
    Ok(())
}

/// The cost of runs of one and of [`LONG`] iterations.
struct Costs {
    start: Spread,
    start_cpu: f64,
    further: Spread,
    further_cpu: f64,
}

impl Costs {
    fn measure(project: &Project) -> io::Result<Self> {
        let short = Self::of(project, "short", 1)?;
        let long = Self::of(project, "long", LONG)?;
        let start = Spread::of(short.0);
        let per = |of_long: f64, of_short: f64| (of_long - of_short) / f64::from(LONG - 1);
        let further = long.0.iter().map(|all| per(*all, start.median)).collect();
        Ok(Self {
            start,
            start_cpu: short.1,
            further: Spread::of(further),
            further_cpu: per(long.1, short.1),
        })
    }

    /// The times of runs of so many iterations, and the mean CPU time of one.
    fn of(project: &Project, name: &str, count: u32) -> io::Result<(Vec<f64>, f64)> {
        let mut runs = Vec::new();
        for at in 0..=TIMES {
            runs.push(project.iterations(&format!("{name}-{at}"), count, &[])?);
        }
        settle(project)?;
        let mut times = Vec::new();
        // The first brings programs into memory and is not counted.
        timed(&mut runs.remove(0), &[BLOCKED])?;
        let before = cpu_of_children();
        for run in &mut runs {
            times.push(ms(timed(run, &[BLOCKED])?));
        }
        let cpu = ms(cpu_of_children().saturating_sub(before)) / f64::from(TIMES);
        Ok((times, cpu))
    }
}

/// Syncs earlier writes to disk, so that no measured fsync has to write them.
fn settle(project: &Project) -> io::Result<()> {
    Command::new("sync").arg("-f").arg(project.path("sessions")).status().map(|_| ())
}

/// How many times an iteration waits for the disk, where strace can tell.
fn fsyncs(project: &Project) -> io::Result<Option<f64>> {
    let count = |name: &str, iterations| {
        Counts::of(project, name, &project.iterations(name, iterations, &[])?)
    };
    let (Some(one), Some(many)) = (count("fsync-one", 1)?, count("fsync-many", 11)?) else {
        return Ok(None);
    };
    row("— its fsyncs: start plus one iteration", "", None, &one.syncs.to_string());
    Ok(Some((many.syncs.saturating_sub(one.syncs)) as f64 / 10.0))
}

/// A new session in a repository with no other worktree of note, and in one with many: they are
/// none of its business.
fn new_session(project: &Project, samocode: &Path, agent: &Path, disk: &Path) -> io::Result<()> {
    let crowded = Project::create(&disk.join("crowded"), samocode, agent, false)?;
    crowded.add_worktrees(OTHERS)?;
    let (mut alone, mut among) = (Vec::new(), Vec::new());
    // Alternating, so that both see the same load.
    for at in 0..TIMES {
        for (project, times) in [(project, &mut alone), (&crowded, &mut among)] {
            settle(project)?;
            let mut run = project.new_session(&format!("new-{at}"))?;
            times.push(ms(timed(&mut run, &[BLOCKED])?));
        }
    }
    let (alone, among) = (Spread::of(alone), Spread::of(among));
    row(
        "the same for a new session: worktree, branch, git's checks",
        "≤ 22 ms",
        Some(alone.median <= 22.0),
        &alone.to_string(),
    );
    let more = (among.median / alone.median - 1.0) * 100.0;
    row(
        &format!("— with {OTHERS} other worktrees in the repository"),
        "≤ 10 % more",
        Some(more <= 10.0),
        &format!("{among}, {more:+.0} %"),
    );
    if let Some(counts) = Counts::of(project, "new-counts", &project.new_session("new-counted")?)? {
        let measured = format!("{} git processes, {} fsyncs", counts.gits, counts.syncs);
        row("— what it starts and waits for", "≤ 3 gits", Some(counts.gits <= 3), &measured);
    }
    crowded.remove();
    Ok(())
}

/// What an agent noted: when it started (ns since the epoch), its parent's highest memory (KiB), the
/// seconds it printed for.
struct Note {
    began: u128,
    peak: u64,
    seconds: f64,
}

fn notes(path: &Path) -> Vec<Note> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        Some(Note {
            began: fields.next()?.parse().ok()?,
            peak: fields.next()?.parse().ok()?,
            seconds: fields.next()?.parse().ok()?,
        })
    };
    fs::read_to_string(path).unwrap_or_default().lines().filter_map(parse).collect()
}

fn stream(project: &Project) -> io::Result<()> {
    let mut peak = 0;
    for claude in [false, true] {
        let (mut rates, name) = (Vec::new(), if claude { "claude" } else { "command" });
        for (at, extra) in ["", "", "", "", "", "line"].into_iter().enumerate() {
            let note = project.path(&format!("note-{name}-{at}"));
            let mut options = vec![format!("stream={STREAM}"), format!("note={}", note.display())];
            if !extra.is_empty() {
                options.push(format!("line={LINE}"));
            }
            let session = format!("stream-{name}-{at}");
            let mut run = if claude {
                project.claude(&session, 2, &options)?
            } else {
                project.iterations(&session, 2, &options)?
            };
            timed(&mut run, &[BLOCKED])?;
            fs::remove_dir_all(project.folder(&session)?)?;
            settle(project)?;
            let notes = notes(&note);
            if notes.len() != 2 {
                return Err(io::Error::other(format!("{session}: {} runs, not 2", notes.len())));
            }
            peak = notes.iter().map(|note| note.peak).fold(peak, u64::max);
            if extra.is_empty() {
                rates.push(STREAM as f64 / 1e6 / notes[0].seconds);
            }
        }
        let rate = Spread::of(rates);
        row(
            &format!("agent stream through worker to log, decoder of `{name}`"),
            "≥ 600 MB/s",
            Some(rate.median >= 600.0),
            &format!("{:.0} MB/s ({:.0} – {:.0})", rate.median, rate.min, rate.max),
        );
    }
    let peak = peak as f64 / 1024.0;
    let output = (STREAM + LINE) as f64 / 1e9;
    row(
        &format!("peak memory of the worker, after {output} GB of output with a line of 100 MB"),
        "≤ 12 MiB",
        Some(peak <= 12.0),
        &format!("{peak:.1} MiB"),
    );
    Ok(())
}

/// What this machine can do right now without samocode, to compare the rows above with.
fn references(project: &Project) -> io::Result<()> {
    let mut file = File::create(project.path("appended"))?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        file.write_all(&[b'x'; 300])?;
        file.sync_data()?;
        times.push(ms(begin.elapsed()));
    }
    let spread = Spread::of(times);
    row("for comparison: one append and fdatasync here", "", None, &spread.to_string());
    let mut times = Vec::new();
    for _ in 0..TIMES {
        times.push(ms(timed(&mut project.bare_agent(&[])?, &[0])?));
    }
    let spread = Spread::of(times);
    row("for comparison: the agent alone, from fork to end", "", None, &spread.to_string());
    let mut rates = Vec::new();
    for at in 0..5 {
        let note = project.path(&format!("note-bare-{at}"));
        let options = [format!("stream={STREAM}"), format!("note={}", note.display())];
        let mut agent = project.bare_agent(&options)?.stdout(Stdio::piped()).spawn()?;
        if let Some(mut out) = agent.stdout.take() {
            io::copy(&mut out, &mut File::create(project.path("copied"))?)?;
        }
        agent.wait()?;
        fs::remove_file(project.path("copied"))?;
        settle(project)?;
        rates.extend(notes(&note).iter().map(|note| STREAM as f64 / 1e6 / note.seconds));
    }
    let rate = Spread::of(rates);
    let measured = format!("{:.0} MB/s ({:.0} – {:.0})", rate.median, rate.min, rate.max);
    row("for comparison: the same stream through a bare pipe to a file", "", None, &measured);
    Ok(())
}

fn units(samocode: &Path, agent: &Path, disk: &Path) -> io::Result<()> {
    let project = Project::create(&disk.join("units"), samocode, agent, true)?;
    let note = project.path("note");
    let mut fresh = Vec::new();
    let mut known = Vec::new();
    for at in 0..=TIMES {
        let name = format!("unit-{at}");
        project.note_in(&note, 1)?;
        fresh.push(until_agent(project.samocode(&["enable", &name, "--task", "Measure"]), &note)?);
        wait_until_blocked(&project, &name)?;
        project.note_in(&note, 2)?;
        known.push(until_agent(project.samocode(&["start", &name]), &note)?);
        wait_until_blocked(&project, &name)?;
    }
    // The first of each loads unit files.
    let (fresh, known) = (Spread::of(fresh.split_off(1)), Spread::of(known.split_off(1)));
    row(
        "`enable` of a new session to the agent's exec, real systemd",
        "≤ 150 ms",
        Some(fresh.median <= 150.0),
        &fresh.to_string(),
    );
    row("`start` of one that exists to the agent's exec", "", None, &known.to_string());
    status(&project)?;
    project.remove();
    Ok(())
}

/// Milliseconds from before the command to the agent's first instruction.
fn until_agent(mut command: Command, note: &Path) -> io::Result<f64> {
    let before = notes(note).len();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    timed(&mut command, &[0])?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(note) = notes(note).get(before) {
            return Ok(note.began.saturating_sub(now) as f64 / 1e6);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(io::Error::other(format!("no agent started within 20 s of {command:?}")))
}

fn wait_until_blocked(project: &Project, name: &str) -> io::Result<()> {
    let unit = format!("samocode@{name}.service");
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let hook: PathBuf = project.folder(name)?.join("_hook.json");
        let blocked = fs::read_to_string(hook).is_ok_and(|hook| hook.contains("\"blocked\""));
        let active = Command::new("systemctl")
            .args(["--user", "is-active", "-q", &unit])
            .stdout(Stdio::null())
            .status()?;
        if blocked && !active.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other(format!("session {name} did not end")))
}

fn status(project: &Project) -> io::Result<()> {
    const SESSIONS: u32 = 1_000;
    const FIGURE: &str = "`status` with 1,000 sessions";
    if !project.samocode(&["status", "--help"]).status()?.success() {
        row(FIGURE, "≤ 50 ms", None, "not measured: this samocode has no `status`");
        return Ok(());
    }
    for at in 0..SESSIONS {
        project.copy(&format!("many-{at:04}"))?;
    }
    settle(project)?;
    for (figure, args) in [(FIGURE, &["status"][..]), ("— with `--json`", &["status", "--json"])]
    {
        let mut times = Vec::new();
        timed(&mut project.samocode(args), &[0])?;
        for _ in 0..TIMES {
            times.push(ms(timed(&mut project.samocode(args), &[0])?));
        }
        let spread = Spread::of(times);
        row(figure, "≤ 50 ms", Some(spread.median <= 50.0), &spread.to_string());
    }
    Ok(())
}
