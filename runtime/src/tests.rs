//! Scripts that try to outlive, outgrow or break what runs them, without a server around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::value::Value;

use crate::call::{Call, Outcome, RecordView, Reply};
use crate::context::{Context, Limits, LuaFactory};
use crate::host::{Alone, Host, Lane, ScriptLine};
use crate::machine::common::ScriptMemory;
use crate::machine::shared::BodyTime;
use crate::module::{Chunk, Modules};

/// What `require` finds: the one module, and one that sets a global.
struct One(Chunk);

impl Modules for One {
    fn find(&self, require_name: &[u8]) -> Option<Chunk> {
        if require_name == b"late" {
            let source = "late_global = mine and 'saw the call' or 'late' mine = nil";
            return Some(module("late.lua", source));
        }
        (require_name == b"m").then(|| self.0.clone())
    }
}

fn module(file_name: &str, source: &str) -> Chunk {
    let bytecode = factory().compile(file_name, source.as_bytes()).unwrap();
    Chunk {
        file_name: file_name.into(),
        compiled: Ok(bytecode),
    }
}

/// Nobody else runs scripts, and nobody reads their lines.
#[derive(Debug)]
struct Deaf;

impl Host for Deaf {
    fn unix_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn line(&self, _line: &ScriptLine<'_>) {}

    fn warn(&self, _text: &str) {}

    fn lane(&self) -> &'static dyn Lane {
        &Alone
    }
}

const MIB: usize = 1 << 20;

fn factory() -> LuaFactory {
    factory_for(16 * MIB)
}

fn factory_for(call_memory: usize) -> LuaFactory {
    factory_with(call_memory, false)
}

fn factory_with(call_memory: usize, allow_unsafe: bool) -> LuaFactory {
    let limits = Limits {
        load_time: BodyTime::of_processor(Duration::from_millis(300)),
        load_memory: 16 * MIB,
        call_memory,
        context_memory: 4 * MIB,
        ..Limits::default()
    };
    LuaFactory::new("/udf", allow_unsafe, false, limits, Arc::new(Deaf))
}

pub(crate) fn context(source: &str) -> Context {
    context_of(&factory(), source)
}

fn context_of(factory: &LuaFactory, source: &str) -> Context {
    let module = module("m.lua", source);
    factory
        .create(
            "m",
            module.compiled.as_ref().unwrap(),
            Arc::new(One(module.clone())),
        )
        .unwrap()
}

fn call(context: &mut Context, function: &str, limit: Duration) -> Outcome {
    call_with(context, function, &[], limit)
}

fn call_with(context: &mut Context, function: &str, arguments: &[u8], limit: Duration) -> Outcome {
    let record = RecordView {
        digest: Digest([7; 20]),
        set: None,
        key: None,
        stored: None,
        in_memory: true,
        persisted: false,
        write_refusal: None,
    };
    let call = Call {
        function: function.as_bytes(),
        arguments,
        record,
        deadline: Instant::now() + limit,
        now: 0,
    };
    context.run(call).0
}

/// What this thread has had of a processor: how busy the machine is does not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let nanoseconds = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap())
}

/// Time limit of what ends by itself.
const LONG: Duration = Duration::from_secs(600);

/// Processor time within which what does not is stopped, whose limits are 100 and 300 ms; cleaning up included.
const SOON: Duration = Duration::from_secs(1);

/// Runs `body` as function `f(rec)` in a context of its own.
fn run(body: &str, limit: Duration) -> (Outcome, bool) {
    let mut context = context(&format!("function f(rec)\n{body}\nend"));
    let outcome = call(&mut context, "f", limit);
    (outcome, context.retirement().is_none())
}

