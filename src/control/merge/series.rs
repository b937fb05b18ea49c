//! Which branches end up in a merge, decided with as few tests as possible.
//!
//! All branches are merged and tested together. If that is red, they are split in two halves, and
//! so on: n branches of which k are bad need about k·log n tests, and none more than one if all is
//! well. A branch that is red on top of the others is tested alone; if it is green there, the one it
//! does not get along with is found by bisection.
//!
//! Only decides. What merging and testing are is up to the [`Ground`], and the [`Series`] is saved
//! after every step, so that a merge that was killed resumes where it was.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::control::error::{Error, Result};
use crate::git::merge::Conflict;

/// What became of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// It is in the result.
    Merged,
    /// The result had all its commits already.
    Contained,
    /// It conflicts with what is in the result.
    Conflicts {
        /// The files, with the passages in conflict.
        files: Vec<Conflict>,
    },
    /// A hook or git itself refused to merge it.
    Refused {
        /// The last lines of the tests' output.
        said: String,
    },
    /// The tests fail with it.
    Red {
        /// The members it fails together with, although each is green without the other; empty if
        /// it fails on its own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        with: Vec<String>,
        /// The last lines of the tests.
        output: String,
    },
    /// It is built on a branch that was left out.
    HeldUp {
        /// The member with that branch.
        by: String,
    },
}

impl End {
    /// Whether the result lacks its commits.
    #[must_use]
    pub const fn is_left_out(&self) -> bool {
        !matches!(self, Self::Merged | Self::Contained)
    }
}

/// What one merge led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Merged,
    Contained,
    Conflicts(Vec<Conflict>),
    Refused(String),
}

/// What the tests said, with their last lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Green,
    Red(String),
}

/// Where branches are merged and tested. Members are known by their index.
#[async_trait]
pub(super) trait Ground: Send {
    /// Puts it at a commit.
    async fn put_at(&mut self, commit: &str) -> Result<()>;
    /// Merges a member into where it is.
    async fn merge(&mut self, member: usize) -> Result<Step>;
    /// The commit it is at.
    fn head(&self) -> Result<String>;
    /// Tests it as it is.
    async fn test(&mut self) -> Result<Verdict>;
    /// Records how far the series has come.
    fn save(&mut self, series: &Series) -> Result<()>;
    /// The name of a member.
    fn name(&self, member: usize) -> String;
    /// The members whose branches a member is built on.
    fn built_on(&self, member: usize) -> &[usize];
}

/// How far a merge has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Series {
    /// The commit that all of it started from.
    pub(super) base: String,
    /// The commit with everything accepted so far, tested.
    pub(super) tip: String,
    /// The accepted members, in the order they were merged.
    pub(super) accepted: Vec<usize>,
    /// What became of the members that are settled.
    pub(super) ends: BTreeMap<usize, End>,
    /// The groups still to be merged, the next one last.
    queue: Vec<Vec<usize>>,
}

impl Series {
    /// A series of all members, in the order in which they are to be merged.
    pub(super) fn new(base: &str, order: Vec<usize>) -> Self {
        Self {
            base: base.to_owned(),
            tip: base.to_owned(),
            accepted: Vec::new(),
            ends: BTreeMap::new(),
            queue: if order.is_empty() { Vec::new() } else { vec![order] },
        }
    }

    /// Settles all members.
    ///
    /// # Errors
    /// Those of the ground; and if the tests fail before anything is merged.
    pub(super) async fn settle(&mut self, ground: &mut dyn Ground) -> Result<()> {
        while let Some(group) = self.queue.last().cloned() {
            self.attempt(ground, &group).await?;
            ground.save(self)?;
        }
        Ok(())
    }

