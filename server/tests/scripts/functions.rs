//! The functions that scripts find are those that `COMPATIBILITY.md` lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::Bench;
use crate::request;

type Names = BTreeMap<String, BTreeSet<String>>;

/// The names in a cell, each in backticks.
fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// What the table says.
fn listed() -> Names {
    let text = include_str!("../../../COMPATIBILITY.md");
    let (_, table) = text.split_once("<!-- functions -->").unwrap();
    let (table, _) = table.split_once("<!-- functions end -->").unwrap();
    let mut listed = Names::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [library, functions, state] = cells.as_slice() else {
            panic!("three cells expected: {row}");
        };
        assert!(
            state.starts_with("done") || state.starts_with("differs: "),
            "{state}"
        );
        let library = names(library).next().unwrap();
        listed.entry(library).or_default().extend(names(functions));
    }
    listed
}

const SOURCE: &str = r#"
function names(rec, library)
  local t = library == "_G" and _G or library == "aerospike" and Aerospike or _G[library]
  local found = {}
  for name in pairs(t) do found[#found + 1] = name end
  return table.concat(found, " ")
end
"#;

#[test]
fn compatibility_lists_the_functions_that_scripts_find() {
    let bench = Bench::new();
    assert_eq!(request::register(&bench, "m.lua", SOURCE), "ok");
    let names = |library: &str| -> BTreeSet<String> {
        let answer = request::run(&bench, &format!("call names(\"{library}\")"), "").unwrap();
        let text = answer
            .strip_prefix("= \"")
            .and_then(|rest| rest.strip_suffix('"'));
        let text = text.unwrap_or_else(|| panic!("{library}: {answer}"));
        text.split_whitespace().map(str::to_owned).collect()
    };
    let listed = listed();
    for (library, functions) in &listed {
        let found: BTreeSet<String> = names(library)
            .into_iter()
            // The test's own.
            .filter(|name| library != "_G" || name != "names")
            .collect();
        assert_eq!(&found, functions, "{library}");
    }
    // Each global that is a table has a row.
    for name in &listed["_G"] {
        let of_a_kind = name.starts_with(char::is_uppercase) || name.starts_with('_');
        let answer = request::run(&bench, &format!("call names(\"{name}\")"), "").unwrap();
        if answer.starts_with("= ") && !of_a_kind {
            assert!(listed.contains_key(name), "{name} has functions and no row");
        }
    }
}
