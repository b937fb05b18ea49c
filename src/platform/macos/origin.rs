//! Where this process was called from.

/// Whether this process belongs to a run of an agent. Only its environment can tell here.
#[must_use]
pub fn is_in_run() -> bool {
    std::env::var_os("SAMOCODE_RUN").is_some()
}
