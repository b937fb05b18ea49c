//! The list of sessions: its order, its filter, and which one is selected.

use std::cmp::Reverse;

use crate::control::view::View;
use crate::session::order;
use crate::session::state::StateName;

/// By what the list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Those that need a human first, then those that work.
    #[default]
    Need,
    Name,
    Cost,
    /// The latest progress first.
    Progress,
}

impl Sort {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Need => Self::Name,
            Self::Name => Self::Cost,
            Self::Cost => Self::Progress,
            Self::Progress => Self::Need,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Name => "name",
            Self::Cost => "cost",
            Self::Progress => "progress",
        }
    }
}

/// Whether a session cannot continue without a human.
pub(super) const fn needs_human(state: StateName) -> bool {
    matches!(state, StateName::Waiting | StateName::Blocked | StateName::Failed)
}

const fn urgency(state: StateName) -> u8 {
    match state {
        StateName::Failed => 0,
        StateName::Blocked => 1,
        StateName::Waiting => 2,
        StateName::Running => 3,
        StateName::Limited | StateName::Paused | StateName::Queued => 4,
        StateName::New => 5,
        StateName::Stopped => 6,
        StateName::Done => 7,
    }
}

/// All sessions, and those of them that are shown.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Vec<View>,
    /// Instances of those shown, in order.
    shown: Vec<String>,
    selected: Option<String>,
    pub(super) sort: Sort,
    filter: String,
}

impl Sessions {
    /// Adds a session, or replaces what is known of it.
    pub(super) fn put(&mut self, view: View) {
        match self.all.iter_mut().find(|known| known.instance == view.instance) {
            Some(known) => *known = view,
            None => self.all.push(view),
        }
        self.arrange();
    }

    pub(super) fn remove(&mut self, instance: &str) {
        self.all.retain(|view| view.instance != instance);
        self.arrange();
    }

    pub(super) fn all(&self) -> &[View] {
        &self.all
    }

    /// The sessions shown, in order.
    pub(super) fn shown(&self) -> impl Iterator<Item = &View> {
        self.shown.iter().filter_map(|instance| self.get(instance))
    }

    pub(super) fn get(&self, instance: &str) -> Option<&View> {
        self.all.iter().find(|view| view.instance == instance)
    }

    pub(super) fn selected(&self) -> Option<&View> {
        self.get(self.selected.as_deref()?)
    }

    /// Where the selected session is in the list.
    pub(super) fn position(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.shown.iter().position(|instance| instance == selected)
    }

    /// Selects the session this many lines below, or above if negative.
    pub(super) fn step(&mut self, lines: isize) {
        let at = self.position().unwrap_or(0).saturating_add_signed(lines);
        self.select(at);
    }

    /// Selects the session on a line, or the last one.
    pub(super) fn select(&mut self, line: usize) {
        let last = self.shown.len().saturating_sub(1);
        self.selected = self.shown.get(line.min(last)).cloned();
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    /// Shows only sessions whose name, project, state or phase contains each of these words.
    pub(super) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    pub(super) fn set_sort(&mut self, sort: Sort) {
        self.sort = sort;
        self.arrange();
    }

    /// Sorts and filters again. The selection stays on its session while that is shown, else on its
    /// line.
    fn arrange(&mut self) {
        let line = self.position().unwrap_or(0);
        let sort = self.sort;
        order::by(&mut self.all, |a, b| a.instance.cmp(&b.instance));
        match sort {
            Sort::Name => {}
            Sort::Need => {
                order::by_key(&mut self.all, |view| {
                    (urgency(view.state), Reverse(view.last_progress))
                });
            }
            Sort::Cost => order::by(&mut self.all, |a, b| b.cost_usd.total_cmp(&a.cost_usd)),
            Sort::Progress => order::by_key(&mut self.all, |view| Reverse(view.last_progress)),
        }
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let is_wanted = |view: &&View| {
            let text = format!("{} {} {} {}", view.instance, view.project, view.state, view.phase);
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.shown = self.all.iter().filter(is_wanted).map(|view| view.instance.clone()).collect();
        if self.position().is_none() {
            self.select(line);
        }
    }
}
