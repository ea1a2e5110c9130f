//! Help: one table of statements, from which the texts, the hints and the completion come.

use std::io;

use crate::settings;
use crate::show::Printer;

/// What a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Changes records, indexes or modules.
    Manage,
    /// Finds records.
    Query,
    /// Tells of the cluster.
    Info,
    /// Changes the session.
    Settings,
}

/// A statement's forms.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its first word.
    pub word: &'static str,
    /// What it is for.
    pub group: Group,
    /// A line a form.
    pub forms: &'static [&'static str],
}

/// All statements.
pub const TABLE: &[Entry] = &[
    Entry {
        word: "INSERT",
        group: Group::Manage,
        forms: &["INSERT INTO <ns>[.<set>] (PK, <bins>) VALUES (<key>, <values>)"],
    },
    Entry {
        word: "DELETE",
        group: Group::Manage,
        forms: &[
            "DELETE FROM <ns>[.<set>] WHERE PK = <key> | DIGEST = '<hex>' | EDIGEST = '<base64>'",
        ],
    },
    Entry {
        word: "EXECUTE",
        group: Group::Manage,
        forms: &[
            "EXECUTE <module>.<function>(<args>) ON <ns>[.<set>] WHERE PK = <key>",
            "EXECUTE <module>.<function>(<args>) ON <ns>[.<set>] [[IN LIST | MAPKEYS | MAPVALUES] WHERE <bin> = <value> | <bin> BETWEEN <lower> AND <upper>]",
        ],
    },
    Entry {
        word: "REGISTER",
        group: Group::Manage,
        forms: &["REGISTER MODULE '<path>'"],
    },
    Entry {
        word: "REMOVE",
        group: Group::Manage,
        forms: &["REMOVE MODULE <file>"],
    },
    Entry {
        word: "CREATE",
        group: Group::Manage,
        forms: &[
            "CREATE INDEX <index> ON <ns>[.<set>] (<bin>) NUMERIC | STRING | GEO2DSPHERE",
            "CREATE LIST | MAPKEYS | MAPVALUES INDEX <index> ON <ns>[.<set>] (<bin>) NUMERIC | STRING | GEO2DSPHERE",
            "CREATE USER <user> PASSWORD <password> ROLE[S] <roles>",
            "CREATE ROLE <role> PRIVILEGE[S] <privileges> [WHITELIST <addresses>]",
        ],
    },
    Entry {
        word: "DROP",
        group: Group::Manage,
        forms: &[
            "DROP INDEX <ns>[.<set>] <index>",
            "DROP USER <user>",
            "DROP ROLE <role>",
        ],
    },
    Entry {
        word: "GRANT",
        group: Group::Manage,
        forms: &[
            "GRANT ROLE[S] <roles> TO <user>",
            "GRANT PRIVILEGE[S] <privileges> TO <role>",
        ],
    },
    Entry {
        word: "REVOKE",
        group: Group::Manage,
        forms: &[
            "REVOKE ROLE[S] <roles> FROM <user>",
            "REVOKE PRIVILEGE[S] <privileges> FROM <role>",
        ],
    },
    Entry {
        word: "TRUNCATE",
        group: Group::Manage,
        forms: &["TRUNCATE <ns>[.<set>] [UPTO <nanoseconds> | '<Mon dd yyyy hh:mm:ss>']"],
    },
    Entry {
        word: "SELECT",
        group: Group::Query,
        forms: &[
            "SELECT * | <bins> FROM <ns>[.<set>] [LIMIT <n>]",
            "SELECT * | <bins> FROM <ns>[.<set>] WHERE PK = <key> | DIGEST = '<hex>' | EDIGEST = '<base64>'",
            "SELECT * | <bins> FROM <ns>[.<set>] [IN LIST | MAPKEYS | MAPVALUES] WHERE <bin> = <value> [LIMIT <n>]",
            "SELECT * | <bins> FROM <ns>[.<set>] [IN LIST | MAPKEYS | MAPVALUES] WHERE <bin> BETWEEN <lower> AND <upper> [LIMIT <n>]",
            "SELECT * | <bins> FROM <ns>[.<set>] [IN LIST | MAPKEYS | MAPVALUES] WHERE <bin> WITHIN | CONTAINS CAST('<json>' AS GEOJSON) [LIMIT <n>]",
            "SELECT * | <bins> FROM <ns>[.<set>] WHERE <bin> = <value> AND <bin> = <value> [LIMIT <n>]",
        ],
    },
    Entry {
        word: "AGGREGATE",
        group: Group::Query,
        forms: &[
            "AGGREGATE <module>.<function>(<args>) ON <ns>[.<set>] [[IN LIST | MAPKEYS | MAPVALUES] WHERE <bin> = <value> | <bin> BETWEEN <lower> AND <upper>]",
        ],
    },
    Entry {
        word: "EXPLAIN",
        group: Group::Query,
        forms: &["EXPLAIN SELECT * FROM <ns>[.<set>] WHERE PK = <key>"],
    },
    Entry {
        word: "SHOW",
        group: Group::Info,
        forms: &[
            "SHOW NAMESPACES",
            "SHOW SETS",
            "SHOW BINS",
            "SHOW MODULES",
            "SHOW INDEXES [<ns>]",
            "SHOW USERS [<user>]",
            "SHOW ROLES [<role>]",
        ],
    },
    Entry {
        word: "DESC",
        group: Group::Info,
        forms: &["DESC MODULE <file>"],
    },
    Entry {
        word: "STAT",
        group: Group::Info,
        forms: &["STAT SYSTEM | NAMESPACE <ns> | INDEX <ns> <index>"],
    },
    Entry {
        word: "ASINFO",
        group: Group::Info,
        forms: &["ASINFO '<command>'"],
    },
    Entry {
        word: "KILL_QUERY",
        group: Group::Info,
        forms: &["KILL_QUERY <id>"],
    },
    Entry {
        word: "KILL_SCAN",
        group: Group::Info,
        forms: &["KILL_SCAN <id>"],
    },
    Entry {
        word: "SET",
        group: Group::Settings,
        forms: &[
            "SET <setting> <value>",
            "SET PASSWORD <password> [FOR <user>]",
            "SET WHITELIST <addresses> FOR <role>",
        ],
    },
    Entry {
        word: "GET",
        group: Group::Settings,
        forms: &["GET <setting> | ALL"],
    },
    Entry {
        word: "RESET",
        group: Group::Settings,
        forms: &["RESET <setting>"],
    },
    Entry {
        word: "RUN",
        group: Group::Settings,
        forms: &["RUN '<file>'"],
    },
    Entry {
        word: "PRINT",
        group: Group::Settings,
        forms: &["PRINT <text>"],
    },
    Entry {
        word: "SYSTEM",
        group: Group::Settings,
        forms: &["SYSTEM <command>"],
    },
    Entry {
        word: "HELP",
        group: Group::Settings,
        forms: &["HELP [<statement>]"],
    },
    Entry {
        word: "EXIT",
        group: Group::Settings,
        forms: &["EXIT | QUIT | Q"],
    },
];

