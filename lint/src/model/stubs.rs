//! The table of Aerospike's functions as stubs for editors: annotations of the Lua language server.

use super::aerospike::SIGNATURES;

/// Types that the functions take and give.
const TYPES: &str = "\
---@meta
-- What scripts find on an Aerospike server. For editors only: nothing here is registered or run.

---A record: its bins by their names.
---@class Record
---@field [string] any

---@class List
---@field [integer] any

---@class Map
---@field [integer|string] any

---@class Bytes
---@field [integer] integer

---@class GeoJSON

---@class Iterator
local Iterator = {}
---@return boolean
function Iterator:has_next() end
---@return any
function Iterator:next() end

---What a stream UDF gets first, and returns.
---@class Stream
local Stream = {}
---@param keep fun(value: any): boolean
---@return Stream
function Stream:filter(keep) end
---@param change fun(value: any): any
---@return Stream
function Stream:map(change) end
---@param initial any
---@param add fun(total: any, value: any): any
---@return Stream
function Stream:aggregate(initial, add) end
---@param join fun(first: any, second: any): any
---@return Stream
function Stream:reduce(join) end
---@param key fun(value: any): any
---@return Stream
function Stream:groupby(key) end

---@param first number
---@param second number
---@return number
function math.sum(first, second) end
---@param first number
---@param second number
---@return number
function math.product(first, second) end
";

/// Names that are tables; those with a constructor are called as well.
const TABLES: [&str; 7] = [
    "aerospike",
    "record",
    "list",
    "map",
    "bytes",
    "geojson",
    "iterator",
];

/// The stubs, as the text of a Lua file.
#[must_use]
pub(crate) fn editor_stubs() -> String {
    let mut text = TYPES.to_owned();
    let constructor = |name: &str| {
        SIGNATURES
            .lines()
            .find(|line| line.split('(').next() == Some(name))
    };
    for name in TABLES {
        text += &format!("\n---@class {name}lib\n");
        if let Some((parameters, results)) = constructor(name).and_then(parts) {
            text += &format!(
                "---@overload fun({}): {}\n",
                types(parameters),
                types(results)
            );
        }
        text += &format!("{name} = {{}}\n");
    }
    for line in SIGNATURES.lines() {
        let Some(name) = line.split('(').next().filter(|_| line.contains('(')) else {
            continue;
        };
        // The operators of streams and the table of streams are for the server's own use.
        let own = ["stream.", "filter", "transform", "reduce", "aggregate"];
        if TABLES.contains(&name) || own.iter().any(|own| name.starts_with(own)) {
            continue;
        }
        let Some((parameters, results)) = parts(line) else {
            continue;
        };
        text.push('\n');
        let mut names = Vec::new();
        for parameter in parameters.split(", ").filter(|text| !text.is_empty()) {
            if parameter == "..." {
                text += "---@param ... any\n";
                names.push("...");
            } else if let Some((name, kinds)) = parameter.split_once(": ") {
                text += &format!("---@param {name} {}\n", types(kinds));
                names.push(name.trim_end_matches('?'));
            }
        }
        if !results.is_empty() {
            text += &format!("---@return {}\n", types(results));
        }
        text += &format!("function {name}({}) end\n", names.join(", "));
    }
    text
}

/// Parameters and results of a signature.
fn parts(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (_, rest) = line.split_once('(')?;
    let (parameters, results) = rest.rsplit_once(')')?;
    Some((parameters, results.trim_start_matches(": ")))
}

/// Types by the names that the language server knows.
fn types(kinds: &str) -> String {
    kinds
        .replace("index", "integer")
        .replace("Aerospike", "aerospikelib")
}

#[cfg(test)]
mod tests {
    use super::editor_stubs;
    use crate::model::paths;
    use crate::syntax::parse;

    #[test]
    fn stubs_are_lua_and_have_every_function_of_the_server() {
        let text = editor_stubs();
        assert!(parse(text.as_bytes()).is_ok(), "{text}");
        let libraries = ["aerospike:", "record.", "list.", "map.", "bytes."];
        for path in paths().filter(|path| libraries.iter().any(|library| path.starts_with(library)))
        {
            assert!(text.contains(&format!("function {path}(")), "{path}");
        }
        assert!(
            text.contains("---@overload fun(content?: table|nil): List\nlist = {}"),
            "{text}"
        );
    }
}
