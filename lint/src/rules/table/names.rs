//! Rules about names.

use super::Rule;
use crate::finding::Level;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "undefined-name",
        level: Level::Error,
        title: "A name that neither the module, nor Lua, nor Aerospike defines.",
        page: "It is nil whenever it is reached: calling it fails, and as a value it is lost without a word. Most are misspelt, or were \
               local to another function.\n\nA name that the module only asks for (`if name then`, `name or other`, `type(name)`) is not \
               reported, nor is any when the module requires one that is not in the project, for it may define it.",
        fires: &[
            "function f(rec)\n  return totl + 1\nend",
            "function f(rec)\n  undefined_function()\nend",
            "function f(rec, amount)\n  rec.a = amuont\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  if aerospik:exists(rec) then return 1 end\nend",
        ],
        quiet: &[
            "local total = 1\nfunction f(rec) return total + 1 end",
            "function f(rec) if jit_version then return 1 end end",
            "_G.helper = function(x) return x end\nfunction f(rec) return helper(1) end",
            "for name, f in pairs({ helper = tostring }) do _G[name] = f end\nfunction f(rec) return helper(1) end",
            "-- file: a.lua\nrequire(\"b\")\nfunction f(rec) return helper(1) end\n-- file: b.lua\nfunction helper(x) return x end",
        ],
        fixes: false,
    },
    Rule {
        id: "unknown-field",
        level: Level::Error,
        title: "A member that a library, an object or the module's own table does not have.",
        page: "`list.push` is nil, and calling it fails. Lists, maps, bytes and records have no methods: it is `list.size(l)`, not \
               `l:size()`.",
        fires: &[
            "function f(rec)\n  local l = list()\n  list.push(l, 1)\n  return l\nend",
            "function f(rec)\n  local l = list()\n  return l:size()\nend",
            "function f(rec)\n  return aerospike:updat(rec)\nend",
            "local M = {}\nfunction M.helper(x) return x end\nfunction f(rec) return M.helpr(1) end\nreturn M",
            "-- file: a.lua\nlocal b = require(\"b\")\nfunction f(rec) return b.helpr(1) end\n-- file: b.lua\nlocal M = {}\nfunction M.helper(x) return x end\nreturn M",
        ],
        quiet: &[
            "function f(rec)\n  local l = list()\n  list.append(l, 1)\n  return list.size(l)\nend",
            "string.trim = function(s) return s:match(\"^%s*(.-)%s*$\") end\nfunction f(rec) return string.trim(rec.a) end",
            "local M = {}\nfunction M.helper(x) return x end\nfunction f(rec) return M.helper(1) end\nreturn M",
            "-- file: a.lua\nlocal b = require(\"b\")\nfunction b.more(x) return x end\nfunction f(rec) return b.helper(b.more(1)) end\n-- file: b.lua\nlocal M = {}\nfunction M.helper(x) return x end\nreturn M",
        ],
        fixes: true,
    },
    Rule {
        id: "old-lua",
        level: Level::Error,
        title: "A name of Lua 5.1 to 5.3 or LuaJIT that Lua 5.4 does not have.",
        page: "Servers before version 7 ran Lua 5.1 as LuaJIT; since then `setfenv`, `unpack`, `loadstring`, `module`, `table.getn`, \
               `table.foreach`, `math.pow`, `bit` and others are nil. The help says what to write instead.",
        fires: &[
            "function f(rec)\n  return (unpack({ 1, 2 }))\nend",
            "function f(rec)\n  return math.pow(rec.a, 2)\nend",
            "module(\"helpers\", package.seeall)",
            "function f(rec)\n  setfenv(1, {})\nend",
            "function f(rec, ...)\n  return arg[1]\nend",
        ],
        quiet: &[
            "local unpack = unpack or table.unpack\nfunction f(rec) return (unpack({ 1, 2 })) end",
            "function f(rec) return rec.a ^ 2 end",
        ],
        fixes: true,
    },
    Rule {
        id: "large-data-types",
        level: Level::Error,
        title: "Something of the large data types, which are gone.",
        page: "Large lists, maps, sets and stacks (`llist`, `lmap`, `lset`, `lstack`), their subrecords and their libraries went with server \
               3.15. Lists and maps in bins, and the operations on them, take their place.",
        fires: &[
            "local llist = require(\"llist\")\nreturn llist",
            "function f(rec)\n  aerospike:create_subrec(rec)\nend",
        ],
        quiet: &[
            "function f(rec)\n  local l = rec.l or list()\n  list.append(l, 1)\n  rec.l = l\n  return aerospike:update(rec)\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "sandbox",
        level: Level::Error,
        title: "Something that scripts are kept from: files, processes, native code.",
        page: "There is no `io`, no `dofile` or `loadfile`, no debug library, nothing that searches or loads native code; of `os` there are \
               clock, date, difftime and time. Servers from 8.1.2.2 on keep scripts from the same.",
        fires: &[
            "function f(rec)\n  local h = io.open(\"/tmp/x\")\n  return h\nend",
            "function f(rec)\n  os.execute(\"ls\")\nend",
            "function f(rec)\n  return debug.traceback()\nend",
        ],
        quiet: &["function f(rec)\n  debug(\"a line for the log\")\n  return os.time()\nend"],
        fixes: false,
    },
    Rule {
        id: "global-in-function",
        level: Level::Warning,
        title: "A call writes a global.",
        page: "Globals belong to a Lua state, of which a node has many: what one call leaves, another may find or not, and which one is \
               chance. `asd` takes such changes away when the call ends. Write `local`, or keep it in the record.",
        fires: &[
            "function f(rec)\n  count = 1\n  return count\nend",
            "seen = 0\nfunction f(rec)\n  seen = seen + 1\n  return seen\nend",
        ],
        quiet: &["local limit = 10\nfunction f(rec)\n  local count = limit\n  return count\nend"],
        fixes: false,
    },
    Rule {
        id: "duplicate-function",
        level: Level::Warning,
        title: "A function is defined twice.",
        page: "The second definition takes the place of the first, which nobody can call.",
        fires: &["function f(rec) return 1 end\nfunction f(rec) return 2 end"],
        quiet: &["function f(rec) return 1 end\nfunction g(rec) return 2 end"],
        fixes: false,
    },
    Rule {
        id: "shadowed-name",
        level: Level::Warning,
        title: "A local hides something of the same name that is still meant.",
        page: "Either a library: after `local list = list()`, `list.append` is looked for in the list. Or a variable of the same function \
               that is read again after the block of the inner one, which then keeps what it had.",
        fires: &[
            "function f(rec)\n  local list = rec.l\n  list.append(list, 1)\n  rec.l = list\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  local total = 0\n  if rec.a then\n    local total = rec.a\n    info(\"%d\", total)\n  end\n  return total\nend",
        ],
        quiet: &[
            "local map = {}\nfunction map.keys(t) return t end\nfunction f(rec) return map.keys(1) end",
            "function f(rec)\n  local l = rec.l\n  if rec.a then\n    local l = list()\n    list.append(l, 1)\n    rec.l = l\n  else\n    list.append(l, 2)\n    rec.l = l\n  end\n  return aerospike:update(rec)\nend",
            "function f(rec)\n  local key\n  for i = 1, 3 do\n    local key = rec[i]\n    info(\"%s\", key)\n  end\n  key = rec.a\n  return key\nend",
            "function f(rec)\n  local items = rec.l\n  list.append(items, 1)\n  rec.l = items\n  return aerospike:update(rec)\nend",
        ],
        fixes: false,
    },
    Rule {
        id: "unused-local",
        level: Level::Warning,
        title: "A local that nothing reads.",
        page: "It is left over, or another name was meant where it should have been used. Names that begin with `_` are not reported, nor are \
               parameters, loop variables, some of several \
               results, and the name of the function itself that is kept for lines of the log.",
        fires: &[
            "function f(rec)\n  local count = 1\n  return 2\nend",
            "local function helper(x) return x end\nfunction f(rec) return 1 end",
        ],
        quiet: &[
            "function f(rec)\n  local meth = \"f()\"\n  return 1\nend",
            "function f(rec)\n  local ok, reason = pcall(error, \"x\")\n  local _unused = 1\n  return ok\nend",
        ],
        fixes: false,
    },
];
