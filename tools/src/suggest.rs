//! What may have been meant by a word that is not known.

/// How far a word may be from what was meant: letters added, dropped, changed, or swapped with their neighbour.
const DISTANCE_MAX: usize = 2;

/// Info commands by name, of servers that are in use.
const INFO_COMMANDS: &[&str] = &[
    "admin-clear-std",
    "best-practices",
    "build",
    "cluster-name",
    "cluster-stable",
    "connection",
    "edition",
    "feature-key",
    "get-config",
    "get-stats",
    "health-outliers",
    "health-stats",
    "histogram",
    "latencies",
    "log-set",
    "logs",
    "masking-show",
    "namespace",
    "namespaces",
    "node",
    "partition-generation",
    "partition-info",
    "peers-clear-alt",
    "peers-clear-std",
    "peers-generation",
    "peers-tls-std",
    "query-abort",
    "query-abort-all",
    "query-show",
    "quiesce",
    "quiesce-undo",
    "rack-ids",
    "racks",
    "recluster",
    "release",
    "revive",
    "roster",
    "roster-set",
    "service-clear-alt",
    "service-clear-std",
    "service-tls-std",
    "services",
    "set-config",
    "sets",
    "sindex-create",
    "sindex-delete",
    "sindex-exists",
    "sindex-list",
    "sindex-stat",
    "statistics",
    "status",
    "tip",
    "tip-clear",
    "truncate",
    "truncate-namespace",
    "truncate-namespace-undo",
    "truncate-undo",
    "udf-clear-cache",
    "udf-get",
    "udf-list",
    "udf-put",
    "udf-remove",
    "user-agents",
    "version",
];

/// The known word that is nearest, if one is near. A word of one or two letters is near nothing.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    known
        .into_iter()
        .filter(|name| *name != word)
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| {
            *distance <= DISTANCE_MAX && *distance < length.min(name.chars().count())
        })
        .filter(|_| length > DISTANCE_MAX)
        .min()
        .map(|(_, name)| name)
}

/// Whether an answer says that there is no such info command.
pub fn is_unknown(answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    answer.starts_with("error")
        && (answer.contains("unrecognized") || answer.contains("unknown command"))
}

/// The info command whose name is nearest to that of this one.
pub fn info_command(command: &str) -> Option<&'static str> {
    let name = command.split([':', '/', ';']).next().unwrap_or(command);
    if INFO_COMMANDS.contains(&name) {
        return None;
    }
    nearest(name, info_commands())
}

/// Names of info commands.
pub fn info_commands() -> impl Iterator<Item = &'static str> {
    INFO_COMMANDS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        for (word, expected) in [
            ("wiht", Some("with")),
            ("lik", Some("like")),
            ("head", None),
            ("|", None),
            ("fo", None),
            ("with", None),
        ] {
            assert_eq!(nearest(word, ["with", "like", "for"]), expected, "{word}");
        }
        for (command, expected) in [
            ("udf-lst", Some("udf-list")),
            ("staus", Some("status")),
            ("udf-clear-cahe:", Some("udf-clear-cache")),
            ("namespaces/test", None),
            ("nosuch", None),
        ] {
            assert_eq!(info_command(command), expected, "{command}");
        }
    }
}
