//! Progress of a call: a bar on a terminal, a line in between elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::control::progress::Step;

use super::output;

/// Nothing is shown of steps before this: most calls end sooner.
const SOON: Duration = Duration::from_millis(300);

/// How often a bar shows for how long its step has lasted.
const TICK: Duration = Duration::from_secs(1);

/// How far apart lines about steps are where there is no terminal.
const BETWEEN: Duration = Duration::from_secs(5);

/// How far apart lines about the same step are.
const STILL: Duration = Duration::from_secs(60);

/// For how long a step lasts before that is shown.
const LONG: u64 = 3;

/// How wide the bar is.
const WIDTH: usize = 20;

/// Shows the progress of one call. Dropped, it leaves no bar behind.
#[derive(Debug)]
pub(in crate::cli) struct Shown {
    inner: Arc<Inner>,
    /// Shows a step that lasts: begun with the first step. Without a thread, as where a limit on
    /// processes is reached, that is not shown.
    clock: OnceLock<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    is_over: Condvar,
}

impl Shown {
    pub(in crate::cli) fn begin() -> Self {
        let state = State::new(std::io::stderr().is_terminal(), Instant::now());
        let inner = Inner { state: Mutex::new(state), is_over: Condvar::new() };
        Self { inner: Arc::new(inner), clock: OnceLock::new() }
    }

    /// Shows a line of progress.
    pub(in crate::cli) fn line(&self, line: &str) {
        if output::is_quiet() {
            return;
        }
        let mut state = lock(&self.inner.state);
        let Some(step) = Step::parse(line) else {
            state.wipe();
            output::note(line);
            return;
        };
        state.take(step, Instant::now());
        state.show(Instant::now());
        drop(state);
        self.clock.get_or_init(|| self.inner.keep_showing());
    }
}

