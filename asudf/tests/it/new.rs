//! `asudf new`.

use super::program::{asudf, folder};

#[test]
fn a_new_project_passes_its_own_tests() {
    let place = folder(&[]);
    let made = asudf(place.path(), &["new", "p"]);
    assert_eq!(made.status, 0, "{}", made.err);
    assert!(made.out.ends_with("cd p && asudf test\n"), "{}", made.out);
    let settings = std::fs::read_to_string(place.path().join("p/asudf.toml")).unwrap();
    assert!(settings.contains("\nproject = \"p\"\n"), "{settings}");
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

#[test]
fn a_folder_whose_name_is_no_project_s_gets_another() {
    let place = folder(&[]);
    let made = asudf(place.path(), &["new", "it's mine"]);
    assert!(
        made.out.ends_with("cd 'it'\\''s mine' && asudf test\n"),
        "{}",
        made.out
    );
    let settings = std::fs::read_to_string(place.path().join("it's mine/asudf.toml")).unwrap();
    assert!(settings.contains("\nproject = \"counter\"\n"), "{settings}");
}
