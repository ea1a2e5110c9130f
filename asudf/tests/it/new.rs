//! `asudf new`.

use super::program::{asudf, folder};

#[test]
fn a_new_project_passes_its_own_tests() {
    let place = folder(&[]);
    let made = asudf(place.path(), &["new", "p"]);
    assert_eq!(made.status, 0, "{}", made.err);
    let project = place.path().join("p");
    let ran = asudf(&project, &["test"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(ran.out.contains("4 passed, 0 failed"), "{}", ran.out);
}

#[test]
fn nothing_is_written_over() {
    let place = folder(&[("counter.lua", "mine")]);
    let ran = asudf(place.path(), &["new", "."]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.err.contains("counter.lua is there already"),
        "{}",
        ran.err
    );
    assert!(!place.path().join("asudf.toml").exists());
}
