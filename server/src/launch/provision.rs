//! `--modules DIR`: the modules of a folder are registered before the server says that it is ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use protocol::info::Command;

use super::StartError;
use crate::info::udf::udf_put;
use crate::node::Node;

/// Registers every `*.lua` file of a folder, those that are required before those that require them. Blocks.
///
/// The order is found by trying: what does not load yet is tried again after the others.
///
/// # Errors
/// The folder cannot be read or holds no module, or one of them does not load; the text names file, line and reason.
pub(crate) fn register_folder(node: &Node, folder: &Path) -> Result<usize, StartError> {
    let mut left = sources(folder)?;
    let count = left.len();
    if count == 0 {
        return Err(format!(
            "--modules {}: there is no .lua file in it",
            folder.display()
        )
        .into());
    }
    while !left.is_empty() {
        let mut refused = BTreeMap::new();
        let before = left.len();
        for (name, source) in left {
            if let Err(reason) = put(node, &name, &source) {
                refused.insert(name, (reason, source));
            }
        }
        if refused.len() == before {
            let reasons: Vec<String> = refused
                .iter()
                .map(|(name, (reason, _))| format!("{name}: {reason}"))
                .collect();
            return Err(format!("--modules {}: {}", folder.display(), reasons.join("; ")).into());
        }
        left = refused
            .into_iter()
            .map(|(name, (_, source))| (name, source))
            .collect();
    }
    Ok(count)
}

fn sources(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, StartError> {
    let unreadable =
        |path: &Path, error| format!("--modules: cannot read {}: {error}", path.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_none_or(|extension| extension != "lua") || !path.is_file() {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("--modules: the name of {} is no text", path.display()).into());
        };
        let source = fs::read(&path).map_err(|error| unreadable(&path, error))?;
        found.insert(name.to_owned(), source);
    }
    Ok(found)
}

/// Registers one module, as a client would.
fn put(node: &Node, name: &str, source: &[u8]) -> Result<(), String> {
    let content = STANDARD.encode(source);
    let line = format!(
        "udf-put:filename={name};content={content};content-len={};udf-type=LUA",
        content.len()
    );
    let command = Command::parse(line.as_bytes());
    let mut answer = BytesMut::new();
    udf_put(&*node.modules, &command.params, &mut answer);
    match &answer[..] {
        b"ok" => Ok(()),
        answer => Err(explained(&String::from_utf8_lossy(answer))),
    }
}

/// `error=KIND;file=F;line=N;message=BASE64` in words.
fn explained(answer: &str) -> String {
    let fields: BTreeMap<&str, &str> = answer
        .split(';')
        .filter_map(|field| field.split_once('='))
        .collect();
    let message = fields
        .get("message")
        .and_then(|message| STANDARD.decode(message).ok());
    match (fields.get("line"), message) {
        (Some(line), Some(message)) if *line != "0" => {
            format!("line {line}: {}", String::from_utf8_lossy(&message))
        }
        (_, Some(message)) => String::from_utf8_lossy(&message).into_owned(),
        _ => answer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn answers_are_put_into_words() {
        for (answer, words) in [
            (
                "error=compile_error;file=a.lua;line=3;message=YmFk",
                "line 3: bad",
            ),
            ("error=compile_error;file=;line=0;message=YmFk", "bad"),
            ("error=invalid_filename", "error=invalid_filename"),
        ] {
            assert_eq!(explained(answer), words);
        }
    }
}
