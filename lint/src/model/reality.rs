//! What `runtime` really gives to scripts, against the table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;
use runtime::call::{Call, RecordView, Reply};
use runtime::context::{Limits, LuaFactory};
use runtime::host::{Alone, Host, Lane, ScriptLine};
use runtime::module::{Chunk, Modules};

use super::{Entry, find, paths};

#[derive(Debug)]
struct Nobody;

impl Host for Nobody {
    fn unix_ms(&self) -> u64 {
        0
    }

    fn line(&self, _line: &ScriptLine<'_>) {}

    fn warn(&self, _text: &str) {}

    fn lane(&self) -> &'static dyn Lane {
        &Alone
    }
}

struct None;

impl Modules for None {
    fn find(&self, _name: &[u8]) -> Option<Chunk> {
        Option::None
    }
}

/// Lists all names that a script finds, with what each is.
const LISTING: &str = r#"
function names(rec)
  local found = {}
  for name, value in pairs(_G) do
    if type(name) == "string" and name ~= "names" then
      table.insert(found, name .. "=" .. type(value))
      if type(value) == "table" and name ~= "_G" and not name:match("^%u") then
        for member, inner in pairs(value) do
          table.insert(found, name .. "." .. tostring(member) .. "=" .. type(inner))
        end
      end
    end
  end
  for name, inner in pairs(Aerospike) do
    if not name:match("^__") then table.insert(found, "aerospike:" .. name .. "=" .. type(inner)) end
  end
  table.insert(found, "aerospike=" .. type(aerospike))
  return table.concat(found, "\n")
end
"#;

/// What a script answers that lists them.
fn listing() -> String {
    let factory = LuaFactory::new("/udf", false, false, Limits::default(), Arc::new(Nobody));
    let bytecode = factory.compile("m.lua", LISTING.as_bytes()).unwrap();
    let mut context = factory.create("m", &bytecode, Arc::new(None)).unwrap();
    let (outcome, _) = context.run(Call {
        function: b"names",
        arguments: b"",
        record: RecordView {
            digest: Digest([0; 20]),
            set: Option::None,
            key: Option::None,
            stored: Option::None,
            in_memory: true,
            persisted: false,
            write_refusal: Option::None,
        },
        deadline: Instant::now() + Duration::from_secs(60),
        now: 0,
    });
    match outcome.reply {
        Reply::Success(particle) => String::from_utf8_lossy(&particle.data).into_owned(),
        Reply::Failure(text) => panic!("{}", String::from_utf8_lossy(&text)),
    }
}

#[test]
fn scripts_find_what_the_table_says_and_nothing_else() {
    let listing = listing();
    let found: BTreeSet<(&str, &str)> = listing
        .lines()
        .filter_map(|line| line.rsplit_once('='))
        .collect();
    assert!(found.len() > 200, "{}", found.len());
    for (path, kind) in &found {
        let wanted = match find(path) {
            // A row of the modules that are loaded, of any name.
            Option::None if path.starts_with("package.loaded") => continue,
            Option::None => panic!("the table lacks `{path}`, a {kind}"),
            Some(Entry::Function(_)) => "function",
            Some(Entry::Callable(_) | Entry::Library) => "table",
            Some(Entry::Value(_)) => continue,
        };
        assert_eq!(*kind, wanted, "{path}");
    }
    for path in paths() {
        let is_found = found.iter().any(|(name, _)| *name == path);
        // Members of the object are listed by its class.
        assert!(is_found, "scripts do not find `{path}`");
    }
}
