//! The interactive shell.

mod complete;
mod vocabulary;

use std::path::Path;
use std::time::{Duration, Instant};

use tools::terminal::line::{LineReader, Read};

use crate::outcome::Outcome;
use crate::parse;
use crate::session::{Flow, Header, Session};
use tools::exit::Exit;

use complete::Words;
use vocabulary::Vocabulary;

/// What is told when there are no peers to find.
pub const ADMIN_NOTE: &str =
    "Connected via admin port. Note: Cluster discovery is disabled for admin ports.";

/// How old the picture of the cluster may be when a command starts.
const PICTURE_AGE_MAX: Duration = Duration::from_secs(3);

/// Earlier lines, in the home directory.
const HISTORY: &str = ".aerospike/admin_live_cluster_history";

/// Reads lines and runs them until the end of input or `exit`.
pub async fn run(mut session: Session, home: Option<&Path>) -> Exit {
    banner(&mut session);
    if or_interrupt(session.stops_writes()).await == Some(true) {
        session.out.warning(
            "This cluster is currently in stop writes. Run `show stop-writes` for more details.",
        );
    }
    let words = Words::default();
    let history = home.map(|home| home.join(HISTORY));
    let mut reader = LineReader::new(&words, history.as_deref(), session.out.style.colour);
    learn(&reader, &words, &mut session).await;
    let mut seen = Instant::now();
    loop {
        let (prompt, codes) = prompt(&session);
        match reader.read(prompt, codes, &mut session.out).await {
            Read::End => break,
            Read::Interrupted => {
                let text = "To exit asadm utility please run the 'exit' command.";
                let text = session.out.styled("31;91", text);
                session.out.put(&format!("{text}\n"));
            }
            Read::Line(text) => {
                if text.trim().is_empty() {
                    continue;
                }
                let outdated = seen.elapsed() > PICTURE_AGE_MAX;
                let flow = or_interrupt(one(&mut session, &text, outdated)).await;
                if flow == Some(Flow::End) {
                    break;
                }
                if flow.is_none() {
                    let kept = session.out.captured();
                    // The terminal does not show keys while a command runs.
                    let interrupted = if reader.edits() { "^C" } else { "" };
                    session.out.put(&format!("{kept}{interrupted}\n"));
                }
                if outdated {
                    seen = Instant::now();
                    learn(&reader, &words, &mut session).await;
                }
            }
        }
    }
    session.exit()
}

/// What came of some work; none when it was interrupted, which ends it and not the shell.
async fn or_interrupt<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = tokio::signal::ctrl_c() => None,
    }
}

/// Has the names of the cluster completed, where there is completion.
async fn learn(reader: &LineReader, words: &Words, session: &mut Session) {
    if reader.edits()
        && let Some(vocabulary) = or_interrupt(Vocabulary::of(&mut session.cluster)).await
    {
        words.learn(vocabulary);
    }
}

/// Runs a line, after another look at the cluster if the picture is outdated.
async fn one(session: &mut Session, text: &str, outdated: bool) -> Flow {
    match parse::lines(text) {
        Ok(commands) => {
            if outdated {
                session.look_again().await;
            }
            session.run(&commands, Header::Several).await
        }
        Err(error) => {
            session.out.error(&error.to_string());
            session.ended(Outcome::Misunderstood);
            Flow::Continue
        }
    }
}

fn banner(session: &mut Session) {
    let names = |alive: bool| -> Vec<String> {
        session
            .cluster
            .members
            .iter()
            .filter(|member| member.node.alive == alive)
            .map(|member| member.node.name.clone())
            .collect()
    };
    let (online, offline) = (names(true), names(false));
    let mut text = format!(
        "\nFound {} nodes\nOnline:  {}\n",
        online.len() + offline.len(),
        online.join(", ")
    );
    if !offline.is_empty() {
        text += &format!("Offline: {}\n", offline.join(", "));
    }
    if session.cluster.admin {
        text += &format!("{ADMIN_NOTE}\n");
    }
    session.out.text(&format!("{text}\n"));
}

fn prompt(session: &Session) -> (&'static str, &'static str) {
    match (session.cluster.admin, session.privileged) {
        (false, false) => ("Admin> ", "1;32;92"),
        (false, true) => ("Admin+> ", "1;31;91"),
        (true, false) => ("ADMIN> ", "1;32;92"),
        (true, true) => ("ADMIN+> ", "1;31;91"),
    }
}
