//! The source keeps to the tables of ARCHITECTURE.md, and the check sees where it does not.

use std::path::Path;

use architecture::Workspace;
use architecture::rules::findings;

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
