//! Text laid out for a terminal's width. Words are never broken, since a command or a path that is
//! broken cannot be pasted: one that is too long spills over. Without a width, as in a pipe,
//! nothing is wrapped or cut.

use anstyle::Style;
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::output::{DIM, painted};

/// A space at which a line is not wrapped; it is printed as a plain one.
const GLUE: char = '\u{a0}';

/// How many blanks separate two columns of a grid.
const GAP: usize = 2;

/// A last column narrower than this goes below the others instead.
const LEAST_LAST: usize = 24;

/// Makes a text, such as a command, one word that is not wrapped.
pub(in crate::cli) fn glued(text: &str) -> String {
    text.replace(' ', &GLUE.to_string())
}

/// Wraps a text, its first line after `first`, the others after `rest`.
pub(in crate::cli) fn wrap(
    text: &str,
    first: &str,
    rest: &str,
    width: Option<usize>,
) -> Vec<String> {
    let Some(width) = width else {
        return vec![format!("{first}{}", text.replace(GLUE, " ")).trim_end().to_owned()];
    };
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options).into_iter();
    lines.map(|line| line.replace(GLUE, " ").trim_end().to_owned()).collect()
}

/// One cell of a [`Grid`].
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    pub(in crate::cli) fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), ..Self::default() }
    }

    pub(in crate::cli) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Aligned right, as amounts are.
    pub(in crate::cli) fn right(self) -> Self {
        Self { right: true, ..self }
    }

    fn width(&self) -> usize {
        display_width(&self.text)
    }

    fn padded(&self, width: usize) -> String {
        let spaces = " ".repeat(width.saturating_sub(self.width()));
        if self.text.is_empty() {
            return spaces;
        }
        let text = painted(self.style, &self.text);
        if self.right { spaces + &text } else { text + &spaces }
    }
}

#[derive(Debug)]
enum Row {
    /// Cells for the columns, and one for the last.
    Cells(Vec<Cell>, Cell),
    /// A text beside the first column, over all others.
    Note(Cell, String),
}

/// Rows of cells in columns, the last of which is free text. Where that has no room beside the
/// others it goes below them; where not even those fit, each row becomes a few short lines.
#[derive(Debug, Default)]
pub(in crate::cli) struct Grid {
    header: Vec<&'static str>,
    rows: Vec<Row>,
    /// Whether cells need their column's name where there is no header.
    is_labelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Beside,
    Below,
    Stacked,
}

