//! What the library `t` finds right and wrong.

use super::program::asudf_over;

const MODULE: &str = r#"
function add(rec, bin, amount)
    rec[bin] = (rec[bin] or 0) + amount
    if aerospike:exists(rec) then
        return aerospike:update(rec)
    end
    info("made %s", bin)
    return aerospike:create(rec)
end
function remove(rec) return aerospike:remove(rec) end
function live(rec, ttl) record.set_ttl(rec, ttl) return aerospike:update(rec) end
function endless() while true do end end
function hungry() local s = "x" while true do s = s .. s end end
function times() return list{ aerospike:get_current_time(), os.time(), os.date("!%Y") } end
function same(rec, ...) return ... end
function boom(rec, text) error(text) end
function grow(rec, n) rec.b = string.rep("x", n) return aerospike:update(rec) end
function many(rec, n) for i = 1, n do rec["b" .. i] = i end return aerospike:update(rec) end
local function amount(rec) return rec.n end
function total(s) return s:map(amount):reduce(math.sum) end
function values(s) return s:map(amount) end
function difference(s) return s:map(amount):reduce(function(a, b) return a - b end) end
function bare(rec) return aerospike:create(rec) end
function fails(s) return s:map(function(rec) error("no") end) end
"#;

/// Runs the body of one test; passed or failed, and the document of the run.
fn verdict(body: &str) -> (String, serde_json::Value) {
    let test = format!("t.test('it', function()\n{body}\nend)\n");
    let files = [("m.lua", MODULE), ("m_test.lua", test.as_str())];
    let ran = asudf_over(&files, &["test", "--format", "json", "--seed", "7"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out)
        .unwrap_or_else(|error| panic!("{body}: {error}: {} {}", ran.out, ran.err));
    let test = document["files"][0]["tests"][0].clone();
    let verdict = test["verdict"].as_str().unwrap_or("broken").to_owned();
    assert_eq!(
        ran.status,
        i32::from(verdict == "failed" || verdict == "broken"),
        "{body}"
    );
    (verdict, test)
}

#[test]
fn what_is_right_passes() {
    for body in [
        // Records
        "local r = t.record{ bins = { n = 3 } } t.equal(t.apply(r, 'm', 'add', 'n', 4), 0)
         t.equal(r.bins, { n = 7 }) t.equal(r.generation, 2) t.truthy(r.updated) t.falsy(r.created)",
        "local r = t.record{ key = 'k', set = 's' } t.falsy(r.exists) t.equal(r.bins, nil)
         t.apply(r, 'm', 'add', 'n', 4) t.truthy(r.created) t.equal(r.key, 'k') t.equal(r.set, 's') t.logged('made n')",
        "local r = t.record{ bins = { n = 3 }, generation = 65535 } t.apply(r, 'm', 'add', 'n', 4) t.equal(r.generation, 1)",
        "local r = t.record{ bins = { n = 3 } } t.apply(r, 'm', 'remove') t.truthy(r.deleted) t.falsy(r.exists)",
        "t.fails(2, t.record{}, 'm', 'bare')",
        "local r = t.record{ bins = { n = 3 } } t.put(r, { m = 1 }) t.equal(r.bins, { n = 3, m = 1 }) t.delete(r) t.falsy(r.exists)",
        // Rules at commit
        "local r = t.record{ bins = { n = 3 } } t.apply(r, 'm', 'live', 60) t.equal(r.ttl, 60)
         t.apply(r, 'm', 'live', -1) t.equal(r.ttl, -1) t.fails(4, r, 'm', 'live', 315360001) t.equal(r.generation, 3)",
        "local r = t.record{ bins = { n = 3 } } t.limits{ record_size = 1000 } t.fails(13, r, 'm', 'grow', 1000) t.equal(r.bins, { n = 3 })",
        "t.limits{ default_ttl = 90 } local r = t.record{ bins = { n = 3 } } t.apply(r, 'm', 'add', 'n', 1) t.equal(r.ttl, 90)",
        "local r = t.record{ bins = { b1 = 3 } } t.apply(r, 'm', 'many', 512)  t.fails(21, r, 'm', 'many', 513)",
        "local r = t.record{ bins = { n = 3 } } t.equal(t.call{ record = r, module = 'm', name = 'add', args = { 'n', 1 }, ttl = 9 }.code, 0) t.equal(r.ttl, 9)",
        "local r = t.record{ bins = { n = 3 } } t.equal(t.call{ record = r, module = 'm', name = 'remove', durable_delete = true }.code, 25)",
        // Values
        "t.equal(t.apply(t.record{}, 'm', 'same', { 1, 'a', { x = 1.5 } }), { 1, 'a', { x = 1.5 } })",
        "t.equal(t.apply(t.record{}, 'm', 'same', nil), nil)",
        "t.equal(t.apply(t.record{}, 'm', 'same', list()), {}) t.equal(t.apply(t.record{}, 'm', 'same', map()), {})",
        // Failures
        "t.fails('m.lua:16: boom', t.record{}, 'm', 'boom', 'boom') t.fails('b..m', t.record{}, 'm', 'boom', 'boom')",
        "local r = t.try(t.record{}, 'm', 'boom', 'boom') t.equal(r.code, 100) t.equal(r.error, 'm.lua:16: boom')",
        "t.limits{ time_ms = 20 } t.fails('UDF Execution Timeout', t.record{}, 'm', 'endless')",
        "t.limits{ memory = 2000000 } t.fails('not enough memory', t.record{}, 'm', 'hungry')",
        "t.fails('function not found', t.record{}, 'm', 'ad')",
        "t.raises('nil value', function() local x x.y = 1 end)",
        // The clock
        "t.clock('2026-01-31T12:00:00Z') t.equal(t.apply(t.record{}, 'm', 'times'), { 1769860800000, 1769860800, '2026' })
         local r = t.record{ ttl = 10, bins = { n = 1 } } t.advance(9) t.equal(r.ttl, 1) t.advance(2) t.falsy(r.exists)
         t.equal(t.apply(r, 'm', 'add', 'n', 1), 0) t.truthy(r.created)",
        // Streams and jobs
        "t.equal(t.stream{ { bins = { n = 1 } }, { bins = { n = 2 } }, { bins = { n = 4 } } }:apply('m', 'total'), { 7 })",
        "t.equal(t.stream{}:apply('m', 'total'), {})",
        "local s = t.stream{ { bins = { n = 1 } }, { bins = { n = 2 } } }:apply('m', 'values') t.equal(s[1] + s[2], 3)",
        "t.fails('UDF: Execution Error 2 : m.lua:24: no', t.stream{ { bins = { n = 1 } } }, 'm', 'fails')",
        "local a = t.record{ set = 'x', bins = { n = 1 } } t.record{ set = 'y', bins = { n = 1 } } t.equal(t.stream{ set = 'x' }:apply('m', 'total'), { 1 })",
        "local a, b = t.record{ bins = { n = 1 } }, t.record{ bins = { n = 'x' } }
         t.equal(t.background(nil, 'm', 'add', 'n', 5), { succeeded = 1, failed = 1 }) t.equal(a.bins.n, 6)",
        // Properties
        "t.check(t.gen.fields{ n = t.gen.integer(), s = t.gen.string(), f = t.gen.float(), b = t.gen.boolean() }, function(v)
            t.truthy(math.type(v.n) == 'integer' and #v.s <= 20 and v.f >= -1000 and v.f <= 1000 and (v.b == true or v.b == false)) end)",
        "t.check(t.gen.integer(math.mininteger, math.maxinteger), function(n) t.equal(math.type(n), 'integer') end)",
        "t.check(t.gen.integer(3, 5), function(n) t.truthy(n >= 3 and n <= 5) end)",
        "local r = t.record{} t.equal(list.size(t.log()), 0) t.apply(r, 'm', 'add', 'n', 1) t.equal(t.log()[1], 'INFO (m.lua:7) made n')",
    ] {
        let (found, test) = verdict(body);
        assert_eq!(found, "passed", "{body}\n{}", test["message"]);
    }
}

#[test]
fn what_is_wrong_fails_and_says_how() {
    for (body, message) in [
        ("t.equal(1, 2)", "found     1\nexpected  2"),
        (
            "t.equal(1, 1.0)",
            "found     1\nexpected  1.0 (an integer, expected a float)",
        ),
        ("t.equal(nil, {})", "found     nil\nexpected  {}"),
        (
            "t.equal(t.record{ bins = { a = 1, l = { 1, 2 } } }.bins, { l = { 1, 3 } })",
            "found     map{a = 1, l = list{1, 2}}\nexpected  map{l = list{1, 3}}\n.a: found 1, expected nothing\n.l[2]: found 2, expected 3",
        ),
        ("t.truthy(nil)", "expected something true, found nil"),
        ("t.apply(t.record{}, 'm', 'boom', 'x')", "m.lua:16: x"),
        (
            "t.fails('y', t.record{}, 'm', 'boom', 'x')",
            "expected a failure like \"y\", found \"m.lua:16: x\"",
        ),
        (
            "t.fails('y', t.record{}, 'm', 'same', 1)",
            "expected a failure like \"y\", it returned 1",
        ),
        (
            "t.fails(13, t.record{}, 'm', 'boom', 'x')",
            "expected result 13, found m.lua:16: x",
        ),
        (
            "t.logged('x')",
            "no line like \"x\" was logged; found list{}",
        ),
        ("t.apply(t.record{}, 'mm', 'x')", "UDF: Execution Error 1"),
        (
            "local x x.y = 1",
            "attempt to index a nil value (local 'x')",
        ),
        (
            "t.record{ bns = {} }",
            "a record has no `bns`: say key, set, bins, order, ttl, generation, send_key",
        ),
        (
            "t.record{ bins = { a23456789012345x = 1 } }",
            "the bin name `a23456789012345x` has more than 15 bytes",
        ),
        (
            "t.apply(t.record{}, 'm', 'same', {})",
            "an empty table may be a list or a map: say list() or map()",
        ),
        (
            "t.clock('yesterday')",
            "`yesterday` is no time like 2026-01-31T12:00:00Z",
        ),
        (
            "t.limits{ tim = 1 }",
            "there is no limit `\"tim\"`: say time_ms, memory, record_size, default_ttl",
        ),
        // The simplest value that fails is found.
        (
            "t.check(t.gen.list(t.gen.integer()), function(l) local s = 0 for v in list.iterator(l) do s = s + v end t.truthy(s < 300) end)",
            "fails for list{300}\nexpected something true, found false",
        ),
        (
            "t.check(t.gen.string(), function(s) t.falsy(string.find(s, 'e')) end)",
            "fails for \"e\"\n",
        ),
        (
            "t.stream{ { bins = { n = 1 } }, { bins = { n = 2 } }, { bins = { n = 5 } } }:apply('m', 'difference')",
            "a reducer must be associative and commutative",
        ),
    ] {
        let (found, test) = verdict(body);
        let text = test["message"].as_str().unwrap();
        assert_eq!(found, "failed", "{body}");
        assert!(text.contains(message), "{body}\n{text}");
        assert_eq!(test["failed_at"], 2, "{body}\n{text}");
    }
}

#[test]
fn a_seed_gives_the_same_again_whatever_else_runs() {
    let tests = "t.test('a', function() t.check(t.gen.integer(0, 1000000), function(n) t.truthy(n % 7 ~= 3) end) end)
        t.test('b', function() t.check(t.gen.string(), function(s) t.truthy(#s < 12) end) end)";
    let message = |words: &[&str], name: &str| {
        let mut all = vec!["test", "--format", "json"];
        all.extend(words);
        let ran = asudf_over(&[("x_test.lua", tests)], &all);
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let tests = document["files"][0]["tests"].as_array().unwrap().clone();
        let test = tests.iter().find(|test| test["name"] == name).unwrap();
        test["message"].as_str().unwrap().to_owned()
    };
    for name in ["a", "b"] {
        let whole = message(&["--seed", "42"], name);
        assert!(whole.starts_with("run "), "{whole}");
        assert_eq!(
            message(&["--seed", "42", "--filter", name, "--jobs", "1"], name),
            whole
        );
    }
}

#[test]
fn a_file_that_does_not_load_is_a_failure_with_its_place() {
    for (text, expected) in [
        ("x = = 1", "x_test.lua:1:"),
        ("error('no')", "x_test.lua:1: no"),
        (
            "t.test('a', function() end) t.test('a', function() end)",
            "there are two tests of the name `a`",
        ),
        ("require 'nowhere'", "module 'nowhere' not found"),
        ("io.open('/etc/passwd')", "x_test.lua:1:"),
    ] {
        let ran = asudf_over(&[("x_test.lua", text)], &["test"]);
        assert_eq!(ran.status, 1, "{text}: {}", ran.err);
        assert!(ran.out.contains(expected), "{text}: {}", ran.out);
    }
}

#[test]
fn tests_do_not_see_each_other() {
    let tests = "shared = 0
        t.test('a', function() shared = shared + 1 t.equal(shared, 1) t.record{ key = 'k', bins = { n = 1 } } end)
        t.test('b', function() shared = shared + 1 t.equal(shared, 1) t.equal(t.stream{ set = 'asudf' }:apply('m', 'total'), {}) end)
        t.test('c', function() t.equal(t.apply(t.record{}, 'count', 'next'), 1) end)
        t.test('d', function() t.equal(t.apply(t.record{}, 'count', 'next'), 1) end)";
    let count = "local n = 0 function next() n = n + 1 return n end";
    let files = [
        ("m.lua", MODULE),
        ("count.lua", count),
        ("x_test.lua", tests),
    ];
    let ran = asudf_over(&files, &["test", "--jobs", "1"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
}

#[test]
fn reports_have_the_forms_that_machines_read() {
    let tests = "t.test('good', function() end)
        t.test('a <bad> & \"worse\" # one', function() t.equal(1, 2) end)
        t.test('later', function() t.skip('not yet') end)";
    let files = [("x_test.lua", tests), ("y_test.lua", "(")];
    let tap = asudf_over(&files, &["test", "--format", "tap", "--seed", "1"]).out;
    let lines: Vec<&str> = tap.lines().collect();
    assert_eq!(lines[..3], ["TAP version 14", "1..4", "# seed 1"]);
    for expected in [
        "ok 1 - x_test.lua: good",
        "not ok 2 - x_test.lua: a <bad> & \"worse\" \\# one",
        "ok 3 - x_test.lua: later # SKIP not yet",
        "not ok 4 - y_test.lua",
        "  at: \"x_test.lua:2\"",
        "    expected  2",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{tap}");
    }
    let junit = asudf_over(&files, &["test", "--format", "junit"]).out;
    for expected in [
        "tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\"",
        "name=\"a &lt;bad&gt; &amp; &quot;worse&quot; # one\" classname=\"x_test.lua\" file=\"x_test.lua\" line=\"2\"",
        "<failure message=\"found     1\">x_test.lua:2\nfound     1&#10;expected  2</failure>",
        "<skipped message=\"not yet\"/>",
        "<testcase name=\"(the file)\" classname=\"y_test.lua\"",
    ] {
        assert!(junit.contains(expected), "{expected}\n{junit}");
    }
}

#[test]
fn a_test_that_loops_for_ever_fails_and_the_others_go_on() {
    let test = "t.test('loops', function() while true do end end)
        t.test('goes on', function() end)";
    let files = [
        ("asudf.toml", "[test]\nwhole-time-limit-ms = 1000\n"),
        ("a_test.lua", test),
        ("b_test.lua", "while true do end"),
    ];
    let ran = asudf_over(&files, &["test"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    for expected in [
        "the test takes more than 1000 ms (whole-time-limit-ms of asudf.toml)",
        "BROKEN b_test.lua",
        "1 passed, 2 failed",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {}", ran.out);
    }
}
