//! Rules about stream UDFs.

use super::Rule;
use crate::finding::Level;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "stream-nil",
        level: Level::Error,
        title: "The function of a stream's operator may give nil.",
        page: "A nil from `map` ends the stream of that partition: what follows is lost without a word. A nil from `aggregate` or `reduce` is \
               the first argument of the next call. To leave values out, put a `filter` before the `map`.",
        fires: &[
            "local function value(rec)\n  if rec.a then return rec.a end\nend\nfunction f(s)\n  return s : map(value)\nend",
            "local function add(total, value)\n  total = total + value\nend\nfunction f(s)\n  return s : aggregate(0, add)\nend",
        ],
        quiet: &[
            "local function has(rec) return rec.a ~= nil end\nlocal function value(rec) return rec.a end\nlocal function add(a, b) return a + b end\nfunction f(s)\n  return s : filter(has) : map(value) : reduce(add)\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "reducer-kind",
        level: Level::Error,
        title: "The function of `reduce` or `aggregate` gives another kind of value than it gets first.",
        page: "Its result is the first argument of its next call, on this node, on others, and on the client.",
        fires: &[
            "local function one(rec) return 1 end\nlocal function join(a, b)\n  return map{ sum = a }\nend\nfunction f(s)\n  return s : map(one) : reduce(join)\nend",
            "local function add(groups, rec)\n  return 1\nend\nfunction f(s)\n  return s : aggregate(map(), add)\nend",
        ],
        quiet: &[
            "local function one(rec) return 1 end\nlocal function join(a, b) return a + b end\nfunction f(s)\n  return s : map(one) : reduce(join)\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "stream-result",
        level: Level::Error,
        title: "A stream UDF does not return its stream.",
        page: "The operators are run on what the function returns. Without it the aggregation fails.",
        fires: &["local function one(rec) return 1 end\nfunction f(s)\n  s : map(one)\nend"],
        quiet: &[
            "local function one(rec) return 1 end\nfunction f(s)\n  local t = s : map(one)\n  return t\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "stream-write",
        level: Level::Error,
        title: "A function of a stream's operator writes to its record.",
        page: "Records of an aggregation are read-only: bins keep what they had, `aerospike:update` answers 1, and nobody is told. Write with a \
               record UDF, over a query in the background if there are many.",
        fires: &[
            "local function mark(rec)\n  rec.seen = 1\n  aerospike:update(rec)\n  return 1\nend\nfunction f(s)\n  return s : map(mark)\nend",
        ],
        quiet: &[
            "local function value(rec) return rec.a or 0 end\nfunction f(s)\n  return s : map(value)\nend",
        ],
        fixes: false,
    },
];