fn heading(group: Group) -> &'static str {
    match group {
        Group::Manage => "MANAGE (DML, UDFS, INDEXES)",
        Group::Query => "QUERY",
        Group::Info => "INFO",
        Group::Settings => "SETTINGS",
    }
}

/// The lines that every help and `--version` begin with.
#[must_use]
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("Aerospike Query Client\nVersion {version}\nBuild {version}\n")
}

/// Forms of all statements, or of those of one group.
#[must_use]
pub fn statements(of: Option<Group>) -> String {
    let mut text = String::new();
    for group in [Group::Manage, Group::Query, Group::Info, Group::Settings] {
        if of.is_some_and(|of| of != group) {
            continue;
        }
        text += &format!("\n  {}\n", heading(group));
        for form in TABLE
            .iter()
            .filter(|entry| entry.group == group)
            .flat_map(|entry| entry.forms)
        {
            text += &format!("      {form}\n");
        }
        if group == Group::Settings {
            text.push('\n');
            for setting in settings::TABLE {
                text += &format!("      {:<24} {}\n", setting.name, setting.help);
            }
        }
    }
    if of.is_none_or(|of| of == Group::Manage) {
        text += "\n      Values are numbers, 'text', true, false, NULL, and CAST(<value> AS <type>) or <type>(<value>),\n      with the types ";
        text += &crate::language::value::type_names()
            .collect::<Vec<_>>()
            .join(", ");
        text += ".\n";
    }
    text
}

