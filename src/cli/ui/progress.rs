//! Progress of a call: a bar on a terminal, a line in between elsewhere.

use std::io::IsTerminal as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::control::progress::Step;

use super::output;

/// Nothing is shown of steps before this: most calls end sooner.
const SOON: Duration = Duration::from_millis(300);

/// How far apart lines about steps are where there is no terminal.
const BETWEEN: Duration = Duration::from_secs(5);

/// How wide the bar is.
const WIDTH: usize = 20;

/// Shows the progress of one call. Dropped, it leaves no bar behind.
#[derive(Debug)]
pub(in crate::cli) struct Shown {
    /// The width of the terminal that standard error is.
    terminal: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Instant,
    has_bar: bool,
}

impl Shown {
    pub(in crate::cli) fn begin() -> Self {
        let stderr = std::io::stderr();
        let size = rustix::termios::tcgetwinsize(&stderr).ok().map(|size| size.ws_col.into());
        let terminal = stderr.is_terminal().then(|| size.filter(|w| *w > 0).unwrap_or(80));
        Self { terminal, state: Mutex::new(State { last: Instant::now(), has_bar: false }) }
    }

    /// Shows a line of progress.
    pub(in crate::cli) fn line(&self, line: &str) {
        if output::is_quiet() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = state.last.elapsed();
        match (Step::parse(line), self.terminal) {
            (None, _) => {
                state.wipe();
                output::note(line);
            }
            (Some(step), Some(width)) if state.has_bar || since >= SOON => {
                state.has_bar = true;
                let mut stderr = std::io::stderr().lock();
                let _ = write!(stderr, "\r\x1b[K{}", bar(&step, width));
                let _ = stderr.flush();
            }
            (Some(step), None) if since >= BETWEEN => {
                state.last = Instant::now();
                output::note(&format!("{} of {}: {}", step.at, step.of, step.what));
            }
            (Some(_), _) => {}
        }
    }
}

impl State {
    fn wipe(&mut self) {
        if std::mem::take(&mut self.has_bar) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).wipe();
    }
}

/// A bar that shows which steps are done, and the step that is under way. Fits the width.
fn bar(step: &Step, width: usize) -> String {
    let done = (step.at - 1) * WIDTH / step.of;
    let what = crate::session::describe::harmless(&step.what);
    let text = format!(
        "[{}{}] {}/{} {what}",
        "#".repeat(done),
        ".".repeat(WIDTH - done),
        step.at,
        step.of
    );
    // One column less: a full line makes some terminals wrap.
    output::in_line(&text, width.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up_and_fits() {
        let step = |at| Step { at, of: 4, what: "archiving jwt".to_owned() };
        assert_eq!(bar(&step(1), 80), "[....................] 1/4 archiving jwt");
        assert_eq!(bar(&step(4), 80), "[###############.....] 4/4 archiving jwt");
        assert_eq!(bar(&step(4), 31), "[###############.....] 4/4 ar…");
        assert_eq!(bar(&step(4), 0), "…");
    }
}
