//! Rules about records, values and calls.

use super::Rule;
use crate::finding::Level;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "missing-argument",
        level: Level::Error,
        title: "A function of Aerospike's or Lua's is called without an argument that it needs.",
        page: "Some fail (`aerospike:update()`), some do nothing without a word (`list.append(l)`), some answer nil.",
        fires: &[
            "function f(rec)\n  aerospike:remove()\nend",
            "function f(rec)\n  local l = list()\n  list.append(l)\n  return l\nend",
        ],
        quiet: &[
            "function f(rec, ...)\n  local l = list()\n  list.append(l, ...)\n  return l\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "extra-argument",
        level: Level::Warning,
        title: "A function of Aerospike's or Lua's is called with more arguments than it takes.",
        page: "What is too much is ignored, or makes the function do nothing: `bytes(1, 2)` and `geojson(a, b)` give nil.",
        fires: &[
            "function f(rec)\n  return aerospike:exists(rec, 1)\nend",
            "function f(rec)\n  return list.size(rec.l, 2)\nend",
            "local function old(rec, age) return rec.age > age end\nfunction f(s, age)\n  return s : filter(old, age)\nend",
        ],
        quiet: &[
            "function f(rec)\n  return aerospike:exists(rec)\nend",
            "function f(rec)\n  return math.max(1, 2, 3, 4)\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "argument-kind",
        level: Level::Error,
        title: "An argument is of a kind that the function does not take.",
        page: "Reported only where the argument can be nothing else. `pairs` takes no list and no map: write `list.iterator(l)` and \
               `map.pairs(m)`. Methods of `aerospike` are called with a colon, functions of libraries with a dot.",
        fires: &[
            "function f(rec)\n  return list.size(\"abc\")\nend",
            "function f(rec)\n  aerospike.update(rec)\nend",
            "function f(rec)\n  local l = list{ 1, 2 }\n  for _, v in pairs(l) do info(\"%s\", v) end\nend",
            "function f(rec)\n  local l = list()\n  list:append(l, 1)\n  return l\nend",
            "local function one(r)\n  local m = map()\n  for k, v in map.pairs(r) do m[k] = v end\n  return m\nend\nfunction f(s)\n  return s : map(one)\nend",
            "local function put(m, r)\n  m[r.a] = 1\n  return m\nend\nlocal function all(a, b)\n  for k, v in pairs(b) do a[k] = v end\n  return a\nend\nfunction f(s)\n  return s : aggregate(map(), put) : reduce(all)\nend",
        ],
        quiet: &[
            "local function last(_, r)\n  return r.a\nend\nlocal function all(a, b)\n  for k, v in pairs(b) do a[k] = v end\n  return a\nend\nfunction f(s)\n  return s : aggregate(map(), last) : reduce(all)\nend",
            "function f(rec, l)\n  return list.size(l)\nend",
            "function f(rec)\n  return string.rep(\"x\", \"3\")\nend",
        ],
        fixes: true,
    },
    Rule {
        id: "wrong-operand",
        level: Level::Error,
        title: "An operator, a call, an index or a loop of a value for which it fails.",
        page: "Reported only where the value can be nothing else: reckoning with nil or a boolean, calling a bin, joining a boolean to a string, comparing a \
               number with a string, taking a field of nil, calling a string, looping over a list without `list.iterator`.",
        fires: &[
            "function f(rec)\n  local n\n  return n + 1\nend",
            "function f(rec)\n  return \"done: \" .. true\nend",
            "function f(rec)\n  for v in list{ 1, 2 } do info(\"%d\", v) end\nend",
            "function f(rec)\n  return #rec\nend",
            "function f(rec)\n  return 1 < \"2\"\nend",
            "function f(rec)\n  rec.set_ttl(rec, 60)\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  local l = list()\n  l.append(1)\n  return l\nend",
        ],
        quiet: &[
            "function f(rec)\n  local n\n  if rec.a then n = 1 else n = 2 end\n  return n + 1\nend",
            "function f(rec, l)\n  for v in list.iterator(l) do info(\"%s\", v) end\nend",
            "function f(rec, text)\n  local _, rest = string.match(text, \"(%d+),(.*)\")\n  return \"rest: \" .. rest\nend",
            "function f(rec)\n  local ok, first, second = pcall(rec.a)\n  return ok and first + second\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "bin-name",
        level: Level::Error,
        title: "The name of a bin is longer than 15 bytes.",
        page: "Such a bin reads nil, and what is written to it is lost without an error, but for a line in the server's log.",
        fires: &[
            "function f(rec)\n  rec.a_name_of_16_byt = 1\n  return aerospike:update(rec)\nend",
            "function f(record)\n  return record[\"much too long a name\"]\nend",
        ],
        quiet: &[
            "function f(rec)\n  rec.a_name_of_15_by = 1\n  return aerospike:update(rec)\nend",
            "function f(m)\n  return m.some_name_that_is_a_key\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "unsupported-value",
        level: Level::Error,
        title: "A bin, list or map is given a value that it cannot hold.",
        page: "Lua tables are not converted, at no level: a bin refuses them with an error, a list ignores them, a map removes the key. Write \
               `list{…}` or `map{…}`, inside each other as well. Functions and records cannot be held either.",
        fires: &[
            "function f(rec)\n  rec.l = { 1, 2 }\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  return list{ { 1 }, { 2 } }\nend",
            "function f(rec)\n  local l = list()\n  list.append(l, { 1 })\n  return l\nend",
            "function f(rec)\n  local m = rec.m\n  if m == nil then m = map end\n  m.a = 1\n  rec.m = m\n  return aerospike:update(rec)\nend",
        ],
        quiet: &[
            "function f(rec)\n  rec.l = list{ list{ 1 }, map{ a = 1 } }\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  local make, size = map, map.size\n  return size(make())\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "unsendable-result",
        level: Level::Warning,
        title: "A function that clients call returns what cannot be sent.",
        page: "A Lua table, a function or a record reaches the client as nil, without an error. Return a `list{…}` or a `map{…}`. Functions that \
               the module itself uses are not reported.",
        fires: &[
            "function f(rec)\n  return { 1, 2 }\nend",
            "function f(rec)\n  local names = record.bin_names(rec)\n  return names\nend",
        ],
        quiet: &[
            "function f(rec)\n  return list{ 1, 2 }\nend",
            "function make() return { 1 } end\nfunction f(rec) return make()[1] end",
            "function split(text) return { text } end",
        ],
        fixes: false,
    },
    Rule {
        id: "unchecked-update",
        level: Level::Warning,
        title: "A record is updated, and nothing asks whether it is there.",
        page: "For a record that is not there `aerospike:update` answers -2, stores nothing, and the call succeeds. Ask \
               `aerospike:exists(rec)` and `aerospike:create(rec)` then, look at a bin, or return the result of `update` to the client.\n\nWhat only takes \
               bins away, or writes what was read from the record, loses nothing; functions whose names speak of scans or of the \
               background are run on records that are there.",
        fires: &["function f(rec, value)\n  rec.a = value\n  aerospike:update(rec)\nend"],
        quiet: &[
            "function f(rec, value)\n  rec.a = value\n  if aerospike:exists(rec) then aerospike:update(rec) else aerospike:create(rec) end\nend",
            "function f(rec, value)\n  rec.a = value\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  rec.a = nil\n  aerospike:update(rec)\nend",
            "function touch(rec)\n  local a = rec.a\n  rec.a = a\n  aerospike:update(rec)\nend",
            "function scan_mark(rec)\n  rec.a = 1\n  aerospike:update(rec)\nend",
            "function f(rec)\n  if rec.a == nil then return 0 end\n  rec.a = rec.a + 1\n  aerospike:update(rec)\n  return rec.a\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "many-arguments",
        level: Level::Warning,
        title: "A function takes more than 50 arguments.",
        page: "Servers warn from 20 arguments on, and clients' limits differ. Take a list or a map.",
        fires: &[
            "function f(rec, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39, a40, a41, a42, a43, a44, a45, a46, a47, a48, a49, a50, a51)\n  return a51\nend",
        ],
        quiet: &["function f(rec, ...)\n  return select(\"#\", ...)\nend"],
        fixes: false,
    },
    Rule {
        id: "log-format",
        level: Level::Error,
        title: "A format of `info()` and its siblings, or of `string.format`, that fails.",
        page: "The call fails, with an error that points into the server's own Lua, when the format has a conversion that Lua does not know \
               (`100%`, `%y`), wants more values than are passed, or gets one of the wrong kind.",
        fires: &[
            "function f(rec)\n  info(\"100% done\")\nend",
            "function f(rec)\n  warn(\"%s of %s\", rec.a)\nend",
            "function f(rec)\n  info(\"%d\", \"three\")\nend",
        ],
        quiet: &["function f(rec)\n  info(\"100%% of %d, %s\", 3, rec.a)\nend"],
        fixes: false,
    },
    Rule {
        id: "unused-format-argument",
        level: Level::Warning,
        title: "A value is passed to `info()` that its format has no place for.",
        page: "It is not in the line. Add `%s` for it.",
        fires: &["function f(rec)\n  info(\"value is\", rec.a)\nend"],
        quiet: &["function f(rec)\n  info(\"value is %s\", rec.a)\nend"],
        fixes: false,
    },
];
