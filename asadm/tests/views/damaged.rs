//! Answers that are cut short, shuffled or nonsense, to every view: none stops the tool, what the other nodes answered is
//! shown as ever, and nothing is said of a node that did not answer.

use std::collections::BTreeMap;

use asadm::view::{self, Answers, Context, Event, Failure, Modifiers, Node, View};
use serde_json::Value;
use tools::render::{Style, print};

use crate::cluster::Cluster;

type Damage = fn(&str) -> Result<String, Failure>;

/// Ways to damage an answer.
const DAMAGES: &[Damage] = &[
    |text| Ok(text.chars().take(text.chars().count() / 2).collect()),
    |text| Ok(text.chars().take(text.chars().count() / 7 * 6).collect()),
    |text| Ok(text.chars().rev().collect()),
    |text| Ok(text.replace('=', ":")),
    |text| Ok(text.replace(':', ";").replace(',', "=")),
    |text| Ok(text.replace(|c: char| c.is_ascii_digit(), "9")),
    |text| Ok(text.replace(|c: char| c.is_ascii_digit(), "")),
    |text| Ok(text.replace("0", "-1e308")),
    |text| Ok(text.replace(|c: char| c.is_ascii_lowercase(), "\u{fffd}\u{1f600}")),
    |_| Ok(String::new()),
    |_| Ok(";;=;:,=,:".to_owned()),
    |_| Ok("ERROR:4:injected".to_owned()),
    |_| {
        Err(Failure {
            reason: "connection closed".to_owned(),
        })
    },
];

/// What a view makes of answers.
struct Output {
    /// As JSON. All were drawn as well.
    sheets: Vec<Value>,
    /// That it cannot be told, and why.
    errors: Vec<String>,
}

fn output(
    view: &View,
    nodes: &[Node],
    context: &Context,
    mut ask: impl FnMut(&Node, &str) -> Result<String, Failure>,
) -> Output {
    let mut answers = Answers::default();
    for node in nodes {
        let answers = answers.node_mut(&node.key);
        for _ in 0..view::ROUNDS_MAX {
            for request in view.pending(node, answers, context) {
                let answer = ask(node, &request);
                answers.insert(request, answer);
            }
        }
    }
    let (mut sheets, mut errors) = (Vec::new(), Vec::new());
    for piece in (view.render)(&answers, context) {
        match piece {
            Event::Sheet(sheet) => {
                let [drawn, json] = [false, true].map(|json| {
                    let style = Style {
                        json,
                        colour: true,
                        columns: 0,
                        ..Style::default()
                    };
                    print(&sheet, &style)
                });
                assert_eq!(drawn.is_empty(), json.is_empty(), "{drawn}{json}");
                if !json.is_empty() {
                    sheets.push(serde_json::from_str(&json).expect("JSON"));
                }
            }
            Event::Error(error) => errors.push(error),
            _ => {}
        }
    }
    Output { sheets, errors }
}

/// A row: the title of its sheet, and the values in its columns.
type Row = (String, BTreeMap<String, String>);

/// What is said of a node, row by row. Cells without a value are left out: what others answer may add columns, and may
/// make texts of numbers.
fn rows_of(key: &str, sheets: &[Value]) -> Vec<Row> {
    fn cells(name: &str, value: &Value, row: &mut BTreeMap<String, String>) {
        match (&value["raw"], value.as_object()) {
            (Value::Null, Some(members)) => members
                .iter()
                .for_each(|(member, value)| cells(&format!("{name}/{member}"), value, row)),
            (Value::String(text), _) if text == "null" => {}
            (raw, _) => {
                let text = raw
                    .as_str()
                    .map_or_else(|| raw.to_string(), ToOwned::to_owned);
                // `1.00` and 1.0 are one number.
                let number = text.parse::<f64>().map(|number| number.to_string());
                row.insert(name.to_owned(), number.unwrap_or(text));
            }
        }
    }
    let mut rows = Vec::new();
    for sheet in sheets {
        let groups = sheet["groups"].as_array().expect("groups");
        let records = groups
            .iter()
            .flat_map(|group| group["records"].as_array().expect("records"));
        for record in records.filter(|record| record["Node"]["raw"] == key) {
            let mut row = BTreeMap::new();
            cells("", record, &mut row);
            rows.push((sheet["title"].to_string(), row));
        }
    }
    rows
}

fn context(cluster: &Cluster, view: &View, line: &str) -> Context {
    let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
    Context {
        nodes: cluster.nodes.clone(),
        modifiers: Modifiers::parse(&words, view.keywords, view.flags),
        now: String::new(),
        system: None,
    }
}

#[test]
fn damaged_answers_stop_no_view() {
    let cluster = Cluster::read();
    let words = "like a for . with x trid 1 where set=. diff --flip -t -r -v -b -l --by-dc -e 1";
    for (line, damages) in [(words, DAMAGES), ("for [", &DAMAGES[..1])] {
        for view in view::all() {
            let context = context(&cluster, view, line);
            for damage in damages {
                output(view, &cluster.nodes[1..], &context, |node, request| {
                    damage(&cluster.answer(node, request)?)
                });
            }
        }
    }
}

#[test]
fn what_others_answer_changes_nothing_that_is_said_of_a_node() {
    let cluster = Cluster::read();
    let principal = &cluster.nodes[2];
    let mut views = 0;
    for view in view::all() {
        let context = context(&cluster, view, "");
        let well = output(view, &cluster.nodes, &context, |node, request| {
            cluster.answer(node, request)
        });
        let well = rows_of(&principal.key, &well.sheets);
        views += usize::from(!well.is_empty());
        for (number, damage) in DAMAGES.iter().enumerate() {
            let found = output(view, &cluster.nodes, &context, |node, request| {
                let answer = cluster.answer(node, request)?;
                match node.principal {
                    true => Ok(answer),
                    false => damage(&answer),
                }
            });
            let rows = rows_of(&principal.key, &found.sheets);
            for (title, row) in &well {
                // Sizes of objects that are counted in different ways are not shown beside each other.
                if found.errors == ["Different histogram formats on different nodes"; 2] {
                    continue;
                }
                let is_there = rows.iter().any(|(other, found)| {
                    other == title && row.iter().all(|(name, cell)| found.get(name) == Some(cell))
                });
                assert!(
                    is_there,
                    "{:?}, damage {number}: {title} {row:?} became {rows:?}, {:?}",
                    view.path, found.errors
                );
            }
        }
    }
    assert!(views > 20, "{views} views have rows of nodes");
}

#[test]
fn nothing_is_said_of_a_node_that_did_not_answer() {
    /// What is known of it from the others.
    const KNOWN: [&str; 4] = ["/Node", "/Node ID", "/IP", "/Build"];
    let cluster = Cluster::read();
    let failed = &cluster.nodes[0];
    let mut views = 0;
    for view in view::all() {
        let found = output(
            view,
            &cluster.nodes,
            &context(&cluster, view, ""),
            |node, request| match node.key == failed.key {
                true => Err(Failure {
                    reason: "connection closed".to_owned(),
                }),
                false => cluster.answer(node, request),
            },
        );
        let rows = rows_of(&failed.key, &found.sheets);
        views += usize::from(!rows.is_empty());
        for (title, row) in rows {
            for (name, cell) in row {
                assert!(
                    KNOWN.contains(&name.as_str()) || cell == "error",
                    "{:?}: {title}: {name} is {cell}",
                    view.path
                );
            }
        }
    }
    assert!(views > 20, "{views} views have rows of nodes");
}
