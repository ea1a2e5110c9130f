//! Failures that nobody hears of: a value put in the place of one that could not be had, with no word about why.

use crate::Workspace;

/// Directories of a member that hold what is shipped, and files there that only tests read.
const SHIPPED: &str = "/src/";
const ONLY_TESTS: [&str; 3] = ["tests.rs", "_tests.rs", "fuzz.rs"];

/// Members that are tests themselves.
const TESTS: [&str; 2] = ["tests", "architecture"];

/// Lines above a place in which its reason may stand.
const NEAR: usize = 4;

/// Adds what is passed over in silence, one a line: place, then what to say instead.
pub(crate) fn silent_defaults(workspace: &Workspace, findings: &mut Vec<String>) {
    let members = workspace.members.iter();
    let shipped = members.filter(|(name, _)| !TESTS.contains(&name.as_str()));
    for (path, text) in shipped.flat_map(|(_, member)| &member.files) {
        let is_test = ONLY_TESTS.iter().any(|end| path.ends_with(end)) || path.contains("/tests/");
        if is_test || !path.contains(SHIPPED) || path.ends_with("/bounds.rs") {
            continue;
        }
        let lines: Vec<&str> = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .collect();
        for at in 0..lines.len() {
            if let Some(advice) = silence(&lines, at) {
                findings.push(format!("{path}:{}: {advice}", at + 1));
            }
        }
    }
}

/// What to say in this line, where something is passed over.
fn silence(lines: &[&str], at: usize) -> Option<&'static str> {
    let line = lines.get(at)?.trim();
    let advice = if line.starts_with("let _ =") && !into_text(line) {
        "`let _ =` says in a comment why the failure does not matter"
    } else if line.contains("::MAX)") && statement(lines, at).contains("try_from(") {
        "`fit` or `at_most` of `protocol::bounds` say whether the number can be too large"
    } else if line.contains(".unwrap_or_default()") && is_part(&statement(lines, at)) {
        "`within` of `protocol::bounds` says that the part is there"
    } else if ["// The same.", "/// The same."].contains(&line) {
        "a comment says what the thing is"
    } else {
        return None;
    };
    let has_reason = line.contains(" // ") || {
        let before = lines.iter().take(at).rev().take(NEAR);
        let same_statement = |above: &&&str| {
            let above = above.trim();
            above.starts_with("//") || above.starts_with("let _ =") || !above.ends_with([';', '}'])
        };
        before
            .take_while(same_statement)
            .any(|above| above.trim().starts_with("//"))
    };
    (!has_reason || line.ends_with("The same.")).then_some(advice)
}

/// Text and bytes in memory take whatever is written; the programs' own output tells its failures where it is made.
fn into_text(line: &str) -> bool {
    line.contains("write!(") || line.contains("writeln!(")
}

/// The statement that ends in this line, as far as it is near.
fn statement(lines: &[&str], at: usize) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for line in lines.iter().take(at + 1).rev().take(NEAR) {
        let line = line.trim();
        if !parts.is_empty() && line.ends_with([';', '{', '}']) {
            break;
        }
        parts.push(line);
    }
    parts.reverse();
    parts.concat()
}

/// It takes a part of a text or of bytes.
fn is_part(statement: &str) -> bool {
    let before = statement.split(".unwrap_or_default()").next();
    before
        .and_then(|before| before.rsplit_once(".get("))
        .is_some_and(|(_, range)| range.contains("..") && range.ends_with(')'))
}
