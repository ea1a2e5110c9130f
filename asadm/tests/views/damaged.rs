//! No answer of a node may stop the tool: every view with answers that are cut short, shuffled or nonsense.

use asadm::view::{self, Answers, Context, Event, Failure, Modifiers, Node, View};
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

fn output(
    view: &View,
    nodes: &[Node],
    context: &Context,
    mut ask: impl FnMut(&Node, &str) -> Result<String, Failure>,
) {
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
    for piece in (view.render)(&answers, context) {
        if let Event::Sheet(sheet) = piece {
            print(
                &sheet,
                &Style {
                    json: false,
                    colour: true,
                    columns: 0,
                    ..Style::default()
                },
            );
            let json = print(
                &sheet,
                &Style {
                    json: true,
                    colour: true,
                    columns: 0,
                    ..Style::default()
                },
            );
            if !json.is_empty() {
                serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
            }
        }
    }
}

#[test]
fn damaged_answers_stop_no_view() {
    let cluster = Cluster::read();
    let lines = [
        // One node answers well, so that the damage reaches views that look at the others by its names.
        ("", true, DAMAGES),
        (
            "like a for . with x trid 1 where set=. diff --flip -t -r -v -b -l --by-dc -e 1",
            false,
            DAMAGES,
        ),
        ("for [", false, &DAMAGES[..1]),
    ];
    for (line, principal_is_well, damages) in lines {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        for view in view::all() {
            let context = Context {
                nodes: cluster.nodes.clone(),
                modifiers: Modifiers::parse(&words, view.keywords, view.flags),
                now: String::new(),
                system: None,
            };
            for damage in damages {
                output(view, &cluster.nodes[1..], &context, |node, request| {
                    let answer = cluster.answer(node, request)?;
                    if principal_is_well && node.principal {
                        Ok(answer)
                    } else {
                        damage(&answer)
                    }
                });
            }
        }
    }
}
