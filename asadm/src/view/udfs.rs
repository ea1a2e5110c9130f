//! `show udfs`: what the principal has, like the real tool, and below it what is not the same on every node.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::filter::Filter;
use super::read::{asked, fields, list, of, principal_text, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};
use tools::functions::of_module;
use tools::sheet::{Record, Sheet, Value, node, text};

const LIST: &str = "udf-list";

/// `show udfs [FILE | MODULE] [like PATTERN...]`.
pub(super) const SHOW: View = View {
    path: &["show", "udfs"],
    target: Target::Nodes,
    keywords: &["like"],
    flags: &[],
    help: "Displays the registered UDF modules and where nodes differ, the content of one (`show udfs counter.lua`), or its functions (`show udfs counter`).",
    hidden: false,
    words: 1,
    requests,
    render,
};

fn requests(node: &Node, _: &NodeAnswers, context: &Context) -> Vec<String> {
    match context.modifiers.words.first() {
        None => vec![LIST.to_owned()],
        Some(name) if node.principal && !name.ends_with(EXTENSION) => {
            vec![get(name), get(&format!("{name}{EXTENSION}"))]
        }
        Some(file) if node.principal => vec![get(file)],
        Some(_) => Vec::new(),
    }
}

fn get(file: &str) -> String {
    format!("udf-get:filename={file}")
}

fn render(answers: &Answers, context: &Context) -> Vec<Event> {
    match context.modifiers.words.first() {
        Some(name) => vec![
            functions(answers, context, name)
                .unwrap_or_else(|| content(answers, context, name))
                .unwrap_or_else(|piece| piece),
        ],
        None => modules(answers, context).unwrap_or_else(|piece| vec![piece]),
    }
}

fn modules(answers: &Answers, context: &Context) -> Result<Vec<Event>, Event> {
    let like = Filter::of(context, "like")?;
    let answer = principal_text(answers, context, LIST, "Failed to list UDFs")?;
    let columns = vec![
        text("Filename", FILE_NAME).into(),
        text("Hash", HASH).into(),
        text("Type", "type").into(),
    ];
    let mut pieces = vec![Event::sheet(
        Sheet::new(stamped("UDF Modules", context), columns)
            .ordered(&[FILE_NAME])
            .records(entries(answer, &like).collect()),
    )];
    pieces.extend(differences(answers, context, &like));
    Ok(pieces)
}

/// The end of a module's file name.
const EXTENSION: &str = ".lua";

const FILE_NAME: &str = "filename";
const HASH: &str = "hash";

/// The modules of one `udf-list`.
fn entries<'a>(answer: &'a str, like: &'a Filter) -> impl Iterator<Item = Record> {
    list(answer, ';')
        .map(|module| record(module, ','))
        .filter(|module| {
            module
                .text(FILE_NAME)
                .is_some_and(|name| like.matches(name))
        })
}

/// Names and hashes of the modules of one node.
type Modules = BTreeMap<String, Option<String>>;

/// Who has what of the modules that are not the same on every node that answered, and who did not answer.
fn differences(answers: &Answers, context: &Context, like: &Filter) -> Vec<Event> {
    let mut pieces = Vec::new();
    let mut nodes: Vec<(&Node, Modules)> = Vec::new();
    for (node, answers) in asked(answers, context) {
        match answers.text(LIST) {
            Some(answer) => {
                let modules = entries(answer, like).filter_map(|module| {
                    let hash = module.text(HASH).map(ToOwned::to_owned);
                    Some((module.text(FILE_NAME)?.to_owned(), hash))
                });
                nodes.push((node, modules.collect()));
            }
            None => pieces.push(Event::Warning(format!(
                "{} did not list its UDF modules; they may differ.",
                node.name
            ))),
        }
    }
    let names: BTreeSet<&String> = nodes.iter().flat_map(|(_, has)| has.keys()).collect();
    let differing: Vec<&String> = names
        .into_iter()
        .filter(|name| {
            let mut hashes = nodes.iter().map(|(_, has)| has.get(*name));
            let first = hashes.next();
            hashes.any(|hash| Some(hash) != first)
        })
        .collect();
    if differing.is_empty() {
        return pieces;
    }
    let rows = differing.iter().flat_map(|name| {
        nodes.iter().map(|(node, has)| {
            let hash = match has.get(*name) {
                Some(hash) => Value::or_missing(hash.clone().map(Value::Text)),
                None => Value::text("not there"),
            };
            of(node)
                .with(FILE_NAME, Value::text(*name))
                .with(HASH, hash)
        })
    });
    let columns = vec![
        text("Filename", FILE_NAME).into(),
        node().into(),
        text("Hash", HASH).into(),
    ];
    pieces.insert(
        0,
        Event::sheet(
            Sheet::new(stamped("UDF Modules that Differ", context), columns)
                .ordered(&[FILE_NAME])
                .records(rows.collect()),
        ),
    );
    pieces.push(Event::Warning(format!(
        "not the same on every node: {}.",
        differing
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    )));
    pieces
}

/// The functions of a module that is named without its extension; none where there is no such module.
fn functions(answers: &Answers, context: &Context, name: &str) -> Option<Result<Event, Event>> {
    if name.ends_with(EXTENSION) {
        return None;
    }
    let file = format!("{name}{EXTENSION}");
    let answer = principal_text(answers, context, &get(&file), "").ok()?;
    let source = match source(answer) {
        Some(source) => source,
        None => return Some(Err(no_content(&file))),
    };
    let records = of_module(&source).into_iter().map(|function| {
        Record::default()
            .with("name", Value::Text(function.name))
            .with("parameters", Value::Text(function.parameters.join(", ")))
            .with("line", Value::Text(function.line.to_string()))
    });
    let columns = vec![
        text("Function", "name").into(),
        text("Parameters", "parameters").into(),
        text("Line", "line").into(),
    ];
    let title = stamped(&format!("Functions of {file}"), context);
    let sheet = Sheet::new(title, columns).records(records.collect());
    Some(Ok(Event::sheet(sheet)))
}

/// The source of a module in the answer to `udf-get`. Bytes that are no UTF-8 show as replacement characters.
fn source(answer: &str) -> Option<String> {
    let module = fields(answer, ';');
    let content = module.iter().find(|(name, _)| name == "content");
    let content = STANDARD.decode(&content?.1).ok()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

fn no_content(file: &str) -> Event {
    Event::Error(format!(
        "Failed to retrieve UDF '{file}': Failed to get UDF : content is not base64."
    ))
}

fn content(answers: &Answers, context: &Context, file: &str) -> Result<Event, Event> {
    let failed = format!("Failed to retrieve UDF '{file}': Failed to get UDF");
    let answer = principal_text(answers, context, &get(file), &failed)?;
    let module = fields(answer, ';');
    let value = |wanted: &str| {
        module
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let source = source(answer).ok_or_else(|| no_content(file))?;
    let kind = value("type").unwrap_or("--");
    let now = &context.now;
    Ok(Event::Text(format!(
        "UDF Content: {file} ({now})\n\nFilename:\n  {file}\n\nType:\n  {kind}\n\nContent:\n{source}\n\n"
    )))
}
