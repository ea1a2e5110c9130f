//! Stream UDFs over records that a test makes up, without a server around them.

use std::time::Duration;

use data::record::{Parts, StoredRecord};
use protocol::key::Digest;
use protocol::particle::Particle;
use protocol::value::Value;

use super::tests::context;
use crate::call::RecordView;
use crate::call::stream::{StreamCall, StreamSource, StreamStep};
use crate::context::CallEnd;
use crate::context::Context;

const LONG: Duration = Duration::from_secs(20);

/// Records with bin `n`.
fn records(numbers: impl IntoIterator<Item = i64>) -> Vec<RecordView> {
    let view = |(at, number)| {
        let parts = Parts {
            digest: Digest([at; 20]),
            token: 1,
            generation: 1,
            void_time: 0,
            last_update_ms: 0,
            set: "",
            key: None,
        };
        let value = Particle::integer(number);
        let bins = [(&b"n"[..], value.as_ref())].into_iter();
        RecordView {
            digest: Digest([at; 20]),
            set: None,
            key: None,
            stored: StoredRecord::new(&parts, bins, &mut Vec::new()).ok(),
            in_memory: true,
            persisted: false,
            write_refusal: None,
        }
    };
    (0..).zip(numbers).map(view).collect()
}

fn begin(context: &mut Context, records: Vec<RecordView>, limit: Duration) -> Result<(), Vec<u8>> {
    let mut records = records.into_iter();
    context.begin_stream(StreamCall {
        function: b"f",
        // The numbers 2 and 3.
        arguments: b"\x92\x02\x03",
        source: StreamSource::Records(Box::new(move || records.next())),
        time_per_record: limit,
        now: 0,
    })
}

/// All results of a run, as text, or how it failed.
fn run(context: &mut Context, records: Vec<RecordView>, limit: Duration) -> Result<String, String> {
    let text = |text: Vec<u8>| String::from_utf8(text).unwrap();
    let mut results = Vec::new();
    let mut outcome = begin(context, records, limit).map_err(text);
    while outcome.is_ok() {
        match context.next_value() {
            StreamStep::Value(value) => results.push(shown(&value)),
            StreamStep::End => break,
            StreamStep::Failure(reason) => outcome = Err(text(reason)),
        }
    }
    let ended = context.end_stream();
    assert_eq!(ended == CallEnd::Success, outcome.is_ok(), "{ended:?}");
    outcome.map(|()| results.join(" "))
}

fn shown(value: &Particle) -> String {
    text_of(&Value::from_particle(value.as_ref()).unwrap())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List { items, .. } => {
            let items: Vec<_> = items.iter().map(text_of).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map { entries, .. } => {
            let entry =
                |(key, value): &(Value, Value)| format!("{}:{}", text_of(key), text_of(value));
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(","))
        }
        other => format!("{other:?}"),
    }
}

/// `body` is what follows `return s`, or the function's body when it has statements of its own.
fn over(numbers: impl IntoIterator<Item = i64>, body: &str) -> Result<String, String> {
    let body = if body.starts_with(':') || body.is_empty() {
        format!("return s{body}")
    } else {
        body.to_owned()
    };
    let source = format!(
        "local function n(r) return r.n end\nlocal function add(a, b) return a + b end\n\
         function f(s, two, three) {body} end"
    );
    run(&mut context(&source), records(numbers), LONG)
}

