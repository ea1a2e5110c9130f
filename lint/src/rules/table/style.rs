//! Rules about what is left over.

use super::Rule;
use crate::finding::Level;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "unreachable",
    level: Level::Warning,
    title: "Code that is never reached.",
    page: "It stands after something that never goes on: `do return end`, `error(…)`, a branch that returns on all ways, an endless loop.\n\nA `return` right \
           after `error(…)` is left alone.",
    fires: &[
        "function f(rec)\n  do return 1 end\n  info(\"never\")\nend",
        "function f(rec)\n  error(\"no\")\n  info(\"never\")\nend",
        "function f(rec)\n  if rec.a then return 1 else return 2 end\n  return 3\nend",
    ],
    quiet: &[
        "function f(rec)\n  if rec.a then return 1 end\n  return 2\nend",
        "function f(rec)\n  if rec.a then\n    error(\"no\")\n    return 1\n  end\n  return 2\nend",
        "function f(rec)\n  while true do if rec.a then break end end\n  return 1\nend",
    ],
    fixes: false,
}];
