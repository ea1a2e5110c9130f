//! Column style: one line per record, wrapped headings, common titles over neighbouring columns.

use super::Style;
use super::paint::{
    BLUE, BOLD, BOLD_BLUE, DIM, centre, codes, longest_word, pad, paint, title, width, wrap,
};
use crate::sheet::{Cell, Leaf, Table, TableGroup};

/// Neighbouring columns under a common title, or one column without.
struct Block<'a> {
    title: Option<&'a str>,
    leaves: Vec<(&'a Leaf, usize)>,
}

impl Block<'_> {
    fn width(&self) -> usize {
        self.leaves.iter().map(|(_, width)| width).sum::<usize>()
            + self.leaves.len().saturating_sub(1)
    }

    /// Make room for the common title: at least its longest word, and a `~` on both sides of every line of it.
    fn widen(&mut self) {
        let Some(text) = self.title else { return };
        let natural = self.width();
        let mut wanted = natural.max(longest_word(text));
        let longest = wrap(text, wanted)
            .iter()
            .map(|line| width(line))
            .max()
            .unwrap_or(0);
        wanted += (longest + 2).saturating_sub(wanted).min(2);
        let extra = wanted - natural;
        let count = self.leaves.len().max(1);
        for (position, (_, width)) in self.leaves.iter_mut().enumerate() {
            *width += extra / count + usize::from(position < extra % count);
        }
    }

    /// The heading lines as (text, is a heading or a separator) without trailing blank lines.
    fn lines(&self) -> Vec<Vec<String>> {
        let titles = self
            .title
            .map(|text| wrap(text, self.width()))
            .unwrap_or_default()
            .into_iter()
            .map(|line| vec![centre(&line, self.width(), "~")]);
        let headings: Vec<Vec<String>> = self
            .leaves
            .iter()
            .map(|(leaf, to)| wrap(&leaf.title, *to))
            .collect();
        let height = headings.iter().map(Vec::len).max().unwrap_or(0);
        let below = (0..height).map(|line| {
            self.leaves
                .iter()
                .zip(&headings)
                .map(|((_, to), heading)| {
                    pad(heading.get(line).map_or("", String::as_str), *to, true)
                })
                .collect()
        });
        titles.chain(below).collect()
    }

    fn blank(&self) -> Vec<String> {
        self.leaves
            .iter()
            .map(|(_, width)| " ".repeat(*width))
            .collect()
    }
}

pub(super) fn write(table: &Table, style: &Style) -> String {
    let blocks = blocks(table);
    let widths: Vec<usize> = blocks
        .iter()
        .flat_map(|block| block.leaves.iter().map(|(_, width)| *width))
        .collect();
    let total = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
    let terminal = if table.repeat_title {
        style.columns
    } else {
        usize::MAX
    };
    let title = title(&table.title, total, terminal);
    let mut out = paint(&title, BOLD, style.colour) + "\n";
    for line in table
        .description
        .iter()
        .flat_map(|text| wrap(text, width(&title)))
    {
        out += &paint(&centre(&line, width(&title), " "), DIM, style.colour);
        out.push('\n');
    }
    headings(&blocks, style, &mut out);
    for group in &table.groups {
        rows(table, group, &widths, style, &mut out);
    }
    out += &paint(
        &format!("Number of rows: {}", table.records),
        DIM,
        style.colour,
    );
    out + "\n\n"
}

fn blocks(table: &Table) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (position, leaf) in table.leaves.iter().enumerate() {
        let entry = (leaf, column_width(table, leaf, position));
        let title = leaf.group.as_deref();
        match blocks.last_mut() {
            Some(block) if title.is_some() && block.title == title => block.leaves.push(entry),
            _ => blocks.push(Block {
                title,
                leaves: vec![entry],
            }),
        }
    }
    for block in &mut blocks {
        block.widen();
    }
    blocks
}

fn column_width(table: &Table, leaf: &Leaf, position: usize) -> usize {
    table
        .groups
        .iter()
        .flat_map(|group| {
            let below = group
                .aggregates
                .iter()
                .filter_map(move |cells| cells.get(position)?.as_ref());
            group
                .rows
                .iter()
                .filter_map(move |row| row.get(position))
                .chain(below)
        })
        .map(|cell| width(&cell.text))
        .max()
        .unwrap_or(0)
        .max(longest_word(&leaf.title))
}

fn headings(blocks: &[Block<'_>], style: &Style, out: &mut String) {
    let columns: Vec<Vec<Vec<String>>> = blocks.iter().map(Block::lines).collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let cells = blocks
            .iter()
            .zip(&columns)
            .flat_map(|(block, lines)| lines.get(line).cloned().unwrap_or_else(|| block.blank()))
            .map(|cell| paint(&cell, BOLD, style.colour));
        push_line(cells, style, out);
    }
}

fn rows(table: &Table, group: &TableGroup, widths: &[usize], style: &Style, out: &mut String) {
    for row in &group.rows {
        let cells = row
            .iter()
            .zip(&table.leaves)
            .zip(widths)
            .map(|((cell, leaf), to)| {
                paint(&pad(&cell.text, *to, leaf.right), codes(cell), style.colour)
            });
        push_line(cells, style, out);
    }
    if let Some(aggregates) = &group.aggregates {
        let cells = aggregates
            .iter()
            .zip(&table.leaves)
            .zip(widths)
            .map(|((cell, leaf), to)| {
                paint(
                    &pad(text(cell.as_ref()), *to, leaf.right),
                    aggregate_codes(leaf),
                    style.colour,
                )
            });
        push_line(cells, style, out);
    }
}

fn text(cell: Option<&Cell>) -> &str {
    cell.map_or("", |cell| &cell.text)
}

fn aggregate_codes(leaf: &Leaf) -> &'static str {
    if leaf.is_group_key { BOLD_BLUE } else { BLUE }
}

fn push_line(cells: impl Iterator<Item = String>, style: &Style, out: &mut String) {
    let separator = paint("|", DIM, style.colour);
    *out += &cells.collect::<Vec<_>>().join(&separator);
    out.push('\n');
}
