//! Each item of the conformance list, and each known failure of the real server, has a test.
//!
//! Cases name what they cover in brackets; tests elsewhere by the end of their name, `_item_17`, `_items_104_and_105` or
//! `_items_95_to_99`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{FILES, case};

/// The last item of the conformance list.
const ITEMS: u32 = 107;

/// Failures: crashes and openings by info commands, crashes by UDFs, missing limits, lost data. The others of the list
/// are about time and the cache, and have tests in `tests/it`.
const FAILURES: &[&str] = &[
    "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.10", "1.11", "2.1", "2.2", "2.3",
    "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "2.10", "2.11", "2.12", "2.13", "3", "5",
];

/// The file whose cases name failures instead of items.
const SAFETY: &str = "safety";

/// The numbers at the end of a test's name.
fn items_of_name(name: &str) -> Vec<u32> {
    let Some((_, numbers)) = name
        .rsplit_once("_item_")
        .or_else(|| name.rsplit_once("_items_"))
    else {
        return Vec::new();
    };
    let words: Vec<&str> = numbers.split('_').collect();
    let number = |word: &str| word.parse::<u32>().ok();
    match words.as_slice() {
        [first, "to", last] => (number(first).unwrap()..=number(last).unwrap()).collect(),
        words => words.iter().copied().filter_map(number).collect(),
    }
}

/// The names of test functions in the sources below a directory.
fn test_names(directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            test_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
            let functions = lines.windows(2).filter_map(|pair| match pair {
                ["#[test]" | "#[tokio::test]", line] => {
                    let line = line.strip_prefix("async ").unwrap_or(line);
                    Some(line.strip_prefix("fn ")?.split_once("()")?.0.to_owned())
                }
                _ => None,
            });
            names.extend(functions);
        }
    }
}

#[test]
fn every_item_of_the_conformance_list_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for directory in ["src", "tests/udf", "../tests/it"] {
        test_names(&root.join(directory), &mut names);
    }
    let mut covered: BTreeSet<u32> = names.iter().flat_map(|name| items_of_name(name)).collect();
    for file in FILES.iter().filter(|file| **file != SAFETY) {
        let cases = case::read(file);
        let items = cases.iter().flat_map(|case| &case.items);
        covered.extend(items.map(|item| item.parse::<u32>().unwrap()));
    }
    let missing: Vec<u32> = (1..=ITEMS).filter(|item| !covered.contains(item)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert_eq!(covered.last(), Some(&ITEMS));
}

#[test]
fn every_failure_of_the_real_server_has_a_case() {
    let cases = case::read(SAFETY);
    let covered: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| &case.items)
        .map(String::as_str)
        .collect();
    assert_eq!(covered, FAILURES.iter().copied().collect());
}