/// Prints the help of a word, or all of it.
///
/// # Errors
/// Nobody reads it.
pub fn print(word: Option<&str>, printer: &mut Printer<'_>) -> io::Result<()> {
    let group = match word {
        None => None,
        Some(word) => match TABLE
            .iter()
            .find(|entry| entry.word.eq_ignore_ascii_case(word))
        {
            Some(entry) => Some(entry.group),
            None => {
                printer.failed = true;
                return printer.text(&format!("\nERROR: 404: COMMAND NOT FOUND : {word}\n"));
            }
        },
    };
    if word.is_none() {
        printer.text(&version())?;
    }
    printer.text(&statements(group))?;
    printer.text("\n")
}

/// Words that can stand in statements, besides their first ones.
pub const WORDS: &[&str] = &[
    "INTO",
    "VALUES",
    "FROM",
    "WHERE",
    "AND",
    "BETWEEN",
    "WITHIN",
    "CONTAINS",
    "LIMIT",
    "IN",
    "LIST",
    "MAPKEYS",
    "MAPVALUES",
    "PK",
    "DIGEST",
    "EDIGEST",
    "ON",
    "MODULE",
    "MODULES",
    "NAMESPACES",
    "SETS",
    "BINS",
    "INDEXES",
    "INDEX",
    "SYSTEM",
    "NAMESPACE",
    "NUMERIC",
    "STRING",
    "GEO2DSPHERE",
    "UPTO",
    "TRUE",
    "FALSE",
    "NULL",
    "CAST",
    "AS",
    "ALL",
];

/// The first word of a statement that was likely meant: at most two letters away.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static str> {
    tools::suggest::nearest(&word.to_uppercase(), TABLE.iter().map(|entry| entry.word))
}

/// The word that was likely meant by one that does not fit in a statement.
#[must_use]
pub fn nearest_inside(statement: &str, word: &str) -> Option<&'static str> {
    let first = statement.split_whitespace().next().unwrap_or("");
    let is_setting = ["SET", "GET", "RESET"]
        .iter()
        .any(|setting| first.eq_ignore_ascii_case(setting));
    let settings = settings::TABLE
        .iter()
        .filter(|_| is_setting)
        .map(|setting| setting.name);
    let statements = TABLE.iter().map(|entry| entry.word);
    let known = WORDS.iter().copied().chain(settings).chain(statements);
    tools::suggest::nearest(&word.to_uppercase(), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_words_are_found() {
        for (word, meant) in [
            ("selct", Some("SELECT")),
            ("showw", Some("SHOW")),
            ("nonsense", None),
            ("exekute", Some("EXECUTE")),
            ("q", None),
        ] {
            assert_eq!(nearest(word), meant, "{word}");
        }
        for (statement, word, meant) in [
            ("select * form test", "form", Some("FROM")),
            ("show modlues", "modlues", Some("MODULES")),
            ("set ecoh true", "ecoh", Some("ECHO")),
            ("select ecoh from test", "ecoh", None),
            ("explain selcet", "selcet", Some("SELECT")),
        ] {
            assert_eq!(nearest_inside(statement, word), meant, "{statement}");
        }
    }
}
