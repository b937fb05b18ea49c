//! Members are numbers, commits are sets of them, and what conflicts or is red is given.

use super::*;

struct Model {
    members: usize,
    at: Vec<usize>,
    /// Pairs that conflict.
    conflicts: Vec<(usize, usize)>,
    /// Sets that are red if all their members are merged.
    red: Vec<Vec<usize>>,
    built_on: BTreeMap<usize, Vec<usize>>,
    tests: usize,
    /// Fails at this test, as if it were killed.
    dies_at: Option<usize>,
    saved: Option<Series>,
}

fn commit(members: &[usize]) -> String {
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Model {
    fn new(members: usize) -> Self {
        Self {
            members,
            at: Vec::new(),
            conflicts: Vec::new(),
            red: Vec::new(),
            built_on: BTreeMap::new(),
            tests: 0,
            dies_at: None,
            saved: None,
        }
    }

    fn is_red(&self) -> bool {
        self.red.iter().any(|set| set.iter().all(|member| self.at.contains(member)))
    }
}

#[async_trait]
impl Ground for Model {
    async fn put_at(&mut self, commit: &str) -> Result<()> {
        self.at = commit.split(',').filter_map(|member| member.parse().ok()).collect();
        Ok(())
    }

    async fn merge(&mut self, member: usize) -> Result<Step> {
        let opposed = |other: &usize| {
            self.conflicts.contains(&(*other, member)) || self.conflicts.contains(&(member, *other))
        };
        if self.at.contains(&member) {
            return Ok(Step::Contained);
        }
        if self.at.iter().any(opposed) {
            return Ok(Step::Conflicts(Vec::new()));
        }
        let base = self.built_on.get(&member).cloned().unwrap_or_default();
        self.at.extend(base);
        self.at.push(member);
        Ok(Step::Merged)
    }

    fn head(&self) -> Result<String> {
        Ok(commit(&self.at))
    }

    async fn test(&mut self) -> Result<Verdict> {
        self.tests += 1;
        if self.dies_at == Some(self.tests) {
            return Err(Error::unavailable("killed"));
        }
        Ok(if self.is_red() { Verdict::Red("2 failed".into()) } else { Verdict::Green })
    }

    fn save(&mut self, series: &Series) -> Result<()> {
        self.saved = Some(series.clone());
        Ok(())
    }

    fn name(&self, member: usize) -> String {
        format!("s{member}")
    }

    fn built_on(&self, member: usize) -> &[usize] {
        self.built_on.get(&member).map_or(&[], Vec::as_slice)
    }
}

async fn settled(model: &mut Model) -> Series {
    let mut series = Series::new("", (0..model.members).collect());
    series.settle(model).await.unwrap();
    series
}

fn red(with: &[&str]) -> End {
    let with = with.iter().map(|name| (*name).to_owned()).collect();
    End::Red { with, output: "2 failed".into() }
}

#[tokio::test]
async fn branches_that_get_along_are_tested_once() {
    let mut model = Model::new(20);
    let series = settled(&mut model).await;
    assert_eq!(series.accepted, (0..20).collect::<Vec<_>>());
    assert_eq!(model.tests, 1);
    let mut none = Model::new(0);
    assert_eq!(settled(&mut none).await.tip, "");
}

#[tokio::test]
async fn of_twenty_the_conflicting_the_red_and_the_pair_are_named_and_the_rest_is_in() {
    let mut model = Model::new(20);
    model.conflicts = vec![(1, 4), (1, 9), (2, 13)];
    model.red = vec![vec![5], vec![11], vec![7, 16]];
    let series = settled(&mut model).await;
    assert_eq!(series.accepted.len(), 14);
    let out = |end: &End| series.ends.iter().filter(|(_, other)| *other == end).count();
    assert_eq!(out(&End::Conflicts { files: Vec::new() }), 3);
    assert_eq!((&series.ends[&5], &series.ends[&11]), (&red(&[]), &red(&[])));
    assert_eq!(series.ends[&16], red(&["s7"]));
    model.put_at(&series.tip).await.unwrap();
    assert!(!model.is_red(), "the result is green");
    assert!(model.tests <= 40, "{}", model.tests);
}

#[tokio::test]
async fn a_conflict_with_a_branch_that_is_left_out_does_not_count() {
    let mut model = Model::new(3);
    model.conflicts = vec![(0, 1)];
    model.red = vec![vec![0]];
    let series = settled(&mut model).await;
    assert_eq!(series.accepted, [1, 2]);
    assert_eq!(series.ends[&0], red(&[]));
}

#[tokio::test]
async fn what_is_built_on_a_branch_that_is_left_out_is_held_up() {
    let mut model = Model::new(4);
    model.red = vec![vec![0]];
    model.built_on = BTreeMap::from([(1, vec![0]), (2, vec![0, 1])]);
    let series = settled(&mut model).await;
    assert_eq!(series.accepted, [3]);
    assert_eq!(series.ends[&1], End::HeldUp { by: "s0".into() });
    assert_eq!(series.ends[&2], End::HeldUp { by: "s0".into() });
}

#[tokio::test]
async fn three_that_are_red_only_together_are_all_named() {
    let mut model = Model::new(5);
    model.red = vec![vec![0, 2, 4]];
    let series = settled(&mut model).await;
    assert_eq!(series.ends[&4], red(&["s0", "s1", "s2"]));
    assert_eq!(series.accepted, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_target_that_is_red_by_itself_is_not_blamed_on_a_branch() {
    let mut model = Model::new(2);
    model.red = vec![Vec::new()];
    let mut series = Series::new("", vec![0, 1]);
    let error = series.settle(&mut model).await.unwrap_err();
    assert!(error.message.contains("fail before anything is merged"), "{error}");
    assert_eq!(series.ends, BTreeMap::new());
}

#[tokio::test]
async fn a_series_cut_off_at_any_test_ends_as_one_that_was_not() {
    let model = || {
        let mut model = Model::new(9);
        model.conflicts = vec![(1, 4), (0, 8)];
        model.red = vec![vec![3], vec![2, 6], vec![1, 5, 7]];
        model.built_on = BTreeMap::from([(4, vec![3])]);
        model
    };
    let mut whole = model();
    let expected = settled(&mut whole).await;
    for dies_at in 1..=whole.tests {
        let mut cut = model();
        cut.dies_at = Some(dies_at);
        let mut series = Series::new("", (0..9).collect());
        assert!(series.settle(&mut cut).await.is_err());
        let mut resumed = cut.saved.take().unwrap_or_else(|| Series::new("", (0..9).collect()));
        cut.dies_at = None;
        resumed.settle(&mut cut).await.unwrap();
        assert_eq!(resumed, expected, "cut off at test {dies_at}");
    }
}
