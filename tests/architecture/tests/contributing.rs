//! The examples of CONTRIBUTING.md stand in the source, word for word, and it stays one page.

use std::path::Path;

use architecture::Workspace;

/// Words on what is one page, about.
const ONE_PAGE: usize = 1_000;

/// Without what formatting changes: white space, and commas after the last of several lines.
fn bare(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    bare.replace(",}", "}")
        .replace(",]", "]")
        .replace(",)", ")")
}

/// The blocks of Rust in a document.
fn examples(document: &str) -> Vec<&str> {
    let blocks = document.split("```rust\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

#[test]
fn the_examples_of_how_we_write_are_in_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let workspace = Workspace::read(&root).unwrap();
    let sources: Vec<String> = workspace
        .members
        .values()
        .flat_map(|member| member.files.values())
        .map(|text| bare(text))
        .collect();
    assert!(sources.len() > 500, "the source was not found");
    let examples = examples(&document);
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let wanted = bare(example);
        assert!(
            sources.iter().any(|source| source.contains(&wanted)),
            "this example is nowhere in the source:\n{example}"
        );
    }
    let words = document.split_whitespace().count();
    assert!(words <= ONE_PAGE, "CONTRIBUTING.md has {words} words");
}

#[test]
fn an_example_is_found_however_it_is_formatted_and_no_other() {
    let source = bare("enum E {\n    A {\n        size: u64,\n    },\n}\n");
    assert!(source.contains(&bare("A { size: u64 }")));
    assert!(!source.contains(&bare("A { size: u32 }")));
    assert_eq!(
        examples("text\n```rust\none\n```\n```\nno\n```\n"),
        ["one\n"]
    );
}
