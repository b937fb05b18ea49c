//! Where the programs that units run write what they have to say: to journald with its fields, or
//! to standard error where no unit runs them.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins to log. To be called once, by a program that has more to say than its result; `least` is
/// what is worth a line on standard error.
pub(super) fn start(least: Level) {
    #[cfg(target_os = "linux")]
    if is_journal()
        && let Ok(layer) = tracing_journald::layer()
    {
        let layer = layer.with_field_prefix(None).with_syslog_identifier("samocode".to_owned());
        let _ = tracing_subscriber::registry().with(ours(Level::DEBUG)).with(layer).try_init();
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
                .fmt_fields(tracing_subscriber::fmt::format::debug_fn(|writer, field, value| {
                    if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
                })),
        )
        .try_init();
}

/// Our own lines from `least` on. Libraries log every connection they open and reuse: of theirs only
/// warnings count.
fn ours(least: Level) -> Targets {
    let others = least.min(Level::WARN);
    Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), least)
}

/// Whether standard error is a stream to journald, by what a unit is told of it. Whatever a desktop
/// starts inherits that word, and not the stream.
#[cfg(target_os = "linux")]
fn is_journal() -> bool {
    let Ok(told) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| told == format!("{}:{}", stat.st_dev, stat.st_ino))
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
