//! What is left of Lua 5.4's library for scripts, and what is not.

/// Functions and values; see [`super::aerospike::SIGNATURES`].
pub(super) const SIGNATURES: &str = "
_G = table
_VERSION = string
assert(value: any, message?: any, ...): any, ...
collectgarbage(option?: string|nil, argument?: number|nil, step?: number|nil, limit?: number|nil): any
error(message?: any, level?: index): never
getmetatable(value: any): any
ipairs(value: table|string|List|Map|Bytes|Record): function, any, integer
load(chunk: string|function, name?: string|nil, mode?: string|nil, environment?: any): function|nil, string|nil
next(table: table, key?: any): any, any
pairs(table: table): function, table, nil
pcall(call: any, ...): boolean, any, ...
print(...)
rawequal(first: any, second: any): boolean
rawget(table: table, key: any): any
rawlen(value: table|string): integer
rawset(table: table, key: any, value: any): table
require(name: string): any, ...
select(from: integer|string, ...): any, ...
setmetatable(table: table, metatable: table|nil): table
tonumber(value: any, base?: index): number|nil
tostring(value: any): string
type(value: any): string
xpcall(call: any, handler: function, ...): boolean, any, ...

coroutine.close(thread: thread): boolean, any, ...
coroutine.create(call: function): thread
coroutine.isyieldable(thread?: thread): boolean
coroutine.resume(thread: thread, ...): boolean, any, ...
coroutine.running(): thread, boolean
coroutine.status(thread: thread): string
coroutine.wrap(call: function): function
coroutine.yield(...): any, ...

math.abs(x: number): number
math.acos(x: number): float
math.asin(x: number): float
math.atan(y: number, x?: number|nil): float
math.ceil(x: number): number
math.cos(x: number): float
math.deg(x: number): float
math.exp(x: number): float
math.floor(x: number): number
math.fmod(x: number, y: number): number
math.huge = float
math.log(x: number, base?: number|nil): float
math.max(x: number, ...): number
math.maxinteger = integer
math.min(x: number, ...): number
math.mininteger = integer
math.modf(x: number): float, float
math.pi = float
math.product(first: any, second: any): any
math.rad(x: number): float
math.random(first?: integer, last?: integer): number
math.randomseed(first?: number, second?: integer): integer, integer
math.sin(x: number): float
math.sqrt(x: number): float
math.sum(first: any, second: any): any
math.tan(x: number): float
math.tointeger(x: any): integer|nil
math.type(x: any): string|nil
math.ult(first: integer, second: integer): boolean

os.clock(): float
os.date(format?: string|nil, time?: index): string|table
os.difftime(later: number, earlier: number): float
os.time(time?: table|nil): integer

package.cpath = string
package.loaded = table
package.path = string
package.preload = table

string.byte(text: string|number, first?: index, last?: index): integer|nil, ...
string.char(...): string
string.dump(call: function, strip?: any): string
string.find(text: string|number, pattern: string|number, from?: index, plain?: any): integer|nil, integer|nil, ...
string.format(format: string|number, ...): string
string.gmatch(text: string|number, pattern: string|number, from?: index): function
string.gsub(text: string|number, pattern: string|number, replacement: string|number|table|function, most?: index): string, integer
string.len(text: string|number): integer
string.lower(text: string|number): string
string.match(text: string|number, pattern: string|number, from?: index): any, ...
string.pack(format: string|number, ...): string
string.packsize(format: string|number): integer
string.rep(text: string|number, times: integer, between?: string|number|nil): string
string.reverse(text: string|number): string
string.sub(text: string|number, first: integer, last?: index): string
string.unpack(format: string|number, text: string|number, from?: index): any, ...
string.upper(text: string|number): string

table.concat(table: table|List|Map, between?: string|number|nil, first?: index, last?: index): string
table.insert(table: table|List|Map, position_or_value: any, value?: any)
table.move(table: table|List|Map, first: integer, last: integer, to: integer, other?: table|List|Map|nil): any
table.pack(...): table
table.remove(table: table|List|Map, position?: index): any
table.sort(table: table|List|Map, before?: function|nil)
table.unpack(table: table|List|Map|Bytes, first?: index, last?: index): any, ...

utf8.char(...): string
utf8.charpattern = string
utf8.codepoint(text: string|number, first?: index, last?: index, lax?: any): integer, ...
utf8.codes(text: string|number, lax?: any): function, string, integer
utf8.len(text: string|number, first?: index, last?: index, lax?: any): integer|nil, integer
utf8.offset(text: string|number, n: integer, from?: index): integer|nil
";