    async fn attempt(&mut self, ground: &mut dyn Ground, group: &[usize]) -> Result<()> {
        ground.put_at(&self.tip).await?;
        let mut merged = Vec::new();
        // Final only if the tests are green: the member that one conflicts with may go again.
        let mut apart: BTreeMap<usize, End> = BTreeMap::new();
        for member in group.iter().copied() {
            if let Some(by) = self.missing(ground, member, &apart) {
                apart.insert(member, End::HeldUp { by: ground.name(by) });
                continue;
            }
            match ground.merge(member).await? {
                Step::Merged => merged.push(member),
                Step::Contained => drop(apart.insert(member, End::Contained)),
                Step::Conflicts(files) => drop(apart.insert(member, End::Conflicts { files })),
                Step::Refused(said) => drop(apart.insert(member, End::Refused { said })),
            }
        }
        let verdict = if merged.is_empty() { Verdict::Green } else { ground.test().await? };
        let (output, head) = match verdict {
            Verdict::Green if merged.is_empty() => (None, self.tip.clone()),
            Verdict::Green => (None, ground.head()?),
            Verdict::Red(output) => (Some(output), String::new()),
        };
        self.queue.pop();
        match (output, merged.as_slice()) {
            (None, _) => {
                self.ends.extend(merged.iter().map(|member| (*member, End::Merged)));
                self.ends.append(&mut apart);
                self.accepted.extend(merged);
                self.tip = head;
            }
            (Some(output), [member]) => {
                let end = self.blame(ground, *member, output).await?;
                self.ends.insert(*member, end);
                self.put_back(apart.into_keys().collect());
            }
            (Some(_), _) => {
                let (one, other) = group.split_at(group.len() / 2);
                self.put_back(other.to_vec());
                self.put_back(one.to_vec());
            }
        }
        Ok(())
    }

    fn put_back(&mut self, group: Vec<usize>) {
        if !group.is_empty() {
            self.queue.push(group);
        }
    }

    /// A member that this one is built on and that is not in the result.
    fn missing(
        &self,
        ground: &dyn Ground,
        member: usize,
        apart: &BTreeMap<usize, End>,
    ) -> Option<usize> {
        let is_out = |other: &usize| {
            let end = apart.get(other).or_else(|| self.ends.get(other));
            end.is_some_and(End::is_left_out)
        };
        ground.built_on(member).iter().copied().find(is_out)
    }

    /// Finds out whether a member that is red on top of the accepted ones is red by itself, and if
    /// not, with which of them.
    async fn blame(&self, ground: &mut dyn Ground, member: usize, output: String) -> Result<End> {
        if self.accepted.is_empty() {
            ground.put_at(&self.base).await?;
            if let Verdict::Red(output) = ground.test().await? {
                let message = "the tests fail before anything is merged";
                return Err(Error::refused(format!("{message}: {output}"))
                    .hint("fix SAMOCODE_TEST_COMMAND or the target branch first"));
            }
            return Ok(End::Red { with: Vec::new(), output });
        }
        if self.is_red(ground, &[], member).await? {
            return Ok(End::Red { with: Vec::new(), output });
        }
        // Green with the first `green` of the accepted members, red with the first `red`.
        let (mut green, mut red) = (0, self.accepted.len());
        while red - green > 1 {
            let middle = green.midpoint(red);
            if self.is_red(ground, &self.accepted[..middle], member).await? {
                red = middle;
            } else {
                green = middle;
            }
        }
        let last = &self.accepted[red - 1..red];
        // It may take more than two.
        let is_pair = red == 1 || self.is_red(ground, last, member).await?;
        let with = if is_pair { last } else { &self.accepted[..red] };
        Ok(End::Red { with: with.iter().map(|other| ground.name(*other)).collect(), output })
    }

    /// Whether the base is red with these members and `member`. What cannot be merged without the
    /// others says nothing.
    async fn is_red(&self, ground: &mut dyn Ground, with: &[usize], member: usize) -> Result<bool> {
        ground.put_at(&self.base).await?;
        for other in with.iter().chain([&member]) {
            if !matches!(ground.merge(*other).await?, Step::Merged | Step::Contained) {
                return Ok(false);
            }
        }
        Ok(ground.test().await? != Verdict::Green)
    }
}

#[cfg(test)]
mod tests;
