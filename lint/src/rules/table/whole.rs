//! Rules about a module as a whole.

use super::Rule;
use crate::finding::Level;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "syntax",
        level: Level::Error,
        title: "The module is not Lua 5.4, and cannot be registered.",
        page: "The message is that of the server's own compiler. Lua 5.4 has no `!=`, `++`, `+=` or `continue`; after `return` \
               a block has to end.",
        fires: &[
            "function f(rec)\n  if rec.a != 1 then return 1 end\nend",
            "function f(rec)\n  return 1\n  rec.a = 2\nend",
            "break",
            "goto nowhere",
            "local limit <const> = 1\nfunction f(rec) limit = 2 end",
            "function f() return ... end",
            "local x = 12abc",
            "#!/usr/bin/lua\nfunction f(rec) return 1 end",
        ],
        quiet: &[
            "function f(rec)\n  do return 1 end\nend",
            "for i = 1, 3 do if i > 2 then break end end",
        ],
        fixes: false,
    },
    Rule {
        id: "too-deep",
        level: Level::Error,
        title: "The module nests deeper than can be checked.",
        page: "An expression of more than a thousand operators, calls or fields in a row is nothing that a person writes. The \
               server may take it; this check does not look at it.",
        fires: &[],
        quiet: &["return 1 + 2 + 3 + 4"],
        fixes: false,
    },
    Rule {
        id: "too-large",
        level: Level::Error,
        title: "The module is larger than servers take.",
        page: "A module may have up to 1,048,575 bytes.",
        fires: &[],
        quiet: &["return 1"],
        fixes: false,
    },
    Rule {
        id: "file-name",
        level: Level::Error,
        title: "A module of this file name cannot be registered, or never be called.",
        page: "File names have letters, digits and `._$-`, at most 127 bytes, do not begin with a dot, and end in `.lua`. A name \
               with another dot is registered by some servers, but its functions are never found: Lua takes the dot for a \
               directory.",
        fires: &[
            "-- file: my.module.lua\nreturn 1",
            "-- file: my module.lua\nreturn 1",
            "-- file: module.txt\nreturn 1",
        ],
        quiet: &["-- file: my-module_2.lua\nreturn 1"],
        fixes: false,
    },
    Rule {
        id: "bad-allow",
        level: Level::Warning,
        title: "A comment that is to let something pass lets nothing pass.",
        page: "It is `-- asudf: allow ID REASON`: with the id of a rule, and a reason for who reads it next.",
        fires: &[
            "local x = 1 -- asudf: allow unused-local",
            "-- asudf: allow no-such-rule because\nreturn 1",
        ],
        quiet: &["local x = 1 -- asudf: allow unused-local kept for the next version"],
        fixes: false,
    },
    Rule {
        id: "unused-allow",
        level: Level::Note,
        title: "A comment lets something pass that is not there any more.",
        page: "Take it away, so that it does not hide what comes later.",
        fires: &["return 1 -- asudf: allow bin-name it is only read"],
        quiet: &["local x = 1 -- asudf: allow unused-local kept for the next version"],
        fixes: false,
    },
    Rule {
        id: "require-missing",
        level: Level::Error,
        title: "A module is required that the project does not have.",
        page: "Registering the module fails if the other is not registered before it; a call fails with `UDF: Execution Error 1` \
               when it is removed later. Modules that are on the cluster but not in the project are named in `asudf.toml`: \
               `[modules] known = [\"name\"]`.",
        fires: &[
            "-- file: a.lua\nlocal b = require(\"bb\")\nfunction f(rec) return b.x end\n-- file: b.lua\nreturn { x = 1 }",
        ],
        quiet: &[
            "-- file: a.lua\nlocal b = require(\"b\")\nfunction f(rec) return b.x end\n-- file: b.lua\nreturn { x = 1 }",
        ],
        fixes: false,
    },
    Rule {
        id: "require-cycle",
        level: Level::Error,
        title: "Modules require each other in a circle.",
        page: "None of them can be loaded first. Some servers register such modules one after the other and run them until the \
               next restart; then every call fails. Move what both need into a third module.",
        fires: &[
            "-- file: a.lua\nlocal b = require(\"b\")\nfunction f(rec) return b end\n-- file: b.lua\nlocal a = require(\"a\")\nreturn { a = a }",
            "-- file: a.lua\nlocal a = require(\"a\")\nreturn { a = a }",
        ],
        quiet: &[
            "-- file: a.lua\nlocal b = require(\"b\")\nfunction f(rec) return b end\n-- file: b.lua\nreturn 1",
        ],
        fixes: false,
    },
    Rule {
        id: "require-path",
        level: Level::Error,
        title: "A module is required by a path or file name.",
        page: "Modules are required by their names, without directory and without `.lua`: `require(\"helpers\")`. A dot stands for a \
               directory, and the server has none.",
        fires: &[
            "local h = require(\"lib/helpers\")\nreturn h",
            "local h = require(\"helpers.lua\")\nreturn h",
            "local h = require(\"lib.helpers\")\nreturn h",
        ],
        quiet: &[
            "local h = require(\"helpers\")\nreturn h",
            "local t = require(\"table\")\nreturn t",
        ],
        fixes: false,
    },
    Rule {
        id: "log-at-load",
        level: Level::Error,
        title: "A line is logged while the module is loaded.",
        page: "The object `aerospike` is there during calls only, and `info()`, `warn()`, `debug()` and `trace()` need it. The module \
               cannot be registered: `attempt to index a nil value (global 'aerospike')`.",
        fires: &[
            "local function log(text)\n  info(\"%s\", text)\nend\nlog(\"loaded\")",
            "info(\"loaded\")",
            "local started = aerospike:get_current_time()\nreturn started",
        ],
        quiet: &[
            "local function log(text) info(\"%s\", text) end\nfunction f(rec) log(\"called\") end",
        ],
        fixes: false,
    },
    Rule {
        id: "strict-globals",
        level: Level::Error,
        title: "The globals get a metatable.",
        page: "Modules in the manner of `strict.lua` make reading an undefined global an error. The server itself reads and writes \
               globals around each call: on the real server, the first call ends the whole node.",
        fires: &[
            "setmetatable(_G, { __index = function(_, name) error(\"undefined \" .. name) end })",
        ],
        quiet: &["local t = setmetatable({}, { __index = _G })\nreturn t"],
        fixes: false,
    },
];
