//! `collectinfo`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tokio::time::sleep;
use tools::clock;
use tools::json;
use tools::render::Style;

use super::Session;
use crate::collect::{self, COMMANDS, Folder, NodeData, SEPARATOR, SNAPSHOT, Wanted};
use crate::command::Command;
use crate::outcome::Outcome;
use crate::view::{Answers, Context, Modifiers, NodeAnswers};

/// Where the configuration of a server on this machine is.
const SERVER_CONFIG: &str = "/etc/aerospike/aerospike.conf";

/// Snapshots by time, in each the nodes by cluster.
type Snapshots = BTreeMap<String, BTreeMap<String, BTreeMap<String, NodeData>>>;

impl Session {
    /// Collects what the nodes tell, writes it down, and packs it.
    pub(super) async fn collect(&mut self, command: &Command, rest: &[String]) -> Outcome {
        let modifiers = Modifiers::parse(rest, SNAPSHOT.keywords, SNAPSHOT.flags);
        if let Some(outcome) = self.stray_words(command, &modifiers) {
            return outcome;
        }
        let wanted = match Wanted::of(&modifiers) {
            Ok(wanted) => wanted,
            Err(text) => return self.fail(Outcome::Misunderstood, &text),
        };
        let all = (0..self.cluster.members.len()).collect();
        let expected = match self.selected(&modifiers, all) {
            Ok(expected) => expected,
            Err(error) => return self.fail(Outcome::Misunderstood, &error.to_string()),
        };
        let started = clock::shown(clock::now().0);
        let stamp: String = started
            .chars()
            .filter(|c| !matches!(c, '-' | ':'))
            .map(|c| if c == ' ' { '_' } else { c })
            .collect();
        let parent = std::env::temp_dir();
        let folder = match Folder::create(&parent, &wanted.prefix, &stamp) {
            Ok(folder) => folder,
            Err(error) => {
                let text = format!("cannot create a folder in {}: {error}", parent.display());
                return self.fail(Outcome::Failed, &text);
            }
        };
        let mut snapshots = Snapshots::new();
        let mut last = Answers::default();
        let context = self.context(modifiers.clone());
        for number in 0..wanted.snapshots {
            if number > 0 {
                sleep(wanted.pause).await;
            }
            self.out.note(&format!(
                "Data collection for Snapshot: {} in progress...",
                number + 1
            ));
            let time = format!("{} UTC", clock::shown(clock::now().0));
            let alive = self.cluster.alive();
            let targets: Vec<usize> = expected
                .iter()
                .copied()
                .filter(|node| alive.contains(node))
                .collect();
            last = self.gather(&SNAPSHOT, &targets, &context).await;
            let nodes = context.nodes.iter().filter_map(|node| {
                let data = collect::of_node(node, last.node(&node.key)?, &context.nodes);
                Some((node.key.clone(), data))
            });
            let cluster = collect::cluster_name(&last, &context);
            snapshots.insert(time, [(cluster, nodes.collect())].into());
        }
        let log = self.log(&started, &modifiers, &last, &context).await;
        let config = wanted.config.as_deref();
        if let Err(error) = written(&folder, &snapshots, &log, config) {
            let text = format!("cannot write to {}: {error}", folder.path().display());
            return self.fail(Outcome::Failed, &text);
        }
        let archive = match folder.pack() {
            Ok(archive) => archive,
            Err(error) => {
                let text = format!("cannot pack {}: {error}", folder.path().display());
                return self.fail(Outcome::Failed, &text);
            }
        };
        let (place, archive) = (folder.path().display(), archive.display());
        self.out.text(&format!(
            "\nFiles in {place}\nArchive {archive}\nSystem statistics of the nodes are not part of it: they need ssh.\n"
        ));
        let silent = self.silent(&expected, &last);
        self.tell_missed(&silent, expected.len())
    }

    /// The output of the usual commands, then the answers as they came.
    async fn log(
        &mut self,
        started: &str,
        modifiers: &Modifiers,
        answers: &Answers,
        context: &Context,
    ) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut log = format!("{started} UTC\n{SEPARATOR}asadm version {version}\n");
        let style = std::mem::replace(
            &mut self.out.style,
            Style {
                safe: false,
                ..Style::default()
            },
        );
        for line in COMMANDS {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            if let [_, ..] = modifiers.keyword("with") {
                words.push("with".to_owned());
                words.extend(modifiers.keyword("with").iter().cloned());
            }
            self.out.capture();
            // What a command says of itself stands in its output; it does not decide about the collection.
            self.command(&words).await;
            let shown = self.out.captured();
            log += &format!("{SEPARATOR}{}\n{shown}", words.join(" "));
        }
        self.out.style = style;
        for node in &context.nodes {
            let Some(answers) = answers.node(&node.key) else {
                continue;
            };
            log += &raw(&node.key, answers);
        }
        log
    }
}

fn raw(key: &str, answers: &NodeAnswers) -> String {
    let mut text = String::new();
    for (command, answer) in answers.all() {
        let answer = match answer {
            Ok(answer) => answer.to_owned(),
            Err(failure) => format!("no answer: {failure}"),
        };
        text += &format!("{SEPARATOR}{command}\n{{'{key}': '{answer}'}}\n");
    }
    text
}

fn written(
    folder: &Folder,
    snapshots: &Snapshots,
    log: &str,
    config: Option<&Path>,
) -> io::Result<()> {
    folder.write("ascinfo.json", json::text(snapshots)?.as_bytes())?;
    folder.write("ascollectinfo.log", log.as_bytes())?;
    match config {
        Some(path) => folder.copy("aerospike.conf", path),
        None if Path::new(SERVER_CONFIG).is_file() => {
            folder.copy("aerospike.conf", Path::new(SERVER_CONFIG))
        }
        None => Ok(()),
    }
}
