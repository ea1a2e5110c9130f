//! Scripts that try to outlive, outgrow or break what runs them, without a server around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::particle::Particle;
use protocol::value::Value;

use crate::udf::{
    Call, Context, ContextFactory, Limits, LuaFactory, Module, Modules, Outcome, PooledContext,
    RecordView, Reply,
};

/// What `require` finds: the one module.
struct One(Arc<Module>);

impl Modules for One {
    fn find(&self, require_name: &[u8]) -> Option<Arc<Module>> {
        (require_name == b"m").then(|| Arc::clone(&self.0))
    }
}

fn factory() -> LuaFactory {
    const MIB: usize = 1 << 20;
    let limits = Limits {
        load_time: Duration::from_millis(300),
        load_memory: 16 * MIB,
        call_memory: 16 * MIB,
        context_memory: 4 * MIB,
    };
    LuaFactory::new("/udf", false, false, limits)
}

fn context(source: &str) -> Context {
    let factory = factory();
    let bytecode = factory.compile("m.lua", source.as_bytes()).unwrap();
    let source = Arc::from(source.as_bytes());
    let module = Arc::new(Module::new("m.lua", 1, "", source, Ok(bytecode)));
    factory
        .create(&module, Arc::new(One(Arc::clone(&module))))
        .unwrap()
}

fn call(context: &mut Context, function: &str, limit: Duration) -> Outcome {
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
        arguments: &[],
        record,
        deadline: Instant::now() + limit,
        now: 0,
    };
    context.run(call).0
}

const LONG: Duration = Duration::from_secs(20);

/// Runs `body` as function `f(rec)` in a context of its own.
fn run(body: &str, limit: Duration) -> (Outcome, bool) {
    let mut context = context(&format!("function f(rec)\n{body}\nend"));
    let outcome = call(&mut context, "f", limit);
    (outcome, context.is_reusable())
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
        let began = Instant::now();
        let (outcome, reusable) = run(&body, Duration::from_millis(100));
        let text = failure(&outcome);
        assert!(text.ends_with("UDF Execution Timeout"), "{body}: {text}");
        assert!(!reusable, "{body}");
        assert!(began.elapsed() < Duration::from_secs(10), "{body}");
    }
}

#[test]
fn finalizer_that_loops_after_the_call_delays_nobody() {
    let began = Instant::now();
    let (outcome, _) = run(
        "kept = setmetatable({}, { __gc = function() while true do end end }) return 1",
        Duration::from_millis(100),
    );
    assert_eq!(success(&outcome), Value::Integer(1));
    assert!(began.elapsed() < Duration::from_secs(10));
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
    ] {
        let (_, reusable) = run(body, LONG);
        assert!(!reusable, "{body}");
    }
    for body in [
        "list = nil",
        "x = 1",
        "getmetatable('').__index = nil",
        "return 1",
        "error('x')",
    ] {
        let (_, reusable) = run(body, LONG);
        assert!(reusable, "{body}");
    }
}

#[test]
fn chunk_that_misbehaves_is_refused() {
    let factory = factory();
    let module = Module::new("m.lua", 1, "", Arc::from(&b""[..]), Err("none".into()));
    let modules: Arc<dyn Modules> = Arc::new(One(Arc::new(module)));
    for source in [
        "while true do end",
        "pcall(function() while true do end end) while true do end",
        "setmetatable({}, { __gc = function() while true do end end }) while true do local t = {} end",
        "t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "os.exit(1)",
        "io.popen('id')",
        "error({})",
        "\u{1b}Lua",
    ] {
        let began = Instant::now();
        let checked = factory.validate("m.lua", source.as_bytes(), Arc::clone(&modules));
        assert!(checked.is_err(), "{source}");
        assert!(began.elapsed() < Duration::from_secs(10), "{source}");
    }
    let quiet = "setmetatable({}, { __gc = function() while true do end end })";
    let began = Instant::now();
    factory
        .validate("m.lua", quiet.as_bytes(), modules)
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
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
    let record = RecordView {
        digest: Digest([7; 20]),
        set: None,
        key: None,
        stored: None,
        in_memory: true,
        persisted: false,
        write_refusal: None,
    };
    let outcome = context
        .run(Call {
            function: b"f",
            arguments: &arguments,
            record,
            deadline: Instant::now() + LONG,
            now: 0,
        })
        .0;
    assert_eq!(outcome.reply, Reply::Success(Particle::integer(0)));
}

#[test]
fn what_no_hook_reaches_ends_all_the_same() {
    for body in [
        "while true do load(function() while true do end end) end",
        "local n = 0
         local t = setmetatable({}, { __len = function() n = n + 1 return n == 1 and 0 or 1 << 62 end })
         table.insert(t, 1, 1)",
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
