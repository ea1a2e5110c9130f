//! What nodes are asked about modules, and what they answer: `udf-list`, `udf-get`, `udf-put`, `udf-remove`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::info::Failure;

use super::content::Module;

/// The command whose answer names all modules.
pub(crate) const LIST: &str = "udf-list";

/// The command whose answer has the content of a module.
pub(crate) fn get(name: &str) -> String {
    format!("udf-get:filename={name};")
}

/// The command that registers a module.
pub(crate) fn put(module: &Module) -> String {
    let content = STANDARD.encode(&module.source);
    format!(
        "udf-put:filename={};udf-type=LUA;content-len={};content={content}",
        module.name,
        content.len()
    )
}

/// The command that removes a module, which is no mistake where there is none.
pub(crate) fn remove(name: &str) -> String {
    format!("udf-remove:filename={name};")
}

/// Names and hashes of an answer to [`LIST`]. A name may hold a comma, nothing may hold a `;`.
///
/// # Errors
/// The node's refusal, or what cannot be read.
pub(crate) fn listed(answer: &str) -> Result<BTreeMap<String, String>, String> {
    refused(answer)?;
    let entries = answer.split(';').filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let read = || {
                let (name, rest) = entry.strip_prefix("filename=")?.rsplit_once(",hash=")?;
                let hash = rest.split(',').next()?;
                Some((name.to_owned(), hash.to_owned()))
            };
            read().ok_or_else(|| format!("an answer to {LIST} that cannot be read: `{entry}`"))
        })
        .collect()
}

/// The source in an answer to [`get`].
///
/// # Errors
/// The node's refusal, or what cannot be read.
pub(crate) fn source(answer: &str) -> Result<Vec<u8>, String> {
    refused(answer)?;
    let content = answer
        .split(';')
        .find_map(|field| field.strip_prefix("content="))
        .ok_or("an answer without content")?;
    STANDARD
        .decode(content)
        .map_err(|error| format!("content that is no base64: {error}"))
}

/// Whether the node did what it was told.
///
/// # Errors
/// Its refusal; of a source that does not compile with file, line and message.
pub(crate) fn done(answer: &str) -> Result<(), String> {
    refused(answer)?;
    match answer.trim_end_matches(';') {
        "ok" => Ok(()),
        other => Err(format!("an answer that is not `ok`: `{other}`")),
    }
}

fn refused(answer: &str) -> Result<(), String> {
    match Failure::of(answer) {
        Some(failure) => Err(failure.to_string()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::listed_hash;
    use super::*;

    /// Three nodes of a real server.
    const RECORDED: [&str; 3] = [
        include_str!("../../../tests/golden/asadm/cluster/127.0.0.11.json"),
        include_str!("../../../tests/golden/asadm/cluster/127.0.0.12.json"),
        include_str!("../../../tests/golden/asadm/cluster/127.0.0.13.json"),
    ];

    #[test]
    fn answers_of_real_servers_are_read() {
        for recorded in RECORDED {
            let node: serde_json::Value = serde_json::from_str(recorded).unwrap();
            let answer = |command: &str| node[command].as_str().unwrap();
            let listed = listed(answer(LIST)).unwrap();
            assert_eq!(listed.len(), 2);
            for (name, hash) in &listed {
                let answer = answer(&format!("udf-get:filename={name}"));
                let module = Module::new(name, source(answer).unwrap());
                assert_eq!(listed_hash(&module).as_ref(), Some(hash), "{name}");
            }
            assert_eq!(
                source(answer("udf-get:filename=nope.lua")).unwrap_err(),
                "not_found"
            );
            let refusal = node
                .as_object()
                .unwrap()
                .iter()
                .find(|(command, _)| command.starts_with("udf-put:filename=bad.lua"));
            let (_, refusal) = refusal.unwrap();
            assert_eq!(
                done(refusal.as_str().unwrap()).unwrap_err(),
                "compile_error at bad.lua:3: unexpected symbol near 'end'"
            );
        }
    }

    #[test]
    fn answers_that_are_none_are_errors() {
        assert_eq!(listed("").unwrap(), BTreeMap::new());
        let odd = "filename=a,b=c.lua,hash=00,type=LUA;";
        assert_eq!(listed(odd).unwrap()["a,b=c.lua"], "00");
        for answer in [
            "ERROR:81:role violation",
            "filename=a.lua",
            "hash=00;",
            "FAIL",
        ] {
            assert!(listed(answer).is_err(), "{answer}");
        }
        for answer in ["", "type=LUA;", "type=LUA;content=#;", "error=not_found"] {
            assert!(source(answer).is_err(), "{answer}");
        }
        for answer in ["", "error=timeout", "ok but", "ERROR:81:role violation"] {
            assert!(done(answer).is_err(), "{answer}");
        }
        assert!(done("ok").is_ok());
    }
}
