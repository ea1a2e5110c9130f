//! `asudf diff`, `apply`, `status`, `rollback`, `export` and `import` against a small cluster.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod book;
mod cluster;
mod interrupted;
mod transfer;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use cluster::Cluster;
use rustix::process::Pid;
use tempfile::TempDir;

/// A project in a folder of its own, and a cluster of its own.
struct Bench {
    folder: TempDir,
    cluster: Cluster,
}

struct Ran {
    out: String,
    err: String,
    status: Option<i32>,
}

impl Bench {
    /// With these modules in the folder: `name=source`.
    fn new(modules: &[(&str, &str)]) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            cluster: Cluster::start(),
        };
        let text = format!(
            "[ship]\nproject = \"shop\"\n[cluster.near]\nhost = \"127.0.0.1:{}\"\n",
            bench.cluster.ports[0]
        );
        bench.write("asudf.toml", &text);
        for (name, source) in modules {
            bench.write(name, source);
        }
        bench
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn delete(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asudf"));
        command
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("USER", "me")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        let child = self.command(words).spawn().unwrap();
        self.cluster.set(|state| {
            state.program = Pid::from_raw(i32::try_from(child.id()).unwrap());
        });
        let output = child.wait_with_output().unwrap();
        self.cluster.set(|state| state.program = None);
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code(),
        }
    }

    /// Runs it, and expects this status.
    fn expect(&self, status: i32, words: &[&str]) -> Ran {
        let ran = self.run(words);
        assert_eq!(
            ran.status,
            Some(status),
            "{words:?}\n{}\n{}",
            ran.out,
            ran.err
        );
        ran
    }

    /// Files with what was there before.
    fn kept(&self) -> Vec<String> {
        let files = fs::read_dir(self.path()).unwrap().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        let mut kept: Vec<String> = names.filter(|name| name.contains("kept")).collect();
        kept.sort();
        kept
    }
}

fn pairs(modules: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = modules.iter();
    pairs
        .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
        .collect()
}

const SHOP: &[(&str, &str)] = &[
    ("a.lua", "require 'z'"),
    ("b.lua", "local M = {} return M"),
    ("z.lua", "return {}"),
];

