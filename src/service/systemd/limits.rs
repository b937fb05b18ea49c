//! A session's limits as directives of systemd.resource-control(5).

use crate::service::{Limits, Unfit};

const IDLE: &str = "idle";

/// The first systemd that knows `CPUWeight=idle`.
const IDLE_SINCE: u32 = 252;

/// The directives for all given limits, validated: systemd would ignore a bad one with a warning
/// that no one reads. An older systemd gets the lowest weight in place of `idle`.
pub(super) fn directives(of: &Limits, version: u32) -> Result<Vec<(&'static str, &str)>, Unfit> {
    const SIZE: &str = "a number with K, M, G or T, a percentage like 50%, or infinity";
    let amount = |text: &str, suffixes: &str| {
        let number = text.trim_end_matches(|c: char| suffixes.contains(c));
        text == "infinity"
            || (text.len() - number.len() <= 1
                && number.parse::<f64>().is_ok_and(|n| n > 0.0 && n.is_finite())
                && number.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    };
    let weight = |text: &str| {
        text == IDLE || text.parse::<u32>().is_ok_and(|weight| (1..=10_000).contains(&weight))
    };
    let all = [
        ("MemoryHigh", &of.memory_high, SIZE),
        ("MemoryMax", &of.memory_max, SIZE),
        ("TasksMax", &of.tasks_max, "a number, a percentage like 50%, or infinity"),
        ("CPUWeight", &of.cpu_weight, "a number from 1 to 10000, or idle"),
    ];
    let mut set = Vec::new();
    for (directive, value, allowed) in all {
        let Some(value) = value.as_deref() else { continue };
        let sound = match directive {
            "CPUWeight" => weight(value),
            "TasksMax" => amount(value, "%") && !value.contains('.'),
            _ => amount(value, "KMGT%"),
        };
        if !sound {
            return Err(Unfit::Limit { directive, value: value.to_owned(), allowed });
        }
        let is_too_new = value == IDLE && version < IDLE_SINCE;
        set.push((directive, if is_too_new { "1" } else { value }));
    }
    Ok(set)
}
