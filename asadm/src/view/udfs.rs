//! `show udfs`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::filter::Filter;
use super::read::{fields, list, principal_text, record, stamped};
use super::{Answers, Context, Node, NodeAnswers, Piece, Target, View};
use crate::sheet::{Sheet, text};

/// `show udfs [FILE] [like PATTERN...]`.
pub(super) const SHOW: View = View {
    path: &["show", "udfs"],
    target: Target::Principal,
    keywords: &["like"],
    flags: &[],
    help: "Displays the registered UDF modules, or the content of one.",
    requests,
    render,
};

fn requests(_: &Node, _: &NodeAnswers, context: &Context) -> Vec<String> {
    vec![
        context
            .modifiers
            .words
            .first()
            .map_or_else(|| "udf-list".to_owned(), |file| get(file)),
    ]
}

fn get(file: &str) -> String {
    format!("udf-get:filename={file}")
}

fn render(answers: &Answers, context: &Context) -> Vec<Piece> {
    let pieces = match context.modifiers.words.first() {
        Some(file) => content(answers, context, file),
        None => modules(answers, context),
    };
    vec![pieces.unwrap_or_else(|piece| piece)]
}

fn modules(answers: &Answers, context: &Context) -> Result<Piece, Piece> {
    let like = Filter::of(context, "like")?;
    let answer = principal_text(answers, context, "udf-list", "Failed to list UDFs")?;
    let records = list(answer, ';')
        .map(|module| record(module, ','))
        .filter(|module| {
            module
                .text("filename")
                .is_some_and(|name| like.matches(name))
        })
        .collect();
    let columns = vec![
        text("Filename", "filename").into(),
        text("Hash", "hash").into(),
        text("Type", "type").into(),
    ];
    Ok(Piece::sheet(
        Sheet::new(stamped("UDF Modules", context), columns)
            .ordered(&["filename"])
            .records(records),
    ))
}

fn content(answers: &Answers, context: &Context, file: &str) -> Result<Piece, Piece> {
    let failed = format!("Failed to retrieve UDF '{file}': Failed to get UDF");
    let answer = principal_text(answers, context, &get(file), &failed)?;
    let module = fields(answer, ';');
    let value = |wanted: &str| {
        module
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let source = value("content")
        .and_then(|content| STANDARD.decode(content).ok())
        .ok_or_else(|| Piece::Error(format!("{failed} : content is not base64.")))?;
    // A source may hold bytes that are no UTF-8; they show as replacement characters.
    let source = String::from_utf8_lossy(&source);
    let kind = value("type").unwrap_or("--");
    let now = &context.now;
    Ok(Piece::Text(format!(
        "UDF Content: {file} ({now})\n\nFilename:\n  {file}\n\nType:\n  {kind}\n\nContent:\n{source}\n\n"
    )))
}
