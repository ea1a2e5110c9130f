//! What calls and operations cost in instructions, against a budget: figures that do not move with the machine.
//!
//! `costs` is run under `valgrind --tool=callgrind` twice for each line of the budget, with few calls and with many; the
//! difference is the calls' own. A cost above its budget by more than a tenth fails. One that has fallen as far is told of: the
//! budget can be lowered with `--write`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use tests::error::{Error, Result};

/// Count the instructions of calls and compare them with the budget.
#[derive(Debug, Parser)]
struct Arguments {
    /// The budget: a case of `costs` and its instructions in each line, with ` = ` between them.
    #[arg(long, default_value = "tests/instructions.txt")]
    budget: PathBuf,
    /// Write what was counted into the budget.
    #[arg(long)]
    write: bool,
    /// The program that is counted; the one beside this without it.
    #[arg(long)]
    costs: Option<PathBuf>,
}

/// Calls of the two runs.
const CALLS: [u64; 2] = [200, 1_200];

/// Percent by which a cost may exceed its budget.
const SLACK_PERCENT: u64 = 10;

/// A line of the budget.
enum Line {
    /// A remark, or nothing.
    Text(String),
    /// A case and its instructions.
    Case(String, u64),
}

fn parse(text: &str) -> Result<Vec<Line>> {
    let line = |line: &str| {
        if line.is_empty() || line.starts_with('#') {
            return Ok(Line::Text(line.to_owned()));
        }
        let case = line.rsplit_once(" = ").and_then(|(name, count)| {
            let count = count.replace(',', "").parse().ok()?;
            Some(Line::Case(name.to_owned(), count))
        });
        case.ok_or_else(|| Error::Unexpected(format!("`{line}` is no line of a budget")))
    };
    text.lines().map(line).collect()
}

/// Instructions of a whole run with so many calls.
fn count(costs: &Path, case: &str, calls: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--max-threads=2000",
        ])
        .arg(costs)
        .args(["--exact", "--only", case, "--rounds", "1"])
        .args(["--calls", &calls.to_string()])
        .stdin(Stdio::null());
    let ended = command.output().map_err(Error::io("valgrind"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let collected = said.lines().find_map(|line| {
        let (_, count) = line.split_once("Collected : ")?;
        count.trim().parse().ok()
    });
    match collected {
        Some(count) if ended.status.success() && !ended.stdout.is_empty() => Ok(count),
        _ => Err(Error::Unexpected(format!(
            "`costs` under valgrind: {}: {said}",
            ended.status
        ))),
    }
}

/// Instructions of one call.
fn cost(costs: &Path, case: &str) -> Result<u64> {
    let [few, many] = CALLS;
    let (less, more) = (count(costs, case, few)?, count(costs, case, many)?);
    more.checked_sub(less)
        .map(|difference| difference / (many - few))
        .ok_or_else(|| Error::Unexpected(format!("{case}: more calls took fewer instructions")))
}

fn with_commas(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Counts all; false when one is over its budget.
fn run(arguments: &Arguments) -> Result<bool> {
    let own = std::env::current_exe().map_err(Error::io("name of this program"))?;
    let beside = own.with_file_name("costs");
    let costs = arguments.costs.as_ref().unwrap_or(&beside);
    let text = fs::read_to_string(&arguments.budget).map_err(Error::io("budget"))?;
    let mut all_fit = true;
    let mut written = String::new();
    for line in parse(&text)? {
        let (case, budget) = match line {
            Line::Text(text) => {
                written += &format!("{text}\n");
                continue;
            }
            Line::Case(case, budget) => (case, budget),
        };
        let found = cost(costs, &case)?;
        written += &format!("{case} = {}\n", with_commas(found));
        let most = budget + budget * SLACK_PERCENT / 100;
        let least = budget - budget * SLACK_PERCENT / 100;
        let verdict = if found > most {
            all_fit = false;
            "over its budget"
        } else if found < least {
            "well below its budget, which can be lowered"
        } else {
            "as it was"
        };
        println!(
            "{case}: {} instructions, budget {}: {verdict}",
            with_commas(found),
            with_commas(budget)
        );
    }
    if arguments.write {
        fs::write(&arguments.budget, written).map_err(Error::io("budget"))?;
        return Ok(true);
    }
    Ok(all_fit)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}
