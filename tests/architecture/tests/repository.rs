//! The source keeps to the tables of ARCHITECTURE.md, and the check sees where it does not.

use std::path::Path;

use architecture::rules::findings;
use architecture::{Member, Workspace};

#[test]
fn the_source_is_as_architecture_md_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = Workspace::read(&root).unwrap();
    assert!(
        workspace.members["server"].files.len() > 50,
        "the source was not found"
    );
    let findings = findings(&workspace).unwrap();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// A workspace of one crate with these files, whose table says what `table` says.
fn workspace(table: &str, files: &[(&str, &str)]) -> Workspace {
    let mut member = Member {
        directory: "shop".to_owned(),
        manifest: "name = \"shop\"\n[dependencies]\n".to_owned(),
        ..Member::default()
    };
    for (path, text) in files {
        member
            .files
            .insert(format!("shop/src/{path}"), (*text).to_owned());
    }
    let documents = member.files.keys().cloned().collect();
    Workspace {
        architecture: format!(
            "| room of `the workspace` | may use |\n|--|--|\n| `shop` | |\n\n\
             | room of `shop` | may use |\n|--|--|\n{table}"
        ),
        members: [("shop".to_owned(), member)].into(),
        documents,
    }
}

/// Table, files, and what is found.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

const TABLE: &str = "| `cellar` | |\n| `counter` | `cellar` |\n";
const CELLAR: (&str, &str) = ("cellar.rs", "pub fn wine() {}\nfn own() {}\n");
const LIB: (&str, &str) = ("lib.rs", "mod cellar; mod counter;");

#[test]
fn what_the_table_allows_is_found_right() {
    for counter in [
        "fn sell() { crate::cellar::wine() }",
        "use super::cellar; fn sell() { cellar::wine() }",
        "fn sell() { println!(\"{:?}\", crate::cellar::wine()) }",
        "fn sell() {\n    // Nobody waits.\n    let _ = crate::cellar::wine();\n}",
    ] {
        let files = [LIB, CELLAR, ("counter.rs", counter)];
        assert_eq!(
            findings(&workspace(TABLE, &files)).unwrap(),
            [""; 0],
            "{counter}"
        );
    }
}

#[test]
fn what_is_wrong_is_found() {
    let sells = (
        "counter.rs",
        "use crate::cellar::wine; fn sell() { wine() }",
    );
    let cases: &[Case<'_>] = &[
        (
            TABLE,
            &[
                LIB,
                sells,
                ("cellar.rs", "pub fn wine() { crate::counter::sell() }"),
            ],
            "`cellar` may not use `counter`",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                ("cellar.rs", "pub fn wine() { m!(super::counter::sell()) }"),
            ],
            "`cellar` may not use `counter`",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                (
                    "cellar.rs",
                    "use crate::{counter::{self}}; pub fn wine() {}",
                ),
            ],
            "`cellar` may not use `counter`",
        ),
        (
            TABLE,
            &[LIB, sells, CELLAR, ("attic.rs", "fn dust() {}")],
            "the room `attic` of `shop` is not in the table",
        ),
        (
            "| `cellar` | |\n| `counter` | `cellar` |\n| `attic` | |\n",
            &[LIB, sells, CELLAR],
            "there is no room `attic`",
        ),
        (
            TABLE,
            &[LIB, CELLAR, ("counter.rs", "fn sell() {}")],
            "`counter` of `shop` does not use `cellar`",
        ),
        (
            "| `cellar` | `counter` |\n| `counter` | `cellar` |\n",
            &[
                LIB,
                sells,
                ("cellar.rs", "pub fn wine() { crate::counter::sell() }"),
            ],
            "a circle of shop: cellar counter",
        ),
        (
            TABLE,
            &[
                LIB,
                CELLAR,
                ("counter/mod.rs", "mod a; mod b; use crate::cellar::wine;"),
                ("counter/a.rs", "fn one() { super::b::two() }"),
                ("counter/b.rs", "use super::a; fn two() { a::one() }"),
            ],
            "a circle of 2 files: counter/a.rs counter/b.rs",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                ("cellar.rs", "pub fn wine() {}\npub fn beer() {}"),
            ],
            "nothing outside of its file uses `beer`",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                (
                    "cellar.rs",
                    concat!("// See `wines.", "md`.\npub fn wine() {}"),
                ),
            ],
            "`wines.md` is not in the repository",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                ("cellar.rs", "pub fn wine() {\n    let _ = drink();\n}"),
            ],
            "`let _ =` says in a comment",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                (
                    "cellar.rs",
                    "pub fn wine() -> u8 {\n    u8::try_from(300)\n        .unwrap_or(u8::MAX)\n}",
                ),
            ],
            "`fit` or `at_most`",
        ),
        (
            TABLE,
            &[
                LIB,
                sells,
                (
                    "cellar.rs",
                    "pub fn wine(all: &[u8]) -> &[u8] {\n    all.get(1..).unwrap_or_default()\n}",
                ),
            ],
            "`within` of `protocol::bounds`",
        ),
        (
            TABLE,
            &[LIB, sells, ("cellar.rs", "/// The same.\npub fn wine() {}")],
            "a comment says what the thing is",
        ),
    ];
    for (table, files, expected) in cases {
        let found = findings(&workspace(table, files)).unwrap();
        assert!(
            found.iter().any(|finding| finding.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
}

#[test]
fn tests_may_use_everything() {
    let cellar = "pub fn wine() {}\n#[cfg(test)]\nmod tests { use crate::counter; fn t() { super::super::counter::sell() } }";
    let files = [
        LIB,
        ("cellar.rs", cellar),
        ("counter.rs", "fn sell() { crate::cellar::wine() }"),
    ];
    assert_eq!(findings(&workspace(TABLE, &files)).unwrap(), [""; 0]);
}