/// Names of Lua 5.1 to 5.3 and `LuaJIT` that are gone: what to write instead. `{}` in a fix stands for the name itself.
pub(super) const GONE: [(&str, &str); 29] = [
    (
        "setfenv",
        "`load` takes an environment as its fourth argument",
    ),
    ("getfenv", "the environment of a chunk is its `_ENV`"),
    ("unpack", "write `table.unpack`"),
    ("loadstring", "write `load`"),
    ("module", "return a table at the end of the module instead"),
    (
        "arg",
        "what `...` stands for is in `{ ... }`, and their number is `select(\"#\", ...)`",
    ),
    ("gcinfo", "write `collectgarbage(\"count\")`"),
    ("newproxy", "use a table with a metatable"),
    ("bit32", "Lua has the operators & | ~ << >>"),
    ("bit", "Lua has the operators & | ~ << >>"),
    ("jit", "the server has run Lua 5.4 since version 7"),
    ("ffi", "the server has run Lua 5.4 since version 7"),
    ("table.foreach", "write a loop over `pairs`"),
    ("table.foreachi", "write a loop over `ipairs`"),
    ("table.getn", "write `#` before the table"),
    ("table.setn", "tables have no length of their own"),
    ("table.maxn", "write a loop over `pairs`"),
    ("table.new", "write `{}`"),
    ("math.pow", "write `x ^ y`"),
    ("math.mod", "write `math.fmod`, or `x % y`"),
    ("math.log10", "write `math.log(x, 10)`"),
    ("math.cosh", "write `(math.exp(x) + math.exp(-x)) / 2`"),
    ("math.sinh", "write `(math.exp(x) - math.exp(-x)) / 2`"),
    ("math.tanh", "write it with `math.exp`"),
    ("math.frexp", "write it with `math.log`"),
    ("math.ldexp", "write `x * 2.0 ^ y`"),
    ("math.atan2", "`math.atan` takes two arguments"),
    ("string.gfind", "write `string.gmatch`"),
    ("coroutine.isrunning", "write `coroutine.isyieldable`"),
];

/// What replaces a name that is gone, where that is all there is to it.
pub(super) const RENAMED: [(&str, &str); 6] = [
    ("unpack", "table.unpack"),
    ("loadstring", "load"),
    ("math.atan2", "math.atan"),
    ("math.mod", "math.fmod"),
    ("string.gfind", "string.gmatch"),
    ("coroutine.isrunning", "coroutine.isyieldable"),
];

/// What scripts are kept from: files, processes, native code.
pub(super) const KEPT_AWAY: [&str; 15] = [
    "dofile",
    "loadfile",
    "io.*",
    "os.execute",
    "os.exit",
    "os.getenv",
    "os.remove",
    "os.rename",
    "os.setlocale",
    "os.tmpname",
    "package.config",
    "package.loadlib",
    "package.searchers",
    "package.searchpath",
    "debug.*",
];

/// What the library of large data types gave, which servers lost with version 3.15.
pub(super) const LARGE_DATA_TYPES: [&str; 21] = [
    "aerospike:crec_create",
    "aerospike:crec_close",
    "aerospike:crec_open",
    "aerospike:crec_remove",
    "aerospike:crec_update",
    "aerospike:create_subrec",
    "aerospike:close_subrec",
    "aerospike:open_subrec",
    "aerospike:update_subrec",
    "aerospike:remove_subrec",
    "aerospike:get_subrec",
    "record.set_type",
    "record.set_flags",
    "record.get_type",
    "record.set_bin_type",
    "record.set_bin_flags",
    "record.numsubrecs",
    "record.settype",
    "record.setbintype",
    "record.set_ldt_flag",
    "record.get_ldt_flag",
];

/// Modules of that library.
pub(super) const LARGE_DATA_MODULES: [&str; 22] = [
    "llist",
    "lmap",
    "lset",
    "lstack",
    "ldt",
    "ldt_common",
    "ldt_errors",
    "ldt_stats",
    "ldt_blob",
    "CRC32",
    "lib_llist",
    "lib_lmap",
    "lib_lset",
    "lib_lstack",
    "settings_llist",
    "settings_lmap",
    "settings_lset",
    "settings_lstack",
    "UdfFunctionTable",
    "StreamOps",
    "transform",
    "LdtDefaults",
];
