//! The tables of `ARCHITECTURE.md`: rooms and what they may use, and knots, which are files or rooms that use each other.

use std::collections::{BTreeMap, BTreeSet};

/// Which rooms a room may use.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Name under which the table of knots is found.
pub const KNOTS: &str = "knots";

/// The tables by crate: those whose head is `| room of `NAME` | may use |`; and that whose head is `| knot of | parts |`,
/// which has for each crate the places that may use each other.
#[must_use]
pub fn tables(text: &str) -> BTreeMap<String, Arrows> {
    let mut tables: BTreeMap<String, Arrows> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let Some((left, right)) = cells(line) else {
            current = None;
            continue;
        };
        if let Some(name) = left.strip_prefix("room of ") {
            let name = name.trim_matches('`').to_owned();
            tables.entry(name.clone()).or_default();
            current = Some(name);
            continue;
        }
        if left == "knot of" {
            tables.entry(KNOTS.to_owned()).or_default();
            current = Some(KNOTS.to_owned());
            continue;
        }
        if left.starts_with("--") {
            continue;
        }
        let Some(arrows) = current.as_ref().and_then(|name| tables.get_mut(name)) else {
            continue;
        };
        let used: BTreeSet<String> = names(right).collect();
        for room in names(left) {
            arrows.entry(room).or_default().extend(used.iter().cloned());
        }
    }
    tables
}

fn cells(line: &str) -> Option<(&str, &str)> {
    let (left, right) = line.strip_prefix('|')?.split_once('|')?;
    Some((
        left.trim(),
        right.trim_end().strip_suffix('|').unwrap_or(right).trim(),
    ))
}

/// The names between backquotes.
fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_others_are_not() {
        let text = "x\n\n| room of `server` | may use |\n|--|--|\n| `a` | |\n| `b` `c` | `a`, `d` |\n\n| to add | go to |\n|--|--|\n| `x` | `y` |\n";
        let tables = tables(text);
        assert_eq!(tables.len(), 1);
        let server = &tables["server"];
        assert_eq!(server["a"].len(), 0);
        assert_eq!(server["b"], server["c"]);
        assert_eq!(server["b"].iter().collect::<Vec<_>>(), ["a", "d"]);
        assert!(!server.contains_key("x"));
    }
}