fn failure(outcome: &Outcome) -> String {
    match &outcome.reply {
        Reply::Failure(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Success(particle) => panic!("succeeded with {particle:?}"),
    }
}

fn success(outcome: &Outcome) -> Value {
    match &outcome.reply {
        Reply::Success(particle) => Value::from_particle(particle.as_ref()).unwrap(),
        Reply::Failure(text) => panic!("failed: {}", String::from_utf8_lossy(text)),
    }
}

#[test]
fn nothing_outlives_the_deadline() {
    let spin = "while true do end";
    let cases = [
        spin.to_owned(),
        format!("while true do pcall(function() {spin} end) end"),
        format!("while true do xpcall(function() {spin} end, function() {spin} end) end"),
        format!("local function again() {spin} end while true do coroutine.resume(coroutine.create(again)) end"),
        format!("coroutine.wrap(function() while true do pcall(function() {spin} end) end end)()"),
        format!("while true do coroutine.close(coroutine.create(function() {spin} end)) end"),
        // A finalizer, run by the collector on demand and in passing.
        format!("setmetatable({{}}, {{ __gc = function() {spin} end }}) collectgarbage() return 1"),
        format!(
            "setmetatable({{}}, {{ __gc = function() {spin} end }}) while true do local t = {{}} end"
        ),
        // A variable that is closed while the error passes.
        format!(
            "local c <close> = setmetatable({{}}, {{ __close = function() {spin} end }}) {spin}"
        ),
        format!(
            "local function f() local c <close> = setmetatable({{}}, {{ __close = function() {spin} end }}) {spin} end
             while true do pcall(f) end"
        ),
        format!(
            "coroutine.wrap(function() local c <close> = setmetatable({{}}, {{ __close = function() {spin} end }}) {spin} end)()"
        ),
        // C functions.
        "string.find(string.rep('a', 40), string.rep('a-', 40) .. 'b') while true do end".to_owned(),
        "string.gsub(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40), 'x') while true do end".to_owned(),
        "for _ in string.gmatch(string.rep('a', 40), string.rep('a-', 40) .. 'b') do end while true do end".to_owned(),
        "string.rep('', 1e18) while true do end".to_owned(),
        "local s while true do s = string.rep('x', 1000000) end".to_owned(),
        format!("table.sort({{ 3, 2, 1 }}, function() {spin} end)"),
        format!("load(function() {spin} end)"),
        format!("string.gsub('abc', '.', function() {spin} end)"),
        format!("tostring(setmetatable({{}}, {{ __tostring = function() {spin} end }}))"),
        format!("return setmetatable({{}}, {{ __index = function() {spin} end }}).x"),
    ];
    for body in cases {
        let began = processor_time();
        let (outcome, reusable) = run(&body, Duration::from_millis(100));
        let text = failure(&outcome);
        assert!(text.ends_with("UDF Execution Timeout"), "{body}: {text}");
        assert!(!reusable, "{body}");
        assert!(processor_time() - began < SOON, "{body}");
    }
}

#[test]
fn finalizer_that_loops_after_the_call_delays_nobody() {
    let began = processor_time();
    let (outcome, _) = run(
        "kept = setmetatable({}, { __gc = function() while true do end end }) return 1",
        Duration::from_millis(100),
    );
    assert_eq!(success(&outcome), Value::Integer(1));
    assert!(processor_time() - began < SOON);
}

#[test]
fn finalizers_run_when_garbage_is_collected() {
    let (outcome, _) = run(
        "local ran = 0
         for i = 1, 10 do
           local object = setmetatable({ n = i }, { __gc = function(o) ran = ran + o.n end })
         end
         collectgarbage() collectgarbage()
         return ran",
        LONG,
    );
    assert_eq!(success(&outcome), Value::Integer(55));
    let (outcome, _) = run(
        "local t = setmetatable({}, { __gc = true }) return type(getmetatable(t).__gc)",
        LONG,
    );
    assert_eq!(success(&outcome), Value::String(b"boolean".to_vec()));
}

#[test]
fn memory_has_a_limit() {
    for body in [
        "return string.rep('x', 1e9)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end",
        "local l = list() while true do list.append(l, string.rep('x', 1000) .. #l) end",
        "local m = map() local i = 0 while true do i = i + 1 m[i] = string.rep('x', 1000) end",
        "local m = map() local i = 0 while true do i = i + 1 m[string.rep('x', 1000) .. i] = 1 end",
        "local t = {} while true do t[#t + 1] = geojson(string.rep('x', 1000) .. #t) end",
        "local i = 0 while true do i = i + 1 rec['b' .. i % 1000] = string.rep('x', 100000) .. i end",
        "local b = bytes() while true do bytes.append_string(b, string.rep('x', 1000)) end",
        "local l = list() l[100000000] = 1 return 1",
        "local l = list{ 1 } while true do list.concat(l, l) end",
        "while true do pcall(string.rep, 'x', 1e9) end",
        "local l = list() while true do local o = list() list.append(o, o) list.append(o, l) l = o end",
    ] {
        let (outcome, reusable) = run(body, LONG);
        let text = failure(&outcome);
        assert!(text.contains("not enough memory"), "{body}: {text}");
        assert!(!reusable, "{body}");
    }
}

#[test]
fn garbage_does_not_count() {
    for body in [
        "for i = 1, 20000 do local l = list{ i, string.rep('x', 1000) } end return 1",
        "local m = map() for i = 1, 20000 do m.a = string.rep('x', 1000) .. i end return 1",
        "local l = list{ 0 } for i = 1, 20000 do l[1] = string.rep('x', 1000) .. i end return 1",
        "for i = 1, 20000 do local g = geojson(string.rep('x', 1000) .. i) end return 1",
    ] {
        let (outcome, _) = run(body, LONG);
        assert_eq!(success(&outcome), Value::Integer(1), "{body}");
    }
}

#[test]
fn nesting_and_circles_are_ordinary_errors_and_are_given_back() {
    for end in ["tostring(l)", "list.nbytes(l)", "l"] {
        for start in [
            "local l = list() list.append(l, l)",
            "local l = list() local m = map{ a = l } list.append(l, m)",
            "local l = list() for i = 1, 50000 do local o = list() list.append(o, l) l = o end",
        ] {
            let (outcome, _) = run(&format!("{start} return {end}"), LONG);
            assert!(!failure(&outcome).is_empty());
        }
    }
}

#[test]
fn circles_go_with_their_state() {
    let mut context = context(
        "function f(rec)
           local l = list() list.append(l, l) list.append(l, map{ a = string.rep('x', 1000) })
           return 1
         end",
    );
    let outcome = call(&mut context, "f", LONG);
    assert_eq!(success(&outcome), Value::Integer(1));
    let memory = context.memory_account();
    assert!(memory.used() > 0);
    drop(context);
    assert_eq!(memory.used(), 0);
}

#[test]
fn record_handle_is_worth_nothing_after_its_call() {
    let mut context = context(
        "local kept
         function keep(rec) kept = rec return 1 end
         function read(rec) return kept.a end
         function write(rec) kept.a = 5 return aerospike:update(rec) end
         function update(rec) return aerospike:create(kept) end
         function ttl(rec) return record.ttl(kept) end",
    );
    for function in ["read", "write", "update", "ttl"] {
        let kept = call(&mut context, "keep", LONG);
        assert_eq!(success(&kept), Value::Integer(1));
        let outcome = call(&mut context, function, LONG);
        assert!(failure(&outcome).starts_with("/udf/m.lua:"), "{function}");
    }
}

#[test]
fn calls_that_change_the_libraries_are_the_last_of_their_context() {
    for body in [
        "list.append = nil",
        "string.format = nil",
        "list.mine = 1",
        "map.size = print",
        "table.insert = nil",
        "record.ttl = nil",
        "rawset(list, 'append', nil)",
        "rawset(string, 'mine', 1)",
        "Aerospike.update = nil",
        "Aerospike.mine = 1",
        "os.time = nil",
        "utf8.mine = 1",
        "coroutine.wrap = nil",
        "package.loaded.mine = {}",
        "package.loaded.string = nil",
        "package.preload.mine = print",
        "package.mine = 1",
        "io.mine = 1",
        "stream.mine = 1",
        "geojson.mine = 1",
        "iterator.mine = 1",
        "Map.mine = 1",
        "math.pi = 3",
        "getmetatable('').__index = nil",
        "getmetatable('').mine = 1",
        "getmetatable(rec).mine = 1",
        "getmetatable(aerospike).mine = 1",
        "getmetatable(list()).mine = 1",
        "getmetatable(bytes(1)).mine = 1",
        "getmetatable(geojson('1')).mine = 1",
        "table.insert(list, 1)",
        "for name, library in pairs(_G) do if library == utf8 then library.mine = 1 end end",
    ] {
        let (_, reusable) = run(body, LONG);
        assert!(!reusable, "{body}");
    }
    for body in [
        "list = nil",
        "x = 1",
        "rawset(_G, 'x', 1)",
        "pcall(setmetatable, string, {}) pcall(setmetatable, _G, {})",
        "local l = list{ 1 } l[1] = 2 local t = {} rawset(t, 1, 2) return rawget(string, 'format') and 1",
        "return 1",
        "error('x')",
    ] {
        let (_, reusable) = run(body, LONG);
        assert!(reusable, "{body}");
    }
}

#[test]
fn sealed_tables_look_as_they_did() {
    for (expression, expected) in [
        (
            "rawget(list, 'append') == list.append and rawget(list, 'no') == nil",
            true,
        ),
        (
            "rawget(_G, 'list') == list and rawget(_G, 'no') == nil",
            true,
        ),
        (
            "(function() for k, v in next, string do if k == 'format' then return v == string.format end end end)()",
            true,
        ),
        (
            "(function() local n, m = 0, 0 for _ in next, math do n = n + 1 end for _ in pairs(math) do m = m + 1 end return n == m and n > 20 end)()",
            true,
        ),
        (
            "(function() x = 1 local seen = {} for k in next, _G do seen[k] = (seen[k] or 0) + 1 end return seen.x == 1 and seen.list == 1 end)()",
            true,
        ),
        (
            "package.loaded.string == string and require('string') == string",
            true,
        ),
        ("next(package.loaded) ~= nil and next(io) == nil", true),
        (
            "getmetatable('').__index == string and ('x'):upper() == 'X'",
            true,
        ),
    ] {
        let (outcome, reusable) = run(&format!("return {expression}"), LONG);
        assert_eq!(success(&outcome), Value::Bool(expected), "{expression}");
        assert!(reusable, "{expression}");
    }
}

#[test]
fn nothing_outlives_the_deadline_by_work_that_no_hook_sees() {
    let long = "local a, b = ('x'):rep(15000000), ('x'):rep(14999999) .. 'x'";
    let zeros = "local a, b = ('\0'):rep(15000000), ('\0'):rep(14999999) .. '\0'";
    let numbers = "local t = {} for i = 1, 300000 do t[i] = i end";
    let chain = "local slow = {} for i = 1, 1500 do slow = setmetatable({}, { __index = slow }) end
                 local t = setmetatable({}, { __index = slow, __len = function() return 1 << 40 end })";
    for body in [
        // One instruction each, on texts.
        format!("{long} while true do local _ = a == b end"),
        format!("{long} while true do local _ = a < b end"),
        format!("{zeros} while true do local _ = a < b end"),
        format!("{long} while true do local _ = a .. 'y' end"),
        format!("{long} while true do local _ = {{ [a .. 'y'] = 1 }} end"),
        format!("{long} local f = coroutine.wrap(function() while true do local _ = a == b end end) f()"),
        format!("local f = coroutine.wrap(function(a, b) while true do local _ = a == b end end) {long} f(a, b)"),
        format!("{long} local f = coroutine.wrap(function() while true do coroutine.yield(a == b) end end) while true do f() end"),
        format!("local f = coroutine.wrap(function() while true do coroutine.yield() end end) {long} while true do f() end"),
        "local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do f() end".to_owned(),
        format!("{long} while true do coroutine.wrap(function() return a == b end)() end"),
        // Functions of `string` and `utf8`.
        format!("{long} while true do a:upper() end"),
        format!("{long} while true do a:lower():reverse() end"),
        format!("{long} while true do a:sub(2) end"),
        format!("{long} while true do a:byte(1, 900000) end"),
        format!("{long} while true do a:find('xy', 1, true) end"),
        format!("{long} while true do a:find(('x'):rep(7000000) .. 'y', 1, true) end"),
        format!("{long} while true do a:find('[' .. ('y'):rep(1000000) .. ']') end"),
        format!("{long} while true do a:find('^(x*)%1y') end"),
        format!("{long} while true do a:gsub('x', '%0%0') end"),
        format!("{long} while true do ('%s'):format(a) end"),
        format!("{zeros} while true do ('%q'):format(a) end"),
        format!("{long} while true do tonumber(a, 36) end"),
        format!("{long} while true do tostring(a) utf8.len(a) end"),
        format!("{long} while true do load(a) end"),
        "local t = {} for i = 1, 4000 do t[i] = '::l' .. i .. '::do end ' end t = table.concat(t) while true do assert(load(t)) end".to_owned(),
        "while true do string.pack('c9000000', '') end".to_owned(),
        "while true do string.rep('ab', 5000000, ',') end".to_owned(),
        "local f = ('%c'):rep(10000) while true do os.date(f) end".to_owned(),
        format!("{numbers} local f = ('%99.99f'):rep(8000) while true do string.format(f, table.unpack(t, 1, 8000)) end"),
        // Functions of `table`.
        format!("{long} local t = {{}} for i = 1, 100 do t[i] = i % 2 == 0 and a or b end while true do table.sort(t) end"),
        format!("{numbers} while true do table.insert(t, 1, 1) table.remove(t, 1) end"),
        format!("{numbers} while true do table.move(t, 1, #t, 2) end"),
        format!("{numbers} while true do table.concat(t) end"),
        format!("{numbers} while true do table.unpack(t) end"),
        format!("{numbers} while true do table.sort(t) end"),
        format!("{numbers} local function f(...) while true do select('#', ...) end end f(table.unpack(t))"),
        format!("{chain} table.insert(t, 1, 1)"),
        format!("{chain} table.remove(t, 1)"),
        format!("{chain} while true do table.unpack(t, 1, 100000) end"),
        format!("{chain} table.move(t, 1, 1 << 40, 2, {{}})"),
        format!("{chain} table.concat(setmetatable({{}}, {{ __index = function() return '' end }}), '', 1, 1 << 40)"),
        format!("{chain} table.sort(setmetatable({{}}, {{ __index = t, __len = function() return 1 << 30 end }}), function() return false end)"),
        // Lists, maps, byte buffers.
        "local l = list() for i = 1, 100000 do list.append(l, i) end while true do list.prepend(l, 1) list.remove(l, 1) end".to_owned(),
        "local l = list() for i = 1, 100000 do list.append(l, i) end while true do list.clone(l) end".to_owned(),
        "local l = list{ 1 } for n = 1, 20 do l = list{ l, l } end while true do list.nbytes(l) end".to_owned(),
        "local l = list{ 1 } for n = 1, 20 do l = list{ l, l } end while true do tostring(l) end".to_owned(),
        "local l = list{ 1 } for n = 1, 20 do l = list{ l, l } end aerospike:create(rec) while true do rec.l = l aerospike:update(rec) end".to_owned(),
        "local b = bytes(8000000) while true do bytes.get_bytes(b, 1, 8000000) end".to_owned(),
        "while true do bytes(8000000) end".to_owned(),
        // The collector; the second with next to no memory left, so that every table has it go over all others.
        "local t, n = {}, 0
         while collectgarbage('count') < 120000 do n = n + 1 t[n] = { n } end
         local rest = {} local s = ('x'):rep(1000)
         while true do rest[#rest + 1] = s .. #rest if #rest > 3000 then rest = {} end end".to_owned(),
        "local t = {} for i = 1, 50000 do t[i] = {} end while true do collectgarbage() end".to_owned(),
    ] {
        let mut context = context_of(
            &factory_for(Limits::default().call_memory),
            &format!("function f(rec)\n{body}\nend"),
        );
        let began = processor_time();
        let outcome = call(&mut context, "f", Duration::from_millis(200));
        let took = processor_time() - began;
        let text = failure(&outcome);
        assert!(
            text.ends_with("UDF Execution Timeout") || text.ends_with("not enough memory"),
            "{body}: {text}"
        );
        assert!(context.retirement().is_some(), "{body}");
        if std::env::var_os("SHOW_OVERRUN").is_some() {
            eprintln!("{took:?} {text} {body}");
        }
        assert!(took < SOON, "{body}: {took:?}");
    }
}

#[test]
fn after_the_end_of_a_call_nothing_gets_far() {
    let mut context = context(
        "local steps = 0
         local function count() while true do steps = steps + 1 end end
         function f(rec)
           local c <close> = setmetatable({}, { __close = count })
           local d <close> = setmetatable({}, { __close = function() coroutine.wrap(count)() end })
           xpcall(function() while true do end end, count)
           steps = steps + 1000
         end
         function read(rec) return steps end",
    );
    let outcome = call(&mut context, "f", Duration::from_millis(50));
    assert!(failure(&outcome).ends_with("UDF Execution Timeout"));
    // A context like this is not used again; here it tells how far it got.
    let steps = call(&mut context, "read", LONG);
    let Value::Integer(steps) = success(&steps) else {
        panic!("{steps:?}");
    };
    assert!(steps < 10, "{steps}");
}

#[test]
fn load_takes_text_under_the_budget_whatever_scripts_may_reach() {
    for allow_unsafe in [false, true] {
        let factory = factory_with(16 * MIB, allow_unsafe);
        let mut context = context_of(
            &factory,
            "function binary(rec) return load(string.dump(binary)) == nil end
             function text(rec) return load('return 1 + 1')() == 2 end
             function pieces(rec)
               local parts = { 'return ', '1 ', '+ 1' }
               return load(function() return table.remove(parts, 1) end)() == 2
             end
             function long(rec) return load(string.rep(' ', 100000)) == nil end
             function number(rec) return load(function() return {} end) == nil end
             function failing(rec) return load(function() error('x', 0) end) == nil end
             function modules(rec) return pcall(require, 'nothing') == false and require('string') == string end
             function endless(rec) load(function() while true do end end) end",
        );
        for function in [
            "binary", "text", "pieces", "long", "number", "failing", "modules",
        ] {
            let outcome = call(&mut context, function, LONG);
            assert_eq!(success(&outcome), Value::Bool(true), "{function}");
            assert!(context.retirement().is_none(), "{function}");
        }
        let outcome = call(&mut context, "endless", Duration::from_millis(50));
        assert!(failure(&outcome).ends_with("UDF Execution Timeout"));
    }
}

#[test]
fn what_a_call_takes_away_is_there_for_the_next() {
    let mut context = context(
        "shade = 'module'
         function f(rec) list = nil aerospike = nil shade = nil x = 1 return tostring(list) .. tostring(shade) .. tostring(aerospike) end
         function g(rec) shade = 'call' return type(list) .. shade .. type(aerospike) .. tostring(x) end
         function h(rec) rawset(_G, 'x', 1) return shade end",
    );
    for (function, expected) in [
        ("f", "nilnilnil"),
        ("g", "tablecalluserdatanil"),
        ("h", "module"),
        ("g", "tablecalluserdatanil"),
    ] {
        let outcome = call(&mut context, function, LONG);
        let expected = Value::String(expected.as_bytes().to_vec());
        assert_eq!(success(&outcome), expected, "{function}");
    }
}

#[test]
fn globals_of_a_module_that_a_call_requires_stay() {
    let mut context = context(
        "function f(rec) mine = 'a call' require('late') return late_global end
         function g(rec) return tostring(late_global) .. tostring(mine) end",
    );
    for (function, expected) in [("f", "late"), ("g", "latenil"), ("f", "late")] {
        let outcome = call(&mut context, function, LONG);
        assert_eq!(
            success(&outcome),
            Value::String(expected.as_bytes().to_vec()),
            "{function}"
        );
        assert!(context.retirement().is_none());
    }
}

#[test]
fn chunk_that_misbehaves_is_refused() {
    let factory = factory();
    let module = Chunk {
        file_name: "m.lua".into(),
        compiled: Err("none".into()),
    };
    let modules: Arc<dyn Modules> = Arc::new(One(module));
    // Takes time by the square of its length.
    let labels: String = (0..60_000).map(|n| format!("::l{n}::do end ")).collect();
    for source in [
        "while true do end",
        "pcall(function() while true do end end) while true do end",
        "setmetatable({}, { __gc = function() while true do end end }) while true do local t = {} end",
        "t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "os.exit(1)",
        "io.popen('id')",
        "error({})",
        "\u{1b}Lua",
        &labels,
    ] {
        let began = processor_time();
        let checked = factory.validate("m.lua", source.as_bytes(), Arc::clone(&modules), None);
        assert!(checked.is_err(), "{source}");
        assert!(processor_time() - began < SOON, "{source}");
    }
    let quiet = "setmetatable({}, { __gc = function() while true do end end })";
    let began = processor_time();
    factory
        .validate("m.lua", quiet.as_bytes(), modules, None)
        .unwrap();
    assert!(processor_time() - began < SOON);
}

#[test]
fn argument_lists_that_claim_much_take_little() {
    let mut context = context("function f(rec, ...) return select('#', ...) end");
    // 100 levels, each of which claims that all bytes that follow are its elements.
    let size = 1_u32 << 20;
    let mut arguments = Vec::new();
    for _ in 0..100 {
        arguments.push(0xdd);
        arguments.extend_from_slice(&(size - 10_000).to_be_bytes());
    }
    arguments.resize(usize::try_from(size).unwrap(), 0x91);
    let outcome = call_with(&mut context, "f", &arguments, LONG);
    assert!(failure(&outcome).starts_with("the arguments cannot be read: "));
}

#[test]
fn arguments_count_as_memory() {
    let size = 5_u32 << 20;
    // So many nils; the same in lists one in the other; a long text.
    let mut flat = [&[0x91, 0xdd][..], &size.to_be_bytes()].concat();
    flat.resize(flat.len() + size as usize, 0xc0);
    let mut nested = vec![0x91];
    for _ in 0..60 {
        nested.push(0xdd);
        nested.extend((80_001_u32).to_be_bytes());
        nested.resize(nested.len() + 80_000, 0xc0);
    }
    nested.push(0xc0);
    let text = ('x', 17_u32 << 20);
    let mut long = [&[0x91, 0xdb][..], &(text.1 + 1).to_be_bytes(), &[3]].concat();
    long.resize(long.len() + text.1 as usize, b'x');
    for (name, arguments) in [("flat", flat), ("nested", nested), ("long", long)] {
        let mut context = context_of(
            &factory_for(64 * MIB),
            "function f(rec, ...) return select('#', ...) end",
        );
        let outcome = call_with(&mut context, "f", &arguments, LONG);
        let refused = Reply::Failure(b"not enough memory".to_vec());
        assert_eq!(outcome.reply, refused, "{name}");
        assert!(context.retirement().is_some(), "{name}");
    }
}

#[test]
fn what_no_hook_reaches_ends_all_the_same() {
    for body in [
        "while true do load(function() while true do end end) end",
        "table.insert(setmetatable({}, { __len = function() return 1 << 62 end }), 1, 1)",
        "table.concat(setmetatable({}, { __index = table.concat }), '', 1, math.maxinteger)",
        "local i = list{ ('x'):rep(10000000) } local l = list{} for n = 1, 100000 do list.append(l, i) end return l",
        "local l = list{ 1 } for n = 1, 60 do l = list{ l, l } end return tostring(l)",
        "return (('x'):rep(1000000)):gsub('^.*', ('%0'):rep(100000))",
        "setmetatable({}, { __gc = function() while true do end end }) for i = 1, 1e6 do list() end while true do end",
    ] {
        let (outcome, _) = run(body, Duration::from_millis(500));
        assert!(!failure(&outcome).is_empty(), "{body}");
    }
}

#[test]
fn tables_with_weak_keys_have_a_limit_and_remember_below_it() {
    let chain = "local keys = {} for i = 1, n + 1 do keys[i] = {} end
                 for i = 1, n do t[keys[i]] = keys[i + 1] end keys = nil collectgarbage()";
    let cases = [
        (
            "memo",
            "local memo = setmetatable({}, { __mode = 'k' })
             local kept = {} for i = 1, 4000 do kept[i] = {} memo[kept[i]] = i end
             for i = 1, 100000 do memo[{}] = i end collectgarbage()
             local n = 0 for _ in pairs(memo) do n = n + 1 end return n"
                .to_owned(),
            None,
        ),
        ("weak values", "local t = setmetatable({}, { __mode = 'v' }) for i = 1, 20000 do t[i] = {} end return 4000".to_owned(), None),
        ("both", "local t = setmetatable({}, { __mode = 'kv' }) for i = 1, 20000 do t[{}] = {} end return 4000".to_owned(), None),
        ("a chain", format!("local n = 40000 local t = setmetatable({{}}, {{ __mode = 'k' }}) {chain}"), Some("too many entries")),
        (
            "filled before",
            format!("local n = 40000 local t = {{}} {} setmetatable(t, {{ __mode = 'k' }})", chain.replace("keys = nil", "")),
            Some("too many entries"),
        ),
        (
            "places that were used",
            format!(
                "local t = {{}} for i = 1, 100000 do t['k' .. i] = i end for i = 1, 100000 do t['k' .. i] = nil end
                 setmetatable(t, {{ __mode = 'k' }}) local n = 4000 {chain}"
            ),
            Some("too many entries"),
        ),
        (
            "places for integers",
            "local t = setmetatable({}, { __mode = 'k' }) for i = 1, 100000 do t[i] = i end".to_owned(),
            Some("too many entries"),
        ),
        (
            "as many as there may be",
            "local memo = setmetatable({}, { __mode = 'k' }) local other = setmetatable({}, { __mode = 'k' })
             local kept = {} for i = 1, 8000 do kept[i] = {} memo[kept[i]] = i end other[kept] = 1
             for i = 4001, 8000 do kept[i] = nil end collectgarbage()
             local n = 0 for _ in pairs(memo) do n = n + 1 end return n"
                .to_owned(),
            None,
        ),
        (
            "many tables",
            "local all = {} for i = 1, 20000 do all[i] = setmetatable({}, { __mode = 'k' }) all[i][all[i - 1] or all] = all end"
                .to_owned(),
            Some("too many entries"),
        ),
        (
            "in coroutines",
            "local t = setmetatable({}, { __mode = 'k' }) local kept = {}
             for i = 1, 40 do coroutine.wrap(function() for j = 1, 300 do kept[#kept + 1] = {} t[kept[#kept]] = 1 end end)() end"
                .to_owned(),
            Some("too many entries"),
        ),
        (
            "a mode that comes later",
            format!("local n = 40000 local m = {{}} local t = setmetatable({{}}, m) m.__mode = 'k' {chain}"),
            Some("too many entries"),
        ),
    ];
    for (name, body, expected) in cases {
        let mut context = context_of(&factory_for(64 * MIB), &format!("function f(r) {body} end"));
        let outcome = call(&mut context, "f", LONG);
        match expected {
            None => assert_eq!(success(&outcome), Value::Integer(4000), "{name}"),
            Some(text) => {
                let Reply::Failure(found) = &outcome.reply else {
                    panic!("{name}: {outcome:?}")
                };
                let found = String::from_utf8_lossy(found);
                assert!(found.contains(text), "{name}: {found}");
            }
        }
    }
}

#[test]
fn a_call_without_memory_has_a_place() {
    for body in [
        "local t = {} while true do\nt[#t + 1] = ('x'):rep(100000) .. #t end",
        "local t = {} for i = 1, 1e9 do\nt[i] = {} end",
        "local t = {} for i = 1, 1e9 do\nt['k' .. i] = i end",
        "local t = {} while true do coroutine.wrap(function()\nt[#t + 1] = ('x'):rep(100000) .. #t end)() end",
        "local t = {} while true do pcall(function()\nt[#t + 1] = ('x'):rep(100000) .. #t end) end",
        "local t = {} local s = 'x' while true do\ns = s .. s end",
        "local l = list() while true do\nlist.append(l, ('x'):rep(100000) .. list.size(l)) end",
    ] {
        let mut context = context_of(&factory_for(16 * MIB), &format!("function f(r) {body} end"));
        let outcome = call(&mut context, "f", LONG);
        assert!(
            failure(&outcome).ends_with("not enough memory"),
            "{body}: {outcome:?}"
        );
        let place = context.take_cause().place;
        assert!(
            place
                .as_deref()
                .is_some_and(|place| place.contains("m.lua:")),
            "{body}: {place:?}"
        );
    }
}

#[test]
fn all_states_together_keep_to_the_memory_of_scripts() {
    let all = ScriptMemory::new(8 * MIB);
    let limits = Limits {
        call_memory: 64 * MIB,
        context_memory: 4 * MIB,
        all_memory: Arc::clone(&all),
        ..Limits::default()
    };
    let factory = LuaFactory::new("/udf", false, false, limits, Arc::new(Deaf));
    let source = "kept = {}
        function f(r) local t = {} for i = 1, 64 do t[i] = ('x'):rep(1000000) .. i end return 1 end
        function g(r) local t = list() for i = 1, 64 do list.append(t, ('x'):rep(1000000) .. i) end return 1 end";
    let mut contexts: Vec<_> = (0..3).map(|_| context_of(&factory, source)).collect();
    for function in ["f", "g"] {
        for context in &mut contexts {
            let outcome = call(context, function, LONG);
            assert!(
                matches!(&outcome.reply, Reply::Failure(text) if text.ends_with(b"not enough memory")),
                "{function}: {outcome:?}"
            );
            assert!(all.held() <= 9 * MIB, "{}", all.held());
        }
    }
    assert!(all.refused() > 0);
    drop(contexts);
    assert_eq!(all.held(), 0);
}

#[test]
fn what_compiles_or_runs_long_ends_with_its_place_and_reason() {
    let factory = factory();
    let modules = || -> Arc<dyn Modules> { Arc::new(One(module("m.lua", "function f(r) end"))) };
    let elseifs = format!("if a then {}end", "elseif a then ".repeat(74_000));
    let ands = format!("x={}a", "a and ".repeat(170_000));
    for source in [&*elseifs, &ands, "x = 1\nwhile true do end"] {
        let invalid = factory
            .validate("m.lua", source.as_bytes(), modules(), None)
            .unwrap_err();
        let text = String::from_utf8_lossy(&invalid.failure.message).into_owned();
        assert!(text.contains("UDF Execution Timeout: "), "{text}");
        assert_eq!(invalid.failure.file, b"m.lua", "{text}");
        assert!(invalid.failure.line > 0, "{text}");
        assert!(!invalid.ran_out);
    }
    let patience = Some(Duration::from_millis(1));
    let checked = factory.validate("m.lua", b"function f(r) end", modules(), patience);
    assert!(checked.is_ok(), "{checked:?}");
}

#[test]
fn what_a_body_leaves_has_to_fit_into_a_context() {
    let factory = factory();
    let source = "kept = {} for i = 1, 6 do kept[i] = ('x'):rep(1000000) .. i end function f(r) return 1 end";
    let chunk = module("m.lua", source);
    let modules = || -> Arc<dyn Modules> { Arc::new(One(chunk.clone())) };
    let invalid = factory
        .validate("m.lua", source.as_bytes(), modules(), None)
        .unwrap_err();
    let text = String::from_utf8_lossy(&invalid.failure.message).into_owned();
    assert!(text.contains("context-memory-limit"), "{text}");
    let failure = factory
        .create("m", chunk.compiled.as_ref().unwrap(), modules())
        .map(drop)
        .unwrap_err();
    assert!(
        failure.reason.contains("context-memory-limit") && !failure.transient,
        "{failure:?}"
    );
    // What it no longer reaches does not count.
    let thrown_away = source.replace("function f", "kept = nil function f");
    let checked = factory.validate("m.lua", thrown_away.as_bytes(), modules(), None);
    assert!(checked.is_ok(), "{checked:?}");
}

#[test]
fn a_state_that_was_made_ahead_validates_like_a_new_one() {
    let limits = Limits {
        all_memory: ScriptMemory::new(64 * MIB),
        ..Limits::default()
    };
    let factory = LuaFactory::new("/udf", false, false, limits, Arc::new(Deaf));
    let modules = || Arc::new(One(module("m.lua", "shared = 1"))) as Arc<dyn Modules>;
    factory.prepare_to_validate();
    assert_eq!(factory.memory().held(), 0, "nobody has validated yet");
    let source = b"assert(leaked == nil) require 'm' leaked = shared";
    let wrong = b"leaked = 1\nnothing.here = 1";
    let first = factory.validate("a.lua", wrong, modules(), None);
    assert!(first.is_err());
    for _ in 0..3 {
        factory.prepare_to_validate();
        assert!(factory.memory().held() > 0, "one is ready");
        assert_eq!(factory.validate("a.lua", wrong, modules(), None), first);
        factory.prepare_to_validate();
        let checked = factory.validate("a.lua", source, modules(), None);
        assert!(checked.is_ok(), "{checked:?}");
    }
}

/// Byte for byte, so that no call can tell which of the two its context was built of.
#[test]
fn what_was_validated_need_not_be_compiled_again() {
    let nested =
        "up = 1\nfunction f(r) return function() up = up + 1 return 'x', 1.5, {} end end\n";
    let name = "n".repeat(120) + ".lua";
    let path = format!("/{}", "p".repeat(20_000));
    for user_path in ["", "/udf", &*path] {
        let limits = Limits::default();
        let factory = LuaFactory::new(user_path, false, false, limits, Arc::new(Deaf));
        for file_name in ["m.lua", "ñ.lua", &*name] {
            for source in ["", "-- nothing", nested, &nested.repeat(300)] {
                let modules = Arc::new(One(module("m.lua", ""))) as Arc<dyn Modules>;
                let validated = factory.validate(file_name, source.as_bytes(), modules, None);
                let compiled = factory.compile(file_name, source.as_bytes()).unwrap();
                assert_eq!(validated, Ok(Some(compiled)), "{user_path} {file_name}");
            }
        }
    }
}
