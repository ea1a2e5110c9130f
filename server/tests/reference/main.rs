//! `REFERENCE.md` is written from the tables of info commands and settings, so that it cannot disagree with them.
//!
//! After a change of a table: `UPDATE_REFERENCE=1 cargo test -p server --test reference`.

use std::path::Path;

use server::access::Permission;
use server::config::consequence;
use server::config::table::{SECTIONS, Section};
use server::config::{Change, Setting, SettingKind, Support};
use server::info::{Class, InfoCommand, table};

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn class(command: &InfoCommand) -> &'static str {
    match command.class {
        Class::Works => "",
        Class::Legacy => "older form",
        Class::Absent => "nothing to report",
        Class::Enterprise => "`ERROR:25:enterprise only`",
    }
}

fn permission(command: &InfoCommand) -> &'static str {
    match command.permission {
        Permission::None => "",
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::ReadWrite => "read-write",
        Permission::ReadWriteUdf => "read-write-udf",
        Permission::UdfAdmin => "udf-admin",
        Permission::SindexAdmin => "sindex-admin",
        Permission::Truncate => "truncate",
        Permission::SysAdmin => "sys-admin",
    }
}

fn values(kind: SettingKind) -> String {
    let range = |min: u64, max: u64, unit: &str| {
        let max = match max {
            u64::MAX => "…".to_owned(),
            max => max.to_string(),
        };
        format!("{min}–{max}{unit}")
    };
    match kind {
        SettingKind::Flag => "`true`, `false`".to_owned(),
        SettingKind::Number { min, max } => range(min, max, ""),
        SettingKind::Bytes { min, max } => range(min, max, " bytes"),
        SettingKind::Seconds { min, max } => range(min, max, " s"),
        SettingKind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        SettingKind::Text => "a word".to_owned(),
        SettingKind::List => "words, a line each".to_owned(),
    }
}

fn heading(section: Section) -> &'static str {
    match section {
        Section::Service => "service { }",
        Section::Network => "network { }",
        Section::Namespace => "namespace NAME { }",
        Section::Set => "set NAME { } in a namespace",
        Section::ModLua => "mod-lua { }",
    }
}

fn settings(out: &mut String, section: Section, settings: &[Setting]) {
    out.push_str("| setting | values | default | dynamic | what it does |\n| --- | --- | --- | --- | --- |\n");
    // Settings by what becomes of them, in the order of the table.
    let mut reported: Vec<(&str, Vec<String>)> = Vec::new();
    for setting in settings {
        match setting.support {
            Support::Reported => {
                let sentence = consequence::of(section, setting.name).unwrap_or("?");
                match reported.iter_mut().find(|(of, _)| *of == sentence) {
                    Some((_, names)) => names.push(format!("`{}`", setting.name)),
                    None => reported.push((sentence, vec![format!("`{}`", setting.name)])),
                }
            }
            Support::Works(sentence) => {
                let default = match setting.default {
                    "" => String::new(),
                    default => format!("`{default}`"),
                };
                let dynamic = match setting.change {
                    Change::Dynamic => "yes",
                    Change::Static => "",
                };
                out.push_str(&format!(
                    "| `{}` | {} | {default} | {dynamic} | {} |\n",
                    setting.name,
                    values(setting.kind),
                    cell(sentence)
                ));
            }
        }
    }
    if !reported.is_empty() {
        out.push_str("\n| kept and reported, without effect | because |\n| --- | --- |\n");
        for (sentence, names) in reported {
            out.push_str(&format!("| {} | {} |\n", names.join(", "), cell(sentence)));
        }
    }
}

fn reference() -> String {
    let mut out = String::from(
        "# Info commands and settings\n\n\
         Written by `UPDATE_REFERENCE=1 cargo test -p server --test reference` from the tables in `server/src/info/table.rs`\n\
         and `server/src/config/table.rs`; a test fails when it is stale.\n\n\
         ## Info commands\n\n\
         `asinfo -v COMMAND`. The last column is what a user would need; without security everyone has it.\n\n\
         | command | parameters and meaning | | permission |\n| --- | --- | --- | --- |\n",
    );
    for command in table() {
        out.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            command.name,
            cell(command.help),
            class(command),
            permission(command)
        ));
    }
    out.push_str(
        "\n## Settings\n\n\
         The grammar and the names are those of `aerospike.conf`; `asd --print-default-config` prints a commented file to\n\
         start from. Numbers take `K M G T P`, times `s m h d`. Unknown keys, and what cannot be\n\
         served (`security`, TLS, strong consistency), are refused with file, line and key; keys that have no effect here are\n\
         accepted, and each has a line with its consequence in the log of the start. `dynamic`: `set-config` changes it while the server runs.\n",
    );
    for (section, table) in SECTIONS {
        out.push_str(&format!("\n### `{}`\n\n", heading(*section)));
        settings(&mut out, *section, table);
    }
    out
}

#[test]
fn reference_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("REFERENCE.md");
    let expected = reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "REFERENCE.md is stale: run `UPDATE_REFERENCE=1 cargo test -p server --test reference`"
    );
}
