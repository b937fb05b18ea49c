//! Logging for the programs that units run: to journald with structured fields, or to standard
//! error outside a unit, with the time where launchd makes that a file.

use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::service::journal;
use crate::service::launchd::supervised;

/// Sets up logging; call it once. `least` is the lowest level shown on standard error.
pub(super) fn start(least: Level) {
    if let Some(layer) = journal::layer() {
        let _ = tracing_subscriber::registry().with(ours(Level::DEBUG)).with(layer).try_init();
        return;
    }
    if let Some(log) = supervised::own_log() {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .with_timer(Clock)
            .with_target(false)
            .fmt_fields(debug_fn(only_the_message));
        let _ = tracing_subscriber::registry().with(ours(least)).with(layer).try_init();
        supervised::put_large_log_aside(&log);
        return;
    }
    let _ = tracing_subscriber::registry()
        .with(ours(least))
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .without_time()
                .with_target(false)
                .with_level(false)
                .fmt_fields(debug_fn(only_the_message)),
        )
        .try_init();
}

fn only_the_message(
    writer: &mut Writer<'_>,
    field: &Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
}

/// The time in front of a line in a file, which nobody else puts there.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:.0}", jiff::Timestamp::now())
    }
}

/// Keeps our own lines from `least` up. Libraries log every connection they open or reuse, so only
/// their warnings are kept.
fn ours(least: Level) -> Targets {
    let others = least.min(Level::WARN);
    Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_libraries_only_warnings_count_and_never_more_than_of_our_own() {
        let all = ours(Level::DEBUG);
        assert!(all.would_enable("samocode::worker::writer", &Level::DEBUG));
        assert!(!all.would_enable("samocode::worker::writer", &Level::TRACE));
        assert!(!all.would_enable("hyper_util::client::legacy::pool", &Level::DEBUG));
        assert!(all.would_enable("hyper_util::client::legacy::pool", &Level::WARN));
        let few = ours(Level::ERROR);
        assert!(!few.would_enable("samocode::worker", &Level::WARN));
        assert!(!few.would_enable("hyper_util", &Level::WARN));
        assert!(few.would_enable("hyper_util", &Level::ERROR));
    }
}
