//! Bars for the phases: how long the agent worked in each, and what that cost.

use maud::{Markup, html};

use crate::control::cost::{Bill, Sum};
use crate::session::Phase;

use super::{price, worked};

/// Height of a phase's row, in the picture's own units.
const ROW: usize = 26;
/// Where the bars begin, and how long the longest is.
const LEFT: usize = 110;
const LONGEST: f64 = 130.0;

/// A picture with a bar for each phase that had runs; nothing if none had.
pub(crate) fn of_phases(bill: &Bill) -> Markup {
    let phases: Vec<(&Phase, &Sum)> = bill.phases.iter().collect();
    let most = phases.iter().map(|(_, sum)| sum.seconds).max().unwrap_or(0);
    let height = phases.len() * ROW + 4;
    html! {
        @if !phases.is_empty() {
            svg viewBox={ "0 0 360 " (height) } role="img" aria-label="Time and cost by phase" {
                @for (at, (phase, sum)) in phases.iter().enumerate() {
                    text x="0" y=(at * ROW + 18) { (phase) }
                    rect x=(LEFT) y=(at * ROW + 6) height="16" rx="3" width=(width(sum.seconds, most)) {}
                    text x=(f64::from(width(sum.seconds, most)) + LEFT as f64 + 8.0) y=(at * ROW + 18) {
                        (worked(sum)) ", " (price(sum))
                    }
                }
            }
        }
    }
}

/// How long a bar is. Even the shortest can be seen.
fn width(seconds: i64, most: i64) -> u32 {
    let share = seconds.max(0) as f64 / most.max(1) as f64;
    ((share * LONGEST).round() as u32).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!((width(0, 0), width(0, 100), width(50, 100), width(100, 100)), (2, 2, 65, 130));
        assert_eq!(of_phases(&Bill::empty("jwt")).into_string(), "");
    }
}