impl Grid {
    /// A grid with these columns; the last one is the free text. No names: no header.
    pub(in crate::cli) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), ..Self::default() }
    }

    /// One whose cells are meaningless without their column's name.
    pub(in crate::cli) fn labelled(header: &[&'static str]) -> Self {
        Self { is_labelled: true, ..Self::new(header) }
    }

    /// Adds a row; `last` may be empty.
    pub(in crate::cli) fn row(&mut self, cells: Vec<Cell>, last: Cell) {
        self.rows.push(Row::Cells(cells, last));
    }

    /// Adds a dimmed text beside the first column.
    pub(in crate::cli) fn note(&mut self, first: Cell, text: impl Into<String>) {
        self.rows.push(Row::Note(first, text.into()));
    }

    /// The lines, for this width.
    pub(in crate::cli) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths();
        let layout = self.layout(&widths, width);
        let mut lines = Vec::new();
        if layout != Layout::Stacked && !self.header.is_empty() {
            lines.push(self.header_line(&widths, layout));
        }
        for row in &self.rows {
            match row {
                Row::Cells(cells, last) => match layout {
                    Layout::Stacked => lines.extend(self.stacked(cells, last, width)),
                    _ => lines.extend(laid(cells, last, &widths, layout, width)),
                },
                Row::Note(first, text) => {
                    let room = if layout == Layout::Stacked { 0 } else { widths[0] };
                    let rest = " ".repeat(room.max(first.width()) + GAP);
                    let head = format!("{}{}", first.padded(room), " ".repeat(GAP));
                    let wrapped = wrap(text, &rest, &rest, width);
                    let texts = wrapped.iter().map(|line| line.get(rest.len()..).unwrap_or(line));
                    lines.extend(texts.enumerate().map(|(at, text)| {
                        let before = if at == 0 { &head } else { &rest };
                        painted(DIM, format!("{before}{text}"))
                    }));
                }
            }
        }
        lines
    }

    fn stacked(&self, cells: &[Cell], last: &Cell, width: Option<usize>) -> Vec<String> {
        let indent = " ".repeat(GAP);
        let Some((first, others)) = cells.split_first() else { return Vec::new() };
        let names = self.header.iter().skip(1).filter(|_| self.is_labelled);
        let names = names.map(|name| format!("{name} ")).chain(std::iter::repeat(String::new()));
        let others = others.iter().zip(names).filter(|(cell, _)| !cell.text.trim().is_empty());
        let others: Vec<String> = others
            .map(|(cell, name)| {
                let text = format!("{name}{}", cell.text.trim());
                let fits = width.is_none_or(|width| GAP + display_width(&text) <= width);
                painted(cell.style, if fits { glued(&text) } else { text })
            })
            .collect();
        let mut lines = wrap(&painted(first.style, &first.text), "", &indent, width);
        lines.extend(wrap(&others.join(" · "), &indent, &indent, width));
        lines.extend(below(last, width));
        lines
    }

    /// The width of each column but the last.
    fn widths(&self) -> Vec<usize> {
        let names = self.header.split_last().map(|(_, names)| names).unwrap_or_default();
        let mut widths: Vec<usize> = names.iter().map(|name| name.len()).collect();
        for row in &self.rows {
            let cells = match row {
                Row::Cells(cells, _) => cells.as_slice(),
                Row::Note(first, _) => std::slice::from_ref(first),
            };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        widths
    }

    fn layout(&self, widths: &[usize], width: Option<usize>) -> Layout {
        let Some(width) = width else { return Layout::Beside };
        let used = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let least = self.rows.iter().map(|row| match row {
            Row::Cells(_, last) => {
                let word = last.text.split(' ').map(display_width).max().unwrap_or(0);
                word.max(last.width().min(LEAST_LAST))
            }
            Row::Note(..) => 0,
        });
        match least.max().unwrap_or(0) {
            0 if used <= width => Layout::Beside,
            least if least > 0 && used + GAP + least <= width => Layout::Beside,
            _ if used <= width => Layout::Below,
            _ => Layout::Stacked,
        }
    }

    fn header_line(&self, widths: &[usize], layout: Layout) -> String {
        let mut line = String::new();
        let is_right = |at: usize| {
            let row = self.rows.iter().find_map(|row| match row {
                Row::Cells(cells, _) => cells.get(at),
                Row::Note(..) => None,
            });
            row.is_some_and(|cell| cell.right)
        };
        for (at, (name, width)) in self.header.iter().zip(widths).enumerate() {
            line +=
                &if is_right(at) { format!("{name:>width$}") } else { format!("{name:width$}") };
            line += &" ".repeat(GAP);
        }
        let has_last =
            self.rows.iter().any(|row| matches!(row, Row::Cells(_, last) if !last.text.is_empty()));
        if layout == Layout::Beside && has_last {
            line += self.header.last().copied().unwrap_or_default();
        }
        painted(DIM, line.trim_end())
    }
}

fn laid(
    cells: &[Cell],
    last: &Cell,
    widths: &[usize],
    layout: Layout,
    width: Option<usize>,
) -> Vec<String> {
    let padded = cells.iter().zip(widths).map(|(cell, width)| cell.padded(*width));
    let head = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
    if last.text.is_empty() {
        return vec![head.trim_end().to_owned()];
    }
    if layout != Layout::Beside {
        return std::iter::once(head.trim_end().to_owned()).chain(below(last, width)).collect();
    }
    let beside = widths.iter().map(|width| width + GAP).sum::<usize>();
    let room = width.map(|width| width.saturating_sub(beside).max(1));
    let texts = wrap(&last.text, "", "", room).into_iter().enumerate();
    let lines = texts.map(|(at, text)| {
        let text = painted(last.style, text);
        if at == 0 { format!("{head}  {text}") } else { format!("{}{text}", " ".repeat(beside)) }
    });
    lines.collect()
}

/// A last column on lines of its own.
fn below(last: &Cell, width: Option<usize>) -> Vec<String> {
    if last.text.is_empty() {
        return Vec::new();
    }
    let lines = wrap(&last.text, "", "", width.map(|width| width.saturating_sub(GAP).max(1)));
    lines.iter().map(|text| format!("  {}", painted(last.style, text))).collect()
}

