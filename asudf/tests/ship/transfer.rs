//! All modules of a cluster in a file, and back.

use std::fs;

use super::{Bench, SHOP, pairs};

#[test]
fn what_is_exported_can_be_imported_into_another_cluster() {
    let from = Bench::new(SHOP);
    from.expect(1, &["apply"]);
    from.cluster.put("others.lua", "return 1");
    let to = Bench::new(&[]);
    to.cluster.put("stays.lua", "return 2");
    let file = to.path().join("all.tar");
    let file = file.to_str().unwrap();
    let ran = from.expect(0, &["export", file]);
    assert_eq!(ran.out, format!("5 modules in {file}\n"));
    // Not over a file that is there, unless asked.
    assert!(from.expect(2, &["export", file]).err.contains("all.tar"));
    from.expect(0, &["export", file, "--overwrite"]);

    to.expect(3, &["import", file, "--dry-run"]);
    assert_eq!(to.cluster.changes(), [""; 0]);
    to.expect(1, &["import", file]);
    let mut expected = pairs(SHOP);
    expected.insert(2, ("others.lua".to_owned(), "return 1".to_owned()));
    expected.insert(3, ("stays.lua".to_owned(), "return 2".to_owned()));
    assert_eq!(to.cluster.modules(), expected);
    assert_eq!(to.cluster.own(), ["asudf_project_shop.lua"]);
    to.expect(0, &["import", file]);
    // What was there before an import is kept as well.
    assert_eq!(to.kept().len(), 1);
    // Any tar reads it.
    let mut tar = tar::Archive::new(fs::File::open(file).unwrap());
    let paths: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(paths[0], "asudf.json");
    assert!(
        paths.contains(&"modules/others.lua".to_owned()),
        "{paths:?}"
    );
}

#[test]
fn what_nodes_serve_differently_is_exported_with_a_warning() {
    let bench = Bench::new(&[]);
    bench.cluster.put("a.lua", "return 1");
    bench.cluster.set(|state| {
        state.nodes[1].insert("a.lua".to_owned(), "cmV0dXJuIDI=".to_owned());
    });
    let ran = bench.expect(0, &["export", "all.tar"]);
    assert!(
        ran.err.contains("do not serve the same under a.lua"),
        "{}",
        ran.err
    );
    bench.expect(1, &["import", "all.tar"]);
    assert_eq!(bench.cluster.modules(), pairs(&[("a.lua", "return 1")]));
}

#[test]
fn a_file_that_is_no_archive_is_refused_before_anything_is_asked() {
    let bench = Bench::new(&[]);
    bench.write("x.tar", "no archive");
    for words in [&["import", "x.tar"][..], &["rollback", "--from", "x.tar"]] {
        let ran = bench.expect(2, words);
        assert!(
            ran.err.contains("x.tar is not an archive that asudf wrote"),
            "{}",
            ran.err
        );
    }
    bench.cluster.put("a.lua", "return 1");
    bench.expect(0, &["export", "all.tar"]);
    let ran = bench.expect(2, &["rollback", "--from", "all.tar"]);
    assert!(ran.err.contains("use `asudf import`"), "{}", ran.err);
}