#[test]
fn what_is_applied_is_served_by_every_node_and_applied_once() {
    let bench = Bench::new(SHOP);
    bench.cluster.put("others.lua", "return 1");
    bench.cluster.set(|state| {
        state.watched = Some(bench.folder.path().to_owned());
        state.late = 3;
    });
    bench.expect(3, &["diff"]);
    bench.expect(3, &["apply", "--dry-run"]);
    assert_eq!(bench.cluster.changes(), [""; 0]);
    assert_eq!(bench.kept(), [""; 0]);

    let ran = bench.expect(1, &["apply"]);
    assert!(ran.out.contains("  + a.lua  new\n"), "{}", ran.out);
    assert!(
        ran.out.contains("    1 other module left alone\n"),
        "{}",
        ran.out
    );
    // Required ones first.
    assert_eq!(
        bench.cluster.changes(),
        ["put b.lua", "put z.lua", "put a.lua"]
    );
    let mut all = pairs(SHOP);
    all.insert(2, ("others.lua".to_owned(), "return 1".to_owned()));
    assert_eq!(bench.cluster.modules(), all);
    assert_eq!(bench.cluster.own(), ["asudf_project_shop.lua"]);
    // Before anything else was changed.
    assert_eq!(bench.cluster.state().kept_first, Some(true));

    bench.expect(0, &["apply"]);
    bench.expect(0, &["diff"]);
    let ran = bench.expect(0, &["status"]);
    assert!(
        ran.out
            .contains("BB2 (8.0.0.0): 3 same, 0 other, 0 absent; 5 modules in all"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("3 modules put by this project, last by me@"),
        "{}",
        ran.out
    );
    assert_eq!(bench.cluster.changes(), [""; 0]);
    assert_eq!(bench.kept().len(), 1);
}

#[test]
fn contents_are_compared_on_every_node_and_not_names() {
    for odd_hashes in [false, true] {
        let bench = Bench::new(SHOP);
        bench.cluster.set(|state| state.odd_hashes = odd_hashes);
        bench.expect(1, &["apply"]);
        bench.expect(0, &["diff"]);
        bench.cluster.changes();
        // One node has lost its content, another has none.
        bench.cluster.set(|state| {
            let other = state.nodes[0]["b.lua"].clone();
            state.nodes[0].insert("z.lua".to_owned(), other);
            state.nodes[1].remove("a.lua");
        });
        let ran = bench.expect(3, &["diff"]);
        assert!(
            ran.out.contains("  ~ z.lua  differs on 1 of 3 nodes: "),
            "{}",
            ran.out
        );
        assert!(ran.out.contains(" (absent)\n"), "{}", ran.out);
        assert!(
            ran.out.contains("  = b.lua  the same on every node\n"),
            "{}",
            ran.out
        );
        bench.expect(1, &["apply"]);
        assert_eq!(bench.cluster.changes(), ["put z.lua", "put a.lua"]);
        assert_eq!(bench.cluster.modules(), pairs(SHOP));
    }
}

#[test]
fn the_first_failure_ends_an_apply_and_is_told_with_what_is_where() {
    let bench = Bench::new(SHOP);
    bench
        .cluster
        .set(|state| state.refused = Some("z.lua".to_owned()));
    let ran = bench.expect(2, &["apply"]);
    assert!(
        ran.err.contains("z.lua was not put: ")
            && ran
                .err
                .contains("compile_error at z.lua:1: unexpected symbol"),
        "{}",
        ran.err
    );
    for line in [
        "  b.lua: changed on 3 nodes\n",
        "  z.lua: as before on 3 nodes\n",
        "  a.lua: as before on 3 nodes\n",
    ] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    assert_eq!(bench.cluster.changes(), ["put b.lua"]);
    // What does not compile is found before anything is sent.
    bench.write("b.lua", "local M = {\nreturn M");
    let ran = bench.expect(2, &["apply"]);
    assert!(
        ran.err
            .contains("nothing was changed, as no server takes this: b.lua:"),
        "{}",
        ran.err
    );
    assert_eq!(bench.cluster.changes(), [""; 0]);
    bench.write("b.lua", SHOP[1].1);
    // Nobody is kept from trying again, and status says how it is.
    assert_eq!(bench.cluster.own(), ["asudf_project_shop.lua"]);
    let ran = bench.expect(3, &["status"]);
    assert!(ran.err.contains("did not end"), "{}", ran.err);
    bench.cluster.set(|state| state.refused = None);
    bench.expect(1, &["apply"]);
    assert_eq!(bench.cluster.modules(), pairs(SHOP));
    let ran = bench.expect(0, &["status"]);
    assert_eq!(ran.err, "");
}

#[test]
fn a_node_that_goes_away_ends_an_apply() {
    let bench = Bench::new(SHOP);
    bench
        .cluster
        .set(|state| state.leaves_at = Some("b.lua".to_owned()));
    let ran = bench.expect(2, &["apply"]);
    assert!(ran.out.contains("  not known of "), "{}", ran.out);
    assert_eq!(bench.cluster.changes(), ["put b.lua"]);
    let ran = bench.expect(2, &["apply"]);
    assert!(
        ran.err.contains("not every node can be asked (1 of 3)"),
        "{}",
        ran.err
    );
    assert_eq!(bench.cluster.changes(), [""; 0]);
}

#[test]
fn only_what_the_project_put_is_pruned() {
    let bench = Bench::new(SHOP);
    bench.cluster.put("others.lua", "return 1");
    // There before, with the same content: nobody of the project put it.
    bench.cluster.put("b.lua", SHOP[1].1);
    bench.expect(1, &["apply"]);
    bench.cluster.changes();
    for name in ["a.lua", "b.lua", "z.lua"] {
        bench.delete(name);
    }
    bench.write("c.lua", "return 3");
    let ran = bench.expect(3, &["diff"]);
    assert!(
        ran.out
            .contains("  ? a.lua  no longer in the folder: --prune removes it\n"),
        "{}",
        ran.out
    );
    bench.expect(1, &["apply"]);
    assert_eq!(bench.cluster.changes(), ["put c.lua"]);
    // Somebody else works on z.lua now.
    bench.cluster.put("z.lua", "return 'other'");
    let ran = bench.expect(1, &["apply", "--prune"]);
    assert_eq!(bench.cluster.changes(), ["remove a.lua"]);
    assert!(
        ran.out
            .contains("  ? z.lua  no longer in the folder, and changed by somebody else\n"),
        "{}",
        ran.out
    );
    let expected = [
        ("b.lua", SHOP[1].1),
        ("c.lua", "return 3"),
        ("others.lua", "return 1"),
        ("z.lua", "return 'other'"),
    ];
    assert_eq!(bench.cluster.modules(), pairs(&expected));
    bench.expect(0, &["apply", "--prune"]);
}

#[test]
fn a_rollback_takes_back_what_an_apply_changed() {
    let bench = Bench::new(SHOP);
    bench.cluster.put("z.lua", "return 'old'");
    bench.cluster.put("others.lua", "return 1");
    let before = bench.cluster.modules();
    bench.expect(2, &["rollback"]);
    bench.expect(1, &["apply"]);
    bench.cluster.put("later.lua", "return 2");
    bench.expect(3, &["rollback", "--dry-run"]);
    bench.cluster.changes();
    bench.expect(1, &["rollback"]);
    assert_eq!(
        bench.cluster.changes(),
        ["put z.lua", "remove b.lua", "remove a.lua"]
    );
    let mut expected = before;
    expected.insert(0, ("later.lua".to_owned(), "return 2".to_owned()));
    assert_eq!(bench.cluster.modules(), expected);
    assert_eq!(bench.cluster.own(), [""; 0]);
    bench.expect(0, &["rollback"]);
    // What somebody else did since is not taken back unasked.
    bench.expect(1, &["apply", "--keep", "keeps/here"]);
    bench.cluster.put("z.lua", "return 'mine'");
    let ran = bench.expect(2, &["rollback", "--from", "keeps/here"]);
    assert!(
        ran.err.contains("changed by somebody since: z.lua"),
        "{}",
        ran.err
    );
    bench.expect(1, &["rollback", "--from", "keeps/here", "--force"]);
    assert_eq!(bench.cluster.modules(), expected);
}

#[test]
fn options_files_and_clusters_that_cannot_be_followed_change_nothing() {
    let bench = Bench::new(&[("a.lua", "return 1")]);
    let port = bench.cluster.ports[0].to_string();
    let host = format!("127.0.0.1:{port}");
    for (toml, words, expected) in [
        ("", &["apply", "-h", &host][..], "[ship] project = \"NAME\""),
        (
            "[ship]\nproject = \"p\"\n[cluster.a]\nhost=\"h\"\n[cluster.b]\nhost=\"h\"",
            &["apply"],
            "which cluster? asudf.toml has a, b",
        ),
        (
            "[ship]\nproject = \"p\"\n",
            &["apply", "a"],
            "no [cluster.a] in asudf.toml, which has no clusters",
        ),
        (
            "[ship]\nproject = \"p\"\n[cluster.a]\nuser=\"u\"",
            &["apply"],
            "says no host",
        ),
        (
            "[cluster.a]\nhost=\"h\"\npassword=\"p\"",
            &["diff"],
            "asudf.toml:3:10: a password does not belong",
        ),
        (
            "[ship]\nproject = \"p\"\n[cluster.a]\nhost=\"127.0.0.1:1\"",
            &["apply"],
            "Not able to connect any cluster",
        ),
        ("", &["apply", "a", "-h", "b"], "cannot be used with"),
        ("", &["apply", "--nonsense"], "unexpected argument"),
        ("", &["import", "nothing.tar"], "cannot read nothing.tar"),
    ] {
        bench.write("asudf.toml", toml);
        let ran = bench.expect(2, words);
        assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
    }
    assert_eq!(bench.cluster.changes(), [""; 0]);
    bench.write("asudf.toml", "[cluster.a]\nhost=\"h\"");
    bench.expect(3, &["diff", "-h", &host]);
    for command in ["apply", "diff", "status", "rollback", "export", "import"] {
        bench.expect(0, &[command, "--help"]);
    }
}

#[test]
fn a_document_says_the_same_as_the_lines() {
    let bench = Bench::new(SHOP);
    bench.expect(1, &["apply"]);
    bench.write("b.lua", "return 'new'");
    bench.cluster.set(|state| {
        state.nodes[1].remove("a.lua");
    });
    for (words, status, result) in [
        (&["diff", "--format", "json"][..], 3, "would-change"),
        (&["apply", "--format", "json"], 1, "changed"),
        (&["apply", "--format", "json"], 0, "same"),
        (&["status", "--format", "json"], 0, "same"),
        (
            &["rollback", "--format", "json", "--from", "nowhere"],
            2,
            "failed",
        ),
    ] {
        let ran = bench.expect(status, words);
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["version"], 1);
        assert_eq!(document["command"], words[0]);
        assert_eq!(document["exit_status"], status);
        assert_eq!(document["result"], result, "{}", ran.out);
        match words[0] {
            "diff" => {
                let modules = document["modules"].as_array().unwrap();
                let of = |name: &str| {
                    modules
                        .iter()
                        .find(|module| module["name"] == name)
                        .unwrap()
                };
                assert_eq!(of("a.lua")["action"], "change");
                assert_eq!(of("a.lua")["nodes"][1]["state"], "absent");
                assert_eq!(of("b.lua")["nodes"][1]["state"], "other");
                assert_eq!(of("z.lua")["action"], "same");
                assert_eq!(document["nodes"][1]["id"], "BB2");
            }
            "rollback" => assert_eq!(document["messages"][0]["level"], "error"),
            _ if status == 1 => {
                assert_eq!(document["steps"].as_array().unwrap().len(), 2);
                assert!(document["kept"].as_str().unwrap().ends_with("Z.tar"));
            }
            _ => assert_eq!(document["kept"], serde_json::Value::Null),
        }
    }
}
