//! `watch`: a command again and again.

use std::time::Duration;

use super::{Flow, Ran, Session};
use crate::command::{Resolved, resolve};
use crate::outcome::Outcome;
use tools::clock;

/// What `watch` was asked to do.
#[derive(Debug, PartialEq)]
struct Plan {
    sleep_s: f64,
    iterations: Option<u64>,
    differences: bool,
    command: Vec<String>,
}

impl Plan {
    /// Options come first, then up to two numbers, then the command.
    fn of(words: &[String]) -> Self {
        let mut plan = Self {
            sleep_s: 2.0,
            iterations: None,
            differences: true,
            command: Vec::new(),
        };
        let mut rest = words;
        while let Some((word, after)) = rest.split_first().filter(|(word, _)| *word == "--no-diff")
        {
            debug_assert!(!word.is_empty());
            plan.differences = false;
            rest = after;
        }
        if let Some((word, after)) = rest.split_first()
            && let Some(sleep) = word.parse().ok().filter(|sleep| (0.0..1e6).contains(sleep))
        {
            plan.sleep_s = sleep;
            rest = after;
            if let Some((word, after)) = rest.split_first()
                && let Ok(iterations) = word.parse()
            {
                plan.iterations = Some(iterations);
                rest = after;
            }
        }
        plan.command = rest.to_vec();
        // It is understood behind the numbers too.
        let count = plan.command.len();
        plan.command.retain(|word| word != "--no-diff");
        plan.differences &= plan.command.len() == count;
        plan
    }
}

impl Session {
    pub(super) async fn watch(&mut self, words: &[String]) -> Ran {
        let plan = Plan::of(words);
        if plan.command.is_empty() {
            let text = "Watch requires a single command argument";
            return (Flow::Continue, self.fail(Outcome::Misunderstood, text));
        }
        if !matches!(resolve(&plan.command), Resolved::Command(..)) {
            // What is no command now will not be one later: its error is said once, its help not at all.
            self.out.capture();
            let ran = self.command(&plan.command).await;
            self.out.captured();
            self.out.text("\n");
            return ran;
        }
        let line = plan.command.join(" ");
        let mut previous: Option<String> = None;
        let mut iteration = 0_u64;
        while plan.iterations.is_none_or(|end| iteration < end) && !self.out.closed {
            if iteration > 0 {
                tokio::time::sleep(Duration::from_secs_f64(plan.sleep_s)).await;
                self.cluster.refresh().await;
                self.fresh = true;
            }
            iteration += 1;
            self.out.capture();
            let (flow, outcome) = self.command(&plan.command).await;
            self.ended(outcome);
            let shown = self.out.captured();
            let line = self.out.safe(&line).into_owned();
            self.out.put(&format!(
                "[ {} '{line}' sleep: {:?}s iteration: {iteration} ]\n",
                clock::shown(clock::now().0),
                plan.sleep_s
            ));
            let text = match &previous {
                Some(previous) if plan.differences && self.out.style.colour => {
                    inverse(previous, &shown)
                }
                _ => shown.clone(),
            };
            self.out.put(&format!("{text}\n"));
            previous = Some(shown);
            if flow == Flow::End {
                break;
            }
        }
        self.out.text("\n");
        (Flow::Continue, Outcome::Done)
    }
}

/// The text with the characters inverse that differ from those at the same place before. Colour codes stay as they are.
fn inverse(before: &str, now: &str) -> String {
    let mut out = String::with_capacity(now.len());
    let mut before = before.lines();
    for line in now.split_inclusive('\n') {
        let old: Vec<char> = plain(before.next().unwrap_or_default());
        let mut at = 0;
        let mut code = false;
        let mut marked = false;
        for c in line.chars() {
            code |= c == '\u{1b}';
            if code || c == '\n' {
                code &= c != 'm';
                if c == '\n' && marked {
                    out.push_str("\u{1b}[27m");
                }
                out.push(c);
                continue;
            }
            let differs = old.get(at) != Some(&c);
            at += 1;
            if differs != marked {
                out.push_str(if differs { "\u{1b}[7m" } else { "\u{1b}[27m" });
                marked = differs;
            }
            out.push(c);
        }
    }
    out
}

fn plain(line: &str) -> Vec<char> {
    let mut code = false;
    line.chars()
        .filter(|c| {
            code |= *c == '\u{1b}';
            let keep = !code;
            code &= *c != 'm';
            keep
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_numbers_before_the_command() {
        for (line, sleep_s, iterations, differences, command) in [
            ("show udfs", 2.0, None, true, "show udfs"),
            ("0.5 show udfs", 0.5, None, true, "show udfs"),
            ("--no-diff 1 3 info", 1.0, Some(3), false, "info"),
            ("", 2.0, None, true, ""),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let plan = Plan::of(&words);
            assert_eq!((plan.sleep_s, plan.iterations), (sleep_s, iterations));
            assert_eq!(
                (plan.differences, plan.command.join(" ")),
                (differences, command.to_owned())
            );
        }
    }

    #[test]
    fn marks_what_has_changed() {
        assert_eq!(
            inverse("a=1\nb\n", "a=2\nb\n"),
            "a=\u{1b}[7m2\u{1b}[27m\nb\n"
        );
        assert_eq!(
            inverse("a\n", "\u{1b}[1ma\u{1b}[0m\n"),
            "\u{1b}[1ma\u{1b}[0m\n"
        );
    }
}
