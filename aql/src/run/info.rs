//! Statements that ask nodes about themselves, and those about modules.

use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::value::Value;

use super::session::Session;
use super::{Failure, Ran};
use crate::language::statement::Listing;
use crate::show::{Printer, Row};

/// What an info answer says of an error: its code and text. None when it is none.
pub(super) fn refusal(answer: &str) -> Option<(i64, String)> {
    if let Some(rest) = answer
        .strip_prefix("ERROR:")
        .or_else(|| answer.strip_prefix("FAIL:"))
    {
        let (code, text) = rest.split_once(':').unwrap_or((rest, ""));
        return Some(match code.parse() {
            Ok(code) => (code, text.to_owned()),
            // Older servers send no number.
            Err(_) => (-1, rest.to_owned()),
        });
    }
    if answer.starts_with("error=") {
        return Some((100, answer.to_owned()));
    }
    None
}

/// Rows of an answer: entries end at `;`; those with `:` or `=` are pairs joined by `:`, others values under the command's
/// name.
fn rows(command: &str, answer: &str) -> Vec<Row> {
    let name = command.split([':', '/', ';']).next().unwrap_or(command);
    answer
        .split(';')
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let joint = if entry.contains('=') && !entry.contains(':') {
                ','
            } else {
                ':'
            };
            let mut bins: Vec<(String, Option<Value>)> = match entry.contains('=') {
                true => entry
                    .split(joint)
                    .filter(|pair| !pair.is_empty())
                    .map(|pair| match pair.split_once('=') {
                        Some((key, value)) => (key.to_owned(), text(value)),
                        None => (pair.to_owned(), None),
                    })
                    .collect(),
                false => vec![(name.to_owned(), text(entry))],
            };
            bins.sort_by(|(left, _), (right, _)| left.cmp(right));
            Row {
                bins,
                ..Row::default()
            }
        })
        .collect()
}

pub(super) fn text(text: &str) -> Option<Value> {
    Some(Value::String(text.as_bytes().to_vec()))
}

impl Session {
    /// Asks every node and prints a table for each.
    pub(super) async fn listing(
        &mut self,
        command: &str,
        printer: &mut Printer<'_>,
        rows_of: impl Fn(&str, &str) -> Result<Vec<Row>, Failure>,
    ) -> Ran {
        let nodes = self.records.picture().nodes().to_vec();
        let mut printed = false;
        for node in nodes {
            let begun = Instant::now();
            let answer = self.records.info(&node, command).await?;
            if let Some((code, text)) = refusal(&answer) {
                let whole = match answer.starts_with("error=") {
                    true => format!("{text}\n"),
                    false => text,
                };
                return Err(Failure::Told {
                    code,
                    text: format!("{whole} from {}", node.address()),
                });
            }
            printer.begin(&[])?;
            for row in rows_of(command, &answer)? {
                printer.row(row)?;
            }
            printer.end(Some(node.address()), begun.elapsed())?;
            printed = true;
        }
        match printed {
            true => Ok(printer.done(None)?),
            false => Err(Failure::own("no node to ask")),
        }
    }

    /// `SHOW …`
    pub(super) async fn show(&mut self, listing: Listing, printer: &mut Printer<'_>) -> Ran {
        let command = match listing {
            Listing::Namespaces => "namespaces",
            Listing::Sets => "sets",
            Listing::Modules => "udf-list",
            Listing::Bins => {
                return Err(Failure::own(
                    "Bins command not supported on server version >= 7.0.0.0. Unique bin name limits have been removed.",
                ));
            }
            Listing::Queries => "jobs:module=query",
            Listing::Scans => "jobs:module=scan",
        };
        self.listing(command, printer, |command, answer| {
            Ok(rows(command, answer))
        })
        .await
    }

    /// `SHOW INDEXES [N]`
    pub(super) async fn show_indexes(
        &mut self,
        namespace: Option<&str>,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let command = match namespace {
            Some(namespace) => format!("sindex-list:ns={namespace};"),
            None => "sindex-list:".to_owned(),
        };
        self.listing(&command, printer, |command, answer| {
            Ok(rows(command, answer))
        })
        .await
    }

    /// `ASINFO 'COMMAND'`
    pub(super) async fn asinfo(&mut self, command: &str, printer: &mut Printer<'_>) -> Ran {
        if command.is_empty() {
            return Ok(());
        }
        let in_table = printer.mode() == crate::settings::Mode::Table;
        self.listing(command, printer, |command, answer| {
            // A single word is a name without a value.
            if !answer.contains([';', '=', ':']) && !in_table {
                return Ok(vec![Row {
                    bins: vec![(answer.to_owned(), None)],
                    ..Row::default()
                }]);
            }
            if !answer.contains([';', '=', ':']) {
                return Ok(vec![Row {
                    bins: vec![
                        ("name".to_owned(), text(answer)),
                        ("value".to_owned(), None),
                    ],
                    ..Row::default()
                }]);
            }
            Ok(rows(command, answer))
        })
        .await
    }

