//! What is seen of functions: coverage, profiles, traces, one call, saves.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::program::{asudf, asudf_over, folder};

/// Lines that can run, and how often the test below runs them; by hand. The body runs once, when the module is loaded.
const MODULE: &str = "local function twice(n)
    return n * 2
end

function f(rec, n)
    if n > 1 then
        return twice(n)
    else
        return 0 -- missed
    end
end

function never(rec)
    local x = 1
    return x
end
";
const LINES: &[(u32, u64)] = &[
    (2, 2),
    (3, 1),
    (5, 1),
    (6, 2),
    (7, 2),
    (9, 0),
    (11, 1),
    (13, 1),
    (14, 0),
    (15, 0),
    // The end of `never`, where the body makes it, and that of the body.
    (16, 2),
];
const TEST: &str = "t.test('f', function()
    t.equal(t.apply(t.record{}, 'm', 'f', 2), 4)
    t.equal(t.apply(t.record{}, 'm', 'f', 3), 6)
end)";

#[test]
fn coverage_counts_lines_and_functions_as_lua_runs_them() {
    let place = folder(&[("m.lua", MODULE), ("m_test.lua", TEST)]);
    let ran = asudf(place.path(), &["test", "--cover", "out"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    let lcov = fs::read_to_string(place.path().join("out/lcov.info")).unwrap();
    let found: Vec<(u32, u64)> = lcov
        .lines()
        .filter_map(|line| line.strip_prefix("DA:")?.split_once(','))
        .map(|(line, hits)| (line.parse().unwrap(), hits.parse().unwrap()))
        .collect();
    // The line on which a function begins runs when the body makes it; that of its end when it returns there.
    let expected: Vec<(u32, u64)> = LINES.to_vec();
    assert_eq!(found, expected, "{lcov}");
    for line in [
        "FN:1,twice",
        "FNDA:2,twice",
        "FNDA:2,f",
        "FNDA:0,never",
        "FNF:3",
        "FNH:2",
        "SF:m.lua",
    ] {
        assert!(lcov.lines().any(|found| found == line), "{line}\n{lcov}");
    }
    let page = fs::read_to_string(place.path().join("out/index.html")).unwrap();
    assert!(page.contains("<tr class=\"missed\"><td>9<td>0"), "{page}");
}

#[test]
fn a_profile_has_the_lines_that_took_something() {
    let module =
        "local function work(n) local t = {} for i = 1, n do t[i] = i .. '' end return #t end
function f(rec, n)
    local count = work(n)
    return count
end";
    let test = "t.test('f', function() t.apply(t.record{}, 'm', 'f', 1000) end)";
    let place = folder(&[("m.lua", module), ("m_test.lua", test)]);
    let ran = asudf(place.path(), &["test", "--profile", "out"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    for name in ["time", "allocations"] {
        let folded = fs::read_to_string(place.path().join(format!("out/{name}.folded"))).unwrap();
        let of_work = |line: &&str| line.contains(";m.lua:work:1 ");
        assert!(
            folded.lines().any(|line| of_work(&line)),
            "{name}: {folded}"
        );
        let graph = fs::read_to_string(place.path().join(format!("out/{name}.svg"))).unwrap();
        assert!(
            graph.starts_with("<svg ") && graph.contains("m.lua:work:1"),
            "{graph}"
        );
    }
}

#[test]
fn one_call_is_run_traced_and_written_back_unless_it_is_not_to_be() {
    let module = "function add(rec, n)
    local sum = rec.n + n
    rec.n = sum
    aerospike:update(rec)
    return sum
end";
    let place = folder(&[
        ("m.lua", module),
        ("r.json", "{\"bins\": {\"n\": 3}, \"ttl\": 100}"),
    ]);
    let words = ["run", "m", "add", "--args", "[4]", "--record", "r.json"];
    let dry = asudf(
        place.path(),
        &[&words[..], &["--dry-run", "--trace"]].concat(),
    );
    assert_eq!(dry.status, 0, "{}", dry.err);
    assert!(
        dry.out
            .starts_with("7\nrecord updated: map{n = 7} generation 2"),
        "{}",
        dry.out
    );
    for part in [
        "m.lua:3",
        "n = 4, sum = 7",
        "→ bin n is 3\n",
        "→ bin n := 7\n",
        "→ aerospike:update = 0\n",
    ] {
        assert!(dry.err.contains(part), "{part}: {}", dry.err);
    }
    let stored = || fs::read_to_string(place.path().join("r.json")).unwrap();
    assert!(stored().contains("{\"n\": 3}"), "{}", stored());
    assert_eq!(asudf(place.path(), &words).status, 0);
    assert!(
        stored().contains("\"n\": 7") && stored().contains("\"generation\": 2"),
        "{}",
        stored()
    );
    let failed = asudf(place.path(), &["run", "m", "ad"]);
    assert_eq!(failed.status, 1);
    assert!(failed.out.contains("did you mean `add`?"), "{}", failed.out);
    let wrong = asudf_over(&[("m.lua", module)], &["run", "m", "add", "--args", "4"]);
    assert_eq!(wrong.status, 2);
    assert!(
        wrong.err.contains("--args: the arguments are a JSON list"),
        "{}",
        wrong.err
    );
}

#[test]
fn a_trace_shows_all_that_is_done_with_the_record() {
    let module = "function f(rec)
    local left = rec.missing
    rec.old = nil
    rec.l = list{1}
    record.set_ttl(rec, 60)
    record.drop_key(rec)
    local all = record.gen(rec) + record.numbins(rec) + record.ttl(rec)
    local set, names = record.setname(rec), record.bin_names(rec)
    if aerospike:exists(rec) then aerospike:update(rec) end
end";
    let record = "{\"bins\": {\"old\": 1}, \"ttl\": 100}";
    let words = [
        "run", "m", "f", "--record", "r.json", "--trace", "--set", "s",
    ];
    let ran = asudf_over(&[("m.lua", module), ("r.json", record)], &words);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let operations: Vec<&str> = ran
        .err
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("→ "))
        .collect();
    let expected = [
        "bin missing is nil",
        "bin old := nil",
        "bin l := list{1}",
        "record.set_ttl(60)",
        "record.drop_key()",
        "record.gen = 1",
        "record.numbins = 1",
        "record.ttl = 100",
        "record.setname = \"s\"",
        "record.bin_names",
        "aerospike:exists = 1",
        "aerospike:update = 0",
    ];
    assert_eq!(operations, expected, "{}", ran.err);
}

#[test]
fn a_save_runs_what_depends_on_the_file() {
    let place = folder(&[
        ("m.lua", MODULE),
        ("m_test.lua", TEST),
        ("n_test.lua", "t.test('n', function() end)"),
    ]);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_asudf"))
        .current_dir(place.path())
        .args(["watch", "--saves", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("watching"));
    fs::write(place.path().join("m.lua"), format!("{MODULE}-- saved\n")).unwrap();
    // It ends after the save, and its output with it.
    let told: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(watch.wait().unwrap().success());
    let told = told.join("\n");
    assert!(
        told.contains("1 passed, 0 failed") && told.contains("m.lua: well after"),
        "{told}"
    );
    assert!(!told.contains("n_test.lua"), "{told}");
}
