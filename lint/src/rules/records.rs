//! Names of bins.

use super::Module;
use crate::finding::Findings;
use crate::model::kinds::Kinds;
use crate::syntax::tree::Shape;

/// Longest name of a bin, bytes.
const LONGEST: usize = 15;

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for (_, expression) in facts.tree.all() {
        let Shape::Index { object, key } = &expression.shape else {
            continue;
        };
        if facts.kinds(*object) != Kinds::RECORD {
            continue;
        }
        if let Some(name) = facts.constant_text(*key)
            && name.len() > LONGEST
        {
            let text = format!(
                "the bin name `{}` has {} bytes, {LONGEST} is the most: it reads nil, and what is written to it is lost",
                String::from_utf8_lossy(name),
                name.len()
            );
            found.add("bin-name", facts.tree.span(*key), text);
        }
    }
}
