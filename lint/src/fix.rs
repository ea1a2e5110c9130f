//! Mends what can be mended without changing anything else.

use protocol::bounds::Within as _;

use crate::report::Checked;
use crate::syntax::tree::Span;

/// The text with the fixes of all findings done; and how many. Fixes that touch each other are left for the next time.
#[must_use]
pub fn fix(text: &[u8], checked: &Checked) -> (Vec<u8>, usize) {
    let mut fixed = Vec::with_capacity(text.len());
    let mut done = 0;
    let mut at = 0;
    let mut fixes: Vec<_> = checked
        .findings
        .iter()
        .filter_map(|finding| finding.fix.as_ref())
        .collect();
    fixes.sort_by_key(|fix| fix.edits.first().map(|(span, _)| *span));
    for fix in fixes {
        let starts = fix.edits.first().map_or(0, |(span, _)| span.start);
        if starts < at {
            continue;
        }
        for (Span { start, end }, new) in &fix.edits {
            fixed.extend(text.within(at..*start));
            fixed.extend(new.as_bytes());
            at = *end;
        }
        done += 1;
    }
    fixed.extend(text.within(at..));
    (fixed, done)
}
