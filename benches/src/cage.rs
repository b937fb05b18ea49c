//! What confinement costs: at the start of a run, and in a build.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::numbers::{Spread, ms};
use crate::project::{BEHIND, Project, timed};
use crate::{BLOCKED, TIMES, row, settle};

/// The levels that are compared.
const LEVELS: [&str; 2] = ["off", "standard"];

/// Nobody: agents do not run as root, who gets no view of its own.
const USER: u32 = 65534;

/// How often the build is made at each level.
const BUILDS: u32 = 5;

/// A build with many processes, of some seconds.
const BUILD: &str = "set -e
    for at in 1 2 3 4; do
        printf '#include <stdio.h>\\n#include <stdlib.h>\\n#include <string.h>\\nint f%d(char *s) { return printf(s) + atoi(s) + (int)strlen(s); }\\n' $at >bench-$at.c
    done
    for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
        for at in 1 2 3 4; do gcc -O2 -w -c bench-$at.c -o bench-$at.o; done
        ar rcs bench.a bench-1.o bench-2.o bench-3.o bench-4.o
    done";

/// A project of a user who is not root. Not on /dev/shm or /tmp: a confined agent has its own.
struct Place {
    project: Project,
    folder: PathBuf,
    is_root: bool,
}

impl Place {
    fn make(samocode: &Path, agent: &Path) -> io::Result<Self> {
        let folder = Path::new("/var/tmp").join(format!("samocode-cage-{}", std::process::id()));
        let project = Project::create(&folder, samocode, agent, false)?;
        // The owner of what this process makes.
        let is_root = fs::metadata(&folder)?.uid() == 0;
        Ok(Self { project, folder, is_root })
    }

    /// The command as nobody, at this level.
    fn at(&self, level: &str, mut command: Command) -> io::Result<Command> {
        command.env("SAMOCODE_CONFINE", level);
        if !self.is_root {
            return Ok(command);
        }
        let user = USER.to_string();
        Command::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(&self.folder).status()?;
        let wrapper = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
        Ok(self.project.wrapped(&wrapper, &command))
    }
}

/// Measures both.
pub(crate) fn measure(samocode: &Path, agent: &Path) -> io::Result<()> {
    let place = Place::make(samocode, agent)?;
    let measured = start(&place).and_then(|()| build(&place));
    place.project.remove();
    measured
}

/// A run of one iteration with a cage less one without, alternating. Each level has a session of its
/// own: the first run with a cage moves a session's record out of the agent's reach, once and for all.
fn start(place: &Place) -> io::Result<()> {
    let mut times = LEVELS.map(|_| Vec::new());
    for level in LEVELS {
        place.project.copy(level)?;
    }
    for at in 0..=TIMES {
        for (level, times) in LEVELS.iter().zip(&mut times) {
            let run = place.project.session(level, BEHIND + 1 + at, &[])?;
            let mut run = place.at(level, run)?;
            settle(&place.project)?;
            let took = ms(timed(&mut run, &[BLOCKED])?);
            // The first of each brings programs into memory.
            if at > 0 {
                times.push(took);
            }
        }
    }
    let how = how(place)?;
    let [off, standard] = times.map(Spread::of);
    let more = standard.median - off.median;
    row(
        &format!("confinement at the start of a run ({how})"),
        "≤ 5 ms",
        Some(more <= 5.0),
        &format!("{more:+.1} ms: {off} without, {standard} with it"),
    );
    Ok(())
}

/// How the agent of the confined runs was confined, as its journal has it.
fn how(place: &Place) -> io::Result<String> {
    let journal = place.project.folder("standard")?.join("_journal.jsonl");
    let text = fs::read_to_string(journal)?;
    let found = text.lines().rev().find_map(|line| line.split("\"confined\":\"").nth(1));
    let found = found.and_then(|rest| rest.split('"').next());
    found.map(str::to_owned).ok_or_else(|| io::Error::other("the agent was not confined"))
}

/// The same build with a cage and without, alternating.
fn build(place: &Place) -> io::Result<()> {
    const FIGURE: &str = "confinement in a build in C, 60 processes of the compiler's";
    if !Command::new("gcc").arg("--version").output().is_ok_and(|done| done.status.success()) {
        row(FIGURE, "≤ 2 %", None, "not measured: there is no gcc");
        return Ok(());
    }
    let mut times = LEVELS.map(|_| Vec::new());
    for at in 0..=BUILDS {
        for (level, times) in LEVELS.iter().zip(&mut times) {
            let build = ["confine", "standard", "--", "sh", "-c", BUILD];
            let command = place.project.samocode_with(&build[..2], &build[2..]);
            let took = ms(timed(&mut place.at(level, command)?, &[0])?);
            if at > 0 {
                times.push(took);
            }
        }
    }
    let [off, standard] = times.map(Spread::of);
    let more = (standard.min / off.min - 1.0) * 100.0;
    row(
        FIGURE,
        "≤ 2 %",
        Some(more <= 2.0),
        &format!("{more:+.1} % (of the fastest): {off} without, {standard} with it"),
    );
    Ok(())
}