#[test]
fn operators_give_what_the_real_ones_give() {
    let cases: &[(&[i64], &str, &str)] = &[
        // Item 95.
        (
            &[7, 7, 7],
            ":map(function(r) return 1 end):reduce(add)",
            "3",
        ),
        // Item 96.
        (&[1, 2, 3], ":map(n):reduce(add)", "6"),
        (
            &[1, 2, 3],
            ":aggregate(0, function(a, r) return a + r.n end)",
            "6",
        ),
        (
            &[1, 2, 1],
            ":aggregate(map(), function(m, r) m[r.n] = (m[r.n] or 0) + 1 return m end)\
             :reduce(function(a, b) return map.merge(a, b, add) end):map(tostring)",
            "{1:2,2:1}",
        ),
        (
            &[1, 2, 3],
            ":map(n):groupby(function(v) return v % 2 end)",
            "{0:[2],1:[1,3]}",
        ),
        (&[1], ":groupby(n)", "{1:[]}"),
        // Item 97.
        (
            &[1, 2, 3, 4],
            ":filter(function(r) return r.n > two end):map(n)",
            "3 4",
        ),
        // Item 98: without records the function does not run; a stream without any gives nothing but what aggregate holds.
        (&[], ":map(n):reduce(add)", ""),
        (
            &[1],
            ":filter(function() return false end):aggregate(5, add)",
            "5",
        ),
        (
            &[1],
            ":filter(function() return false end):map(n):reduce(add)",
            "",
        ),
        // Item 99.
        (
            &[1, 2],
            ":map(n):reduce(add):map(error):filter(error):reduce(error):aggregate(0, error)",
            "3",
        ),
        // Item 103.
        (&[300; 10], ":map(n):aggregate(0, add)", "1200 1200 600"),
        (&[500, 500], ":map(n):aggregate(0, add)", "1000 0"),
        (
            &[500, 500, 1],
            ":map(n):aggregate(0, add):reduce(add)",
            "1001",
        ),
        // A nil ends the stream; false does not.
        (
            &[1, 2, 3],
            ":map(function(r) if r.n ~= 2 then return r.n end end)",
            "1",
        ),
        (
            &[1, 2],
            ":map(function(r) return r.n == 2 end)",
            "false true",
        ),
        (&[1, 2], ":aggregate(0, function() return nil end)", ""),
        // What is sent in place of what cannot be.
        (&[1], "", "nil"),
        (
            &[1, 2],
            ":map(function(r) return r.n == 1 and {} or print end)",
            "",
        ),
        (&[1], ":map(function() return aerospike end)", "nil"),
        // An initial value is copied for each accumulation; other objects are none.
        (
            &[1],
            "local l = list{ 5 } return s:aggregate(l, function(a, r) list.append(a, r.n) return a end):map(function(a) return list.size(a) * 10 + list.size(l) end)",
            "21",
        ),
        (
            &[1],
            "local t = { 5 } return s:aggregate(t, function(a, r) a[2] = r.n return a end):map(function(a) return #a * 10 + #t end)",
            "21",
        ),
        (
            &[1],
            ":aggregate(bytes(2), function(a, r) return type(a) end)",
            "nil",
        ),
        // The builder changes in place; arguments follow it.
        (
            &[1],
            "s:map(function(r) return two * 10 + three end) return s",
            "23",
        ),
        // A handle is the record that was pulled last.
        (
            &[1, 2, 3],
            ":aggregate(list(), function(l, r) kept = kept or r list.append(l, kept.n) return l end)",
            "[1,2,3]",
        ),
    ];
    for (numbers, body, expected) in cases {
        let got = over(numbers.iter().copied(), body);
        assert_eq!(got.as_deref(), Ok(*expected), "{body}");
    }
}

#[test]
fn failures_read_as_in_the_real_server_item_100() {
    let cases = [
        (":map(function() error('oops') end)", "/udf/m.lua:3: oops"),
        ("error('oops')", "/udf/m.lua:3: oops"),
        (":map(function() error('oops', 0) end)", "oops"),
        (":map(function() error(42) end)", "42"),
        (
            "return nil",
            "[string \"aerospike.lua\"]:33: attempt to index a nil value (global 'result')",
        ),
        (
            ":foo()",
            "/udf/m.lua:3: attempt to call a nil value (method 'foo')",
        ),
        (
            ":map()",
            "[string \"stream_ops.lua\"]:50: attempt to call a nil value (upvalue 'f')",
        ),
        (
            ":map(function() error({}) end)",
            "bad argument #1 to '?' (string expected, got table)",
        ),
        (
            ":map(function(r) r.x = {} end)",
            "/udf/m.lua:3: can't set bin x to unsupported type",
        ),
        (
            "local t = s.map(1) return t",
            "/udf/m.lua:3: an operator is called on its stream, as in s:map(f)",
        ),
        ("return {}", "the function has not returned its stream"),
    ];
    for (body, expected) in cases {
        let got = over([1], body).unwrap_err();
        assert_eq!(
            got,
            format!("UDF: Execution Error 2 : {expected}"),
            "{body}"
        );
    }
    let mut context = context("function g() end");
    let got = run(&mut context, records([1]), LONG);
    let expected = "UDF: Execution Error 2 : function not found";
    assert_eq!(got.unwrap_err(), expected);
}

