//! The section `[aql]` of `astools.conf`, and the mistakes of files in this program's words. The section `[cluster]` is read
//! by the tools' own reader.

use std::fs;
use std::path::{Path, PathBuf};

use tools::config::{CLUSTER, KeyKind, Sources};

use crate::settings::{Mode, Settings};

/// How deep files may include each other.
const DEPTH_MAX: usize = 3;

/// Keys of `[aql]`.
const KEYS: [&str; 6] = [
    "threadpoolsize",
    "outputmode",
    "outputtypes",
    "timeout",
    "socket-timeout",
    "udfuser",
];

/// Keys of `[cluster]` that only this program knows.
const MORE_CLUSTER_KEYS: [&str; 1] = ["tls-cert-blacklist"];

/// Reads the files into the settings.
///
/// # Errors
/// What is wrong with one of them, in the original's words, with its line feed.
pub(crate) fn read(sources: &Sources, settings: &mut Settings) -> Result<(), String> {
    for path in sources.defaults.iter().chain(&sources.named) {
        file(path, 0, sources.instance.as_deref(), settings)?;
    }
    Ok(())
}

fn file(
    path: &Path,
    level: usize,
    instance: Option<&str>,
    settings: &mut Settings,
) -> Result<(), String> {
    // Files need not be there.
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(());
    };
    let place = format!("in file [{level}:{}]\n", path.display());
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .map_or("", |span| text.get(..span.start).unwrap_or(""));
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or("");
        let what = if line.contains('=') {
            "invalid key"
        } else {
            "missing ="
        };
        format!("Parse error `line {number}: {what}` {place}")
    })?;
    if let Some(include) = table.get("include").and_then(toml::Value::as_table) {
        for (key, value) in include {
            let target = value.as_str().map(PathBuf::from);
            match (key.as_str(), target) {
                ("file", Some(target)) if level < DEPTH_MAX => {
                    file(&target, level + 1, instance, settings)?;
                }
                ("directory", Some(target)) if level < DEPTH_MAX => {
                    let Ok(entries) = fs::read_dir(&target) else {
                        continue;
                    };
                    let mut paths: Vec<PathBuf> = entries
                        .filter_map(Result::ok)
                        .map(|entry| entry.path())
                        .collect();
                    paths.sort();
                    for path in paths {
                        file(&path, level + 1, instance, settings)?;
                    }
                }
                ("file" | "directory", _) => {}
                _ => {
                    return Err(format!(
                        "Unknown parameter `{key}` in `include` section.\nParse error `` {place}"
                    ));
                }
            }
        }
    }
    let named = |section: &str| {
        let of_instance = instance.and_then(|instance| table.get(&format!("{section}_{instance}")));
        of_instance.and_then(toml::Value::as_table)
    };
    let cluster = match instance {
        Some(_) => named("cluster"),
        None => table.get("cluster").and_then(toml::Value::as_table),
    };
    for (key, value) in cluster.into_iter().flatten() {
        if MORE_CLUSTER_KEYS.contains(&key.as_str()) {
            continue;
        }
        let known = CLUSTER.keys.iter().find(|(name, _)| name == key);
        let what = match known {
            None => Some(format!("Unknown parameter `{key}` in `cluster` section.")),
            Some((_, kind)) if !fits(*kind, value) => Some(format!(
                "Invalid parameter value for `{key}` in `cluster` section."
            )),
            Some(_) => None,
        };
        if let Some(what) = what {
            return Err(format!("Parse error `{what}\n` {place}"));
        }
    }
    let own = named("aql").or_else(|| table.get("aql").and_then(toml::Value::as_table));
    for (key, value) in own.into_iter().flatten() {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!(
                "Unknown parameter `{key}` in `aql` section\nParse error `` {place}"
            ));
        }
        set(key, value, settings).ok_or_else(|| {
            format!("Invalid parameter value for `{key}` in `aql` section\nParse error `` {place}")
        })?;
    }
    Ok(())
}

fn fits(kind: KeyKind, value: &toml::Value) -> bool {
    match kind {
        KeyKind::Text => value.is_str(),
        KeyKind::Integer => value.is_integer(),
        KeyKind::Port => {
            value.is_integer()
                || value
                    .as_str()
                    .is_some_and(|text| text.parse::<u16>().is_ok())
        }
        KeyKind::Flag => value.is_bool(),
    }
}

/// None: the value has another type.
fn set(key: &str, value: &toml::Value, settings: &mut Settings) -> Option<()> {
    match key {
        "outputmode" => settings.output = Mode::of(value.as_str()?).unwrap_or_default(),
        "outputtypes" => settings.output_types = value.as_bool()?,
        "timeout" => settings.timeout = value.as_integer()?,
        "socket-timeout" => settings.socket_timeout = value.as_integer()?,
        "udfuser" => value.as_str()?.clone_into(&mut settings.lua_userpath),
        _ => {
            value.as_integer()?;
        }
    }
    Some(())
}