impl Inner {
    /// Shows a step again while it lasts, in a thread: the call may not leave time for that.
    fn keep_showing(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let inner = Arc::clone(self);
        let show = move || {
            let mut state = lock(&inner.state);
            while !state.is_over {
                let pause = state.next(Instant::now());
                let waited = inner.is_over.wait_timeout(state, pause);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !state.is_over {
                    state.show(Instant::now());
                }
            }
        };
        std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is shown, and since when.
#[derive(Debug)]
struct State {
    is_terminal: bool,
    begun: Instant,
    step: Option<(Step, Instant)>,
    /// When a line was last printed, and whether it was about this step.
    line: (Instant, bool),
    has_bar: bool,
    is_over: bool,
}

/// What to print.
#[derive(Debug, PartialEq, Eq)]
enum Print {
    Bar(Step, u64),
    Line(String),
}

impl State {
    const fn new(is_terminal: bool, now: Instant) -> Self {
        let line = (now, false);
        Self { is_terminal, begun: now, step: None, line, has_bar: false, is_over: false }
    }

    fn take(&mut self, step: Step, now: Instant) {
        if self.step.as_ref().is_none_or(|(known, _)| *known != step) {
            self.step = Some((step, now));
            self.line.1 = false;
        }
    }

    /// What is due now.
    fn due(&mut self, now: Instant) -> Option<Print> {
        let (step, since) = self.step.as_ref()?;
        let lasted = now.duration_since(*since).as_secs();
        if self.is_terminal {
            let is_due = self.has_bar || now.duration_since(self.begun) >= SOON;
            return is_due.then(|| Print::Bar(step.clone(), lasted));
        }
        let (last, is_this) = self.line;
        if now.duration_since(last) < if is_this { STILL } else { BETWEEN } {
            return None;
        }
        self.line = (now, true);
        let Step { at, of, what } = step;
        Some(Print::Line(format!("{at} of {of}: {what}{}", after(lasted))))
    }

    /// How long until something is due, if nothing happens.
    fn next(&self, now: Instant) -> Duration {
        let (from, pause) = match (self.is_terminal, self.has_bar, self.line.1) {
            (true, false, _) => (self.begun, SOON),
            (true, true, _) => (now, TICK),
            (false, _, false) => (self.line.0, BETWEEN),
            (false, _, true) => (self.line.0, STILL),
        };
        // Never at once: a loop that finds nothing due would not rest.
        (from + pause).saturating_duration_since(now).max(Duration::from_millis(20))
    }

    fn show(&mut self, now: Instant) {
        match self.due(now) {
            Some(Print::Bar(step, lasted)) => {
                self.has_bar = true;
                let mut stderr = std::io::stderr().lock();
                let size = rustix::termios::tcgetwinsize(&stderr).ok();
                let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
                let bar = bar(&step, lasted, width.unwrap_or(80));
                let _ = write!(stderr, "\r\x1b[K{bar}");
                let _ = stderr.flush();
            }
            Some(Print::Line(line)) => output::note(&line),
            None => {}
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.has_bar) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut state = lock(&self.inner.state);
        state.is_over = true;
        state.wipe();
        drop(state);
        self.inner.is_over.notify_all();
        if let Some(clock) = self.clock.take().flatten() {
            let _ = clock.join();
        }
    }
}

/// A bar that shows which steps are done, and the step that is under way. Fits the width.
fn bar(step: &Step, lasted: u64, width: usize) -> String {
    let done = (step.at - 1) * WIDTH / step.of;
    let what = crate::session::describe::harmless(&step.what);
    let text = format!(
        "[{}{}] {}/{} {what}{}",
        "#".repeat(done),
        ".".repeat(WIDTH - done),
        step.at,
        step.of,
        after(lasted)
    );
    // One column less: a full line makes some terminals wrap.
    output::in_line(&text, width.saturating_sub(1).max(1))
}

/// For how long a step has lasted, once that is long.
fn after(seconds: u64) -> String {
    match seconds {
        0..LONG => String::new(),
        LONG..60 => format!(" ({seconds} s)"),
        _ => format!(" ({} min {} s)", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: usize) -> Step {
        Step { at, of: 4, what: "archiving jwt".to_owned() }
    }

    #[test]
    fn the_bar_fills_up_and_fits() {
        assert_eq!(bar(&step(1), 0, 80), "[....................] 1/4 archiving jwt");
        assert_eq!(bar(&step(4), 12, 80), "[###############.....] 4/4 archiving jwt (12 s)");
        assert_eq!(bar(&step(4), 0, 31), "[###############.....] 4/4 ar…");
        assert_eq!(bar(&step(4), 0, 0), "…");
    }

    #[test]
    fn a_bar_is_shown_soon_even_if_its_only_step_lasts() {
        let start = Instant::now();
        let mut state = State::new(true, start);
        assert_eq!(state.due(start), None, "there is no step");
        state.take(step(1), start);
        assert_eq!(state.due(start), None);
        assert_eq!(state.next(start), SOON);
        assert_eq!(state.due(start + SOON), Some(Print::Bar(step(1), 0)));
        let later = start + Duration::from_secs(7);
        assert_eq!(state.due(later), Some(Print::Bar(step(1), 7)));
        state.take(step(1), later);
        assert_eq!(state.due(later), Some(Print::Bar(step(1), 7)), "it is the same step");
        state.take(step(2), later);
        assert_eq!(state.due(later), Some(Print::Bar(step(2), 0)));
    }

    #[test]
    fn a_pipe_gets_a_line_in_between() {
        let start = Instant::now();
        let mut state = State::new(false, start);
        let mut lines = Vec::new();
        for second in 0..=130 {
            let now = start + Duration::from_secs(second);
            // Four steps of a second, and one that lasts.
            state.take(step((second as usize / 2 + 1).min(4)), now);
            if let Some(Print::Line(line)) = state.due(now) {
                lines.push((second, line));
            }
        }
        assert_eq!(
            lines,
            [
                (5, "3 of 4: archiving jwt".to_owned()),
                (10, "4 of 4: archiving jwt (4 s)".to_owned()),
                (70, "4 of 4: archiving jwt (1 min 4 s)".to_owned()),
                (130, "4 of 4: archiving jwt (2 min 4 s)".to_owned())
            ]
        );
    }
}