    /// `DESC MODULE F`
    pub(super) async fn describe(&mut self, file: &str, printer: &mut Printer<'_>) -> Ran {
        let command = format!("udf-get:filename={file}");
        self.listing(&command, printer, |_, answer| {
            let field = |name: &str| {
                answer
                    .split(';')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            };
            let content = field("content")
                .and_then(|content| STANDARD.decode(content).ok())
                .ok_or_else(|| Failure::own("the module's content cannot be read"))?;
            Ok(vec![Row {
                bins: vec![
                    ("content".to_owned(), Some(Value::String(content))),
                    ("type".to_owned(), field("type").and_then(text)),
                ],
                ..Row::default()
            }])
        })
        .await
    }

    /// `REGISTER MODULE 'PATH'`: one node is asked, which tells the others; done when each lists the module.
    pub(super) async fn register(&mut self, path: &str, printer: &mut Printer<'_>) -> Ran {
        let content = std::fs::read(path).map_err(|error| Failure::Told {
            code: error.raw_os_error().map_or(-1, i64::from),
            text: format!("Cannot open file {path}"),
        })?;
        let name = Path::new(path).file_name().map_or_else(
            || path.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        if self.checks_modules {
            looked_through(&name, &content, printer)?;
        }
        let content = STANDARD.encode(content);
        let command = format!(
            "udf-put:filename={name};content={content};content-len={};udf-type=LUA;",
            content.len()
        );
        self.change(&command).await?;
        self.wait_until_served(&name).await?;
        Ok(printer.done(Some("1 module added."))?)
    }

    /// `REMOVE MODULE F`
    pub(super) async fn remove(&mut self, file: &str, printer: &mut Printer<'_>) -> Ran {
        self.change(&format!("udf-remove:filename={file};")).await?;
        Ok(printer.done(Some("1 module removed."))?)
    }

    /// Sends a command about modules to one node.
    async fn change(&mut self, command: &str) -> Ran {
        let Some(node) = self.records.picture().nodes().first().cloned() else {
            return Err(Failure::own("no node to ask"));
        };
        let answer = self.records.info(&node, command).await?;
        match refusal(&answer) {
            None => Ok(()),
            Some((code, told)) => Err(Failure::Told {
                code,
                text: explained(&told, node.address()),
            }),
        }
    }

    async fn wait_until_served(&mut self, file: &str) -> Ran {
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
        let end = Instant::now() + self.settings.limit();
        let entry = format!("filename={file},");
        for node in self.records.picture().nodes().to_vec() {
            loop {
                let list = self.records.info(&node, "udf-list").await?;
                if list.split(';').any(|listed| listed.starts_with(&entry)) {
                    break;
                }
                if Instant::now() >= end {
                    return Err(Failure::Told {
                        code: 9,
                        text: format!(
                            "the module is registered, but {} does not list it yet",
                            node.address()
                        ),
                    });
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

/// An answer about a module, with its message decoded.
fn explained(told: &str, address: &str) -> String {
    let Some((front, message)) = told.split_once(";message=") else {
        return format!("{told}\n from {address}");
    };
    match STANDARD.decode(message) {
        Ok(bytes) => {
            let message = String::from_utf8_lossy(&bytes).into_owned();
            format!("{front};message={message} from {address}")
        }
        Err(_) => format!("{told} from {address}"),
    }
}

/// What is likely a mistake in a module is told; what will fail is a failure.
fn looked_through(name: &str, content: &[u8], printer: &mut Printer<'_>) -> Ran {
    let report = lint::check_module(name, content);
    for line in report.lines() {
        printer.warn(&line)?;
    }
    match report.worst() {
        Some(lint::Level::Error) => Err(Failure::own(format!(
            "{name} is not registered: the check found what will fail"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fall_into_rows_with_sorted_columns() {
        let shown = |command: &str, answer: &str| -> Vec<String> {
            rows(command, answer)
                .iter()
                .map(|row| {
                    row.bins
                        .iter()
                        .map(|(name, value)| format!("{name}={value:?}"))
                        .collect::<Vec<_>>()
                        .len()
                        .to_string()
                        + &row.bins[0].0
                })
                .collect()
        };
        assert_eq!(
            shown("namespaces", "test;bar"),
            ["1namespaces", "1namespaces"]
        );
        assert_eq!(
            shown("udf-list", "filename=a,hash=b,type=LUA;"),
            ["3filename"]
        );
        assert_eq!(shown("sets", "ns=test:set=a:b=1;"), ["3b"]);
        assert!(rows("sets", "").is_empty());
    }

    #[test]
    fn refusals_have_a_code_and_a_text() {
        assert_eq!(refusal("ERROR:4:bad"), Some((4, "bad".to_owned())));
        assert_eq!(
            refusal("error=not_found"),
            Some((100, "error=not_found".to_owned()))
        );
        assert_eq!(refusal("FAIL:busy"), Some((-1, "busy".to_owned())));
        assert_eq!(refusal("ok"), None);
    }
}
