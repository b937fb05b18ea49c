//! The manager's log, journald, for programs that its units run.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// A layer that logs to journald with structured fields. `None` if standard error does not go there.
#[cfg(target_os = "linux")]
pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> Option<impl Layer<S>> {
    let layer = is_journal().then(|| tracing_journald::layer().ok()).flatten()?;
    Some(layer.with_field_prefix(None).with_syslog_identifier("samocode".to_owned()))
}

/// There is no journald here.
#[cfg(not(target_os = "linux"))]
pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> Option<impl Layer<S>> {
    None::<tracing_subscriber::layer::Identity>
}

/// Whether standard error goes to journald, as `JOURNAL_STREAM` claims. Programs started from a
/// desktop inherit the variable but not the stream, so the file is compared.
#[cfg(target_os = "linux")]
fn is_journal() -> bool {
    let Ok(claimed) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| claimed == format!("{}:{}", stat.st_dev, stat.st_ino))
}