#[test]
fn records_of_a_stream_can_only_be_read_item_101() {
    let body = ":map(function(r)
        r.n = 9 r.m = 1 r.o = r
        record.set_ttl(r, 10) record.drop_key(r)
        return list{ r.n, aerospike:create(r), aerospike:update(r), aerospike:remove(r), aerospike:exists(r) and 1 or 0,
            aerospike:get_current_time(), aerospike:set_context(1), aerospike:get_config(), record.numbins(r), record.gen(r) }
    end):map(tostring)";
    let expected = "[4, 1, 1, 1, 1, 0, 2, 0, 1, 1]";
    assert_eq!(over([4], body).as_deref(), Ok(expected));
}

#[test]
fn a_context_serves_streams_and_calls_in_turn_and_keeps_nothing_of_a_stream() {
    let mut context = context(
        "function f(s) count = (count or 0) + 1 local c = count return s:map(function(r) saved = r return c end) end",
    );
    for _ in 0..3 {
        assert_eq!(
            run(&mut context, records([1, 2]), LONG).as_deref(),
            Ok("1 1")
        );
        assert!(context.retirement().is_none());
    }
    begin(&mut context, records([1, 2]), LONG).unwrap();
    context.next_value();
    assert!(
        context.retirement().is_some(),
        "given back in the middle of a run"
    );
    context.end_stream();
    assert!(context.retirement().is_none());
}

#[test]
fn a_stream_has_time_for_each_record_and_no_more_memory_than_a_call() {
    let limit = Duration::from_millis(100);
    for spin in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "s:map(function() while true do end end) return s",
        "s:map(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end) return s",
        "s:aggregate(list(), function(l) while true do list.append(l, ('x'):rep(100000)) end end) return s",
        "return s:map(function() coroutine.wrap(function() while true do end end)() end)",
    ] {
        let mut context = context(&format!("function f(s) {spin} end"));
        let limit = if spin.contains("rep") { LONG } else { limit };
        let text = run(&mut context, records([1]), limit).unwrap_err();
        let expected = if spin.contains("rep") {
            "not enough memory"
        } else {
            "UDF Execution Timeout"
        };
        assert!(text.starts_with("UDF: Execution Error 2 : "), "{text}");
        assert!(text.ends_with(expected), "{spin}: {text}");
        assert!(context.retirement().is_some(), "{spin}");
    }
    // In all it may take longer than for one record.
    let slow = "function f(s) return s:map(function(r) local t = os.clock() + 0.03 while os.clock() < t do end return 1 end)
        :reduce(function(a, b) return a + b end) end";
    let got = run(
        &mut context(slow),
        records([0; 20]),
        Duration::from_millis(500),
    );
    assert_eq!(got.as_deref(), Ok("20"));
}

/// Records add a few each: what limits a call limits all of a stream together.
#[test]
fn tables_with_weak_keys_have_their_limit_over_all_records_of_a_stream() {
    let chain = |each: usize| {
        format!(
            "local t, kept = setmetatable({{}}, {{ __mode = 'k' }}), {{}}
             return s:map(function(r) for i = 1, {each} do local k = {{}} t[kept[#kept] or k] = k kept[#kept + 1] = k end
             collectgarbage() return #kept end):reduce(function(a, b) return b end)"
        )
    };
    let ran = |each| over([0; 10], &chain(each));
    assert_eq!(ran(800).as_deref(), Ok("8000"));
    let text = ran(1_000).unwrap_err();
    assert!(text.contains("too many entries"), "{text}");
}

#[test]
fn modules_may_have_globals_of_the_operators_names() {
    let source = "function map() end function filter() end function reduce() end function aggregate() end list = nil
        function f(s) return s:map(function(r) return r.n end):groupby(function(v) return v end) end";
    let got = run(&mut context(source), records([1]), LONG);
    let expected = "{1:[1]}";
    assert_eq!(got.as_deref(), Ok(expected));
}