/// The widths at which tests look at what is printed, with the names of their snapshots: terminals
/// from narrow to wide, and a pipe.
#[cfg(test)]
pub(in crate::cli) const WIDTHS: [(&str, Option<usize>); 5] =
    [("40", Some(40)), ("60", Some(60)), ("80", Some(80)), ("120", Some(120)), ("piped", None)];

/// Fails if some line of what is printed at a width is wider, at any width of a terminal. A word that
/// fits no line, as a path, stays whole: it is to be pasted.
#[cfg(test)]
pub(in crate::cli) fn assert_fits(printed: impl Fn(Option<usize>) -> String) {
    for width in 40..=130 {
        let text = anstream::adapter::strip_str(&printed(Some(width))).to_string();
        let is_long = |word: &str| textwrap::core::display_width(word) + 14 > width;
        let fits = |line: &str| {
            textwrap::core::display_width(line) <= width || line.split(' ').any(is_long)
        };
        assert!(text.lines().all(fits), "at {width}:\n{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    fn grid() -> Grid {
        let mut grid = Grid::new(&["NAME", "COST", "ABOUT"]);
        let row = |name: &str, cost: &str| vec![Cell::new(name), Cell::new(cost).right()];
        let about = format!("why it waits: {}", glued("samocode answer jwt"));
        grid.row(row("jwt", "$0.42"), Cell::new(about));
        grid.row(row("search-index", "$13.10"), Cell::default());
        grid.note(Cell::new("17:02"), "it was stopped and started again by someone");
        grid
    }

    #[test]
    fn a_last_column_is_beside_where_it_fits_below_where_not_and_lines_are_stacked_at_last() {
        let at = |width| plain(&grid().lines(width)).join("\n");
        assert_eq!(
            at(Some(60)),
            "NAME            COST  ABOUT\n\
             jwt            $0.42  why it waits: samocode answer jwt\n\
             search-index  $13.10\n\
             17:02         it was stopped and started again by someone"
        );
        assert_eq!(
            at(Some(30)),
            "NAME            COST\n\
             jwt            $0.42\n  why it waits:\n  samocode answer jwt\n\
             search-index  $13.10\n\
             17:02         it was stopped\n              and started\n              again by someone"
        );
        assert_eq!(
            at(Some(18)),
            "jwt\n  $0.42\n  why it waits:\n  samocode answer jwt\n\
             search-index\n  $13.10\n\
             17:02  it was\n       stopped and\n       started\n       again by\n       someone"
        );
    }

    #[test]
    fn a_cell_that_is_too_long_for_a_line_is_wrapped_between_its_words() {
        let mut grid = Grid::new(&["KEY", "VALUE", "FROM"]);
        grid.row(vec![Cell::new("CACHES"), Cell::new("target node_modules .venv")], Cell::new(""));
        let lines = plain(&grid.lines(Some(20)));
        assert_eq!(lines, ["CACHES", "  target", "  node_modules .venv"]);
    }

    #[test]
    fn an_empty_cell_at_the_end_leaves_no_blanks_whatever_its_style() {
        let mut grid = Grid::new(&["NAME", "NOTE", ""]);
        let cells = ["jwt", ""].map(|text| Cell::new(text).style(super::super::output::BOLD));
        grid.row(cells.to_vec(), Cell::default());
        assert!(plain(&grid.lines(None)).iter().all(|line| line == line.trim_end()));
    }

    #[test]
    fn a_pipe_gets_a_line_for_each_row() {
        let lines = plain(&grid().lines(None));
        assert_eq!(lines.len(), 4);
        assert!(lines[3].ends_with("it was stopped and started again by someone"), "{lines:?}");
    }

    #[test]
    fn a_word_is_never_broken() {
        let path = "/srv/projects/a/rather/long/path/for/a/narrow/terminal";
        for width in [1, 10, 40] {
            let lines = wrap(&format!("look into {path} now"), "  ", "    ", Some(width));
            assert!(lines.iter().any(|line| line.trim() == path), "{lines:?}");
        }
        assert_eq!(wrap("a b", "", "", None), ["a b"]);
    }
}
