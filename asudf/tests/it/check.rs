//! `asudf check`.

use std::fs;

use serde_json::Value;

use super::program::{asudf, asudf_over, folder};

/// A mistake that can be mended and one that cannot.
const WRONG: &str =
    "function f(rec)\n  local l = list()\n  list.append(l, unpack({ 1 }))\n  return totl\nend\n";

#[test]
fn the_exit_status_says_whether_something_was_found() {
    let unused = "function f(rec)\n  local left_over = 1\n  return 2\nend\n";
    for (module, words, status) in [
        ("return 1\n", &["check"][..], 0),
        (WRONG, &["check"], 1),
        (WRONG, &["check", "m.lua"], 1),
        (unused, &["check"], 1),
        (unused, &["check", "--fail-on", "error"], 0),
        (
            unused,
            &[
                "check",
                "--level",
                "unused-local=error",
                "--fail-on",
                "error",
            ],
            1,
        ),
        (unused, &["check", "--level", "unused-local=off"], 0),
        (unused, &["check", "nowhere"], 2),
        (unused, &["check", "--level", "unused-locl=off"], 2),
        (unused, &["check", "--explain", "unused-locl"], 2),
        (unused, &["check", "--explain", "unused-local"], 0),
        (unused, &["check", "--rules"], 0),
    ] {
        let ran = asudf_over(&[("m.lua", module)], words);
        assert_eq!(ran.status, status, "{words:?}\n{}{}", ran.out, ran.err);
    }
}

#[test]
fn levels_and_known_modules_stand_in_the_project_file() {
    let module = "local other = require(\"elsewhere\")\nreturn other\n";
    for (settings, status) in [
        ("", 1),
        ("[modules]\nknown = [\"elsewhere\"]\n", 0),
        ("[lint]\nrequire-missing = \"note\"\n", 0),
        ("[lint]\nrequire-missin = \"note\"\n", 2),
        ("[lint]\nrequire-missing = \"loud\"\n", 2),
    ] {
        let ran = asudf_over(&[("asudf.toml", settings), ("m.lua", module)], &["check"]);
        assert_eq!(ran.status, status, "{settings}\n{}{}", ran.out, ran.err);
    }
    let wrong = asudf_over(
        &[
            ("asudf.toml", "[lint]\nrequire-missin = \"note\"\n"),
            ("m.lua", module),
        ],
        &["check"],
    );
    assert!(
        wrong.err.contains("asudf.toml:2:1: there is no rule"),
        "{}",
        wrong.err
    );
    assert!(
        wrong.err.contains("did you mean `require-missing`?"),
        "{}",
        wrong.err
    );
}

#[test]
fn findings_are_printed_for_people_and_for_programs() {
    let place = folder(&[("m.lua", WRONG)]);
    let pretty = asudf(place.path(), &["check"]).out;
    assert!(
        pretty.contains("m.lua:4:10: error: nothing defines `totl` [undefined-name]"),
        "{pretty}"
    );
    assert!(
        pretty.contains("4 |   return totl\n  |          ^^^^\n"),
        "{pretty}"
    );
    let json: Value =
        serde_json::from_str(&asudf(place.path(), &["check", "--format", "json"]).out).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["exit_status"], 1);
    assert_eq!(json["findings"][0]["rule"], "old-lua");
    assert_eq!(json["findings"][0]["fixable"], true);
    assert_eq!(json["findings"][1]["line"], 4);
    let sarif: Value =
        serde_json::from_str(&asudf(place.path(), &["check", "--format", "sarif"]).out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
        3
    );
    let github = asudf(place.path(), &["check", "--format", "github"]).out;
    assert!(
        github
            .starts_with("::error file=m.lua,line=3,endLine=3,col=18,endColumn=24,title=old-lua::"),
        "{github}"
    );
}

#[test]
fn what_can_be_mended_is_and_what_lies_beside_is_left_alone() {
    let place = folder(&[("m.lua", WRONG), ("other.lua", WRONG)]);
    let ran = asudf(place.path(), &["check", "--fix", "m.lua"]);
    assert_eq!(ran.status, 1, "{}", ran.out);
    let mended = fs::read_to_string(place.path().join("m.lua")).unwrap();
    assert_eq!(mended, WRONG.replace("unpack", "table.unpack"));
    assert_eq!(
        fs::read_to_string(place.path().join("other.lua")).unwrap(),
        WRONG
    );
}

#[test]
fn a_new_project_has_nothing_to_be_found() {
    let place = folder(&[]);
    assert_eq!(asudf(place.path(), &["new", "p"]).status, 0);
    let ran = asudf(&place.path().join("p"), &["check", "--fail-on", "note"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
}
