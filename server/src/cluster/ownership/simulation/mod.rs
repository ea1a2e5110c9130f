//! Thousands of histories of a cluster, each determined by a seed, over the rule that nodes run
//! ([`Ownership`](super::Ownership)).
//!
//! A history has 2 to 5 nodes with clocks of different speeds. Beats, questions and answers are late, lost and doubled;
//! nodes join, leave in order, start again, several at the same moment; and any node is paused between any two steps:
//! between looking and storing, storing and answering, giving and taking. Clients add to records, delete and read them.
//! Checked are:
//!
//! - two nodes never run commands on one partition at the same time: when one acknowledges, no other has a right to;
//! - a write goes on from the latest that was acknowledged before it began, and a read finds that or a later one;
//! - once all is calm, every partition is served by its owner, and nobody holds a copy beside;
//! - what was acknowledged is found at the end.
//!
//! In half of the histories records outlive nodes: changes stand on a disk in their order, and a crash takes the end of those
//! that were not synced. Nodes are killed between any two steps, a write and its sync among them, and come back with what
//! their disks have, which others may have taken and changed meanwhile. Where changes are acknowledged once they are
//! synced, no kill loses one, and nothing that went comes back.
//!
//! In half of the histories no node is away for as long as the dead are; in the others nodes are paused for longer or
//! killed: what they held is then lost, but still no two nodes serve at the same time.
//!
//! [`Bent`](super::Bent) lists ways in which the rule is bent on purpose, and each is found, here or in the tests beside this
//! directory. More histories, and a
//! certain one:
//!
//! ```text
//! OWNERSHIP_HISTORIES=100000 cargo test --release -p server --lib ownership::simulation
//! OWNERSHIP_SEED=4711 cargo test -p server --lib ownership::simulation
//! ```

mod node;
mod world;

use super::Bent;
use world::{Happening, World};

/// Histories of every test run.
const HISTORIES: u64 = 120;
/// In so many of them what is done wrong on purpose has to be seen.
const HISTORIES_OF_A_BUG: u64 = 1_600;

/// Time in which nodes that are leaving end, ms.
const ENDING: u64 = 2_000;

/// Time in which a calm cluster must be settled, ms: as long as the longest pause, and as the dead are silent, and a start
/// waits for them.
const CALM: u64 = 14_000;

#[derive(Default)]
struct Totals {
    acknowledged: u64,
    doubtful: u64,
    refused: u64,
    merged: u64,
    crashes: u64,
}

/// One history; the first violation.
fn history(seed: u64, bend: Option<Bent>) -> Result<Totals, String> {
    let mut world = World::new(seed, bend);
    let count = world.nodes.len();
    for node in 0..count {
        let start = match world.random.percent(70) {
            true => world.random.between(0, 300),
            false => world.random.between(500, 4_000),
        };
        world.happens_in(start, Happening::Start(node));
    }
    let length = world.random.between(4_000, 12_000);
    for _ in 0..world.random.between(2, 10) {
        let at = world.random.between(800, length);
        let node = world.random.index(count);
        match world.random.between(0, 9) {
            0..=3 => {
                world.happens_in(at, Happening::Leave(node));
                let again = at + world.random.between(0, 1_500);
                world.happens_in(again, Happening::Start(node));
            }
            4 => {
                // All at once, or nearly.
                for node in 0..count {
                    let at = at + world.random.between(0, 30);
                    world.happens_in(at, Happening::Leave(node));
                    world.happens_in(at + 1_000, Happening::Start(node));
                }
            }
            4..=7 if world.lasting && !world.deadly => {
                let time = world.random.between(20, 1_500);
                world.happens_in(at, Happening::Crash(node, time));
            }
            5 if world.deadly => {
                world.happens_in(at, Happening::Kill(node));
                let again = at + world.random.between(0, 6_000);
                world.happens_in(again, Happening::Start(node));
            }
            _ => {
                let pause = world.longest_pause();
                let time = world.random.between(10, pause);
                world.happens_in(at, Happening::Pause(node, time));
            }
        }
    }
    let mut at = 0;
    while at < length {
        at += world.random.between(1, 60);
        world.happens_in(at, Happening::Command);
    }
    world.run_for(length);
    world.calm();
    // Those that are leaving end first.
    world.run_for(ENDING);
    world.start_all();
    let end = world.now + CALM;
    while world.unsettled().is_some() && world.now < end && world.violation.is_none() {
        world.run_for(100);
        world.start_all();
    }
    for _ in 0..20 {
        world.happens_in(0, Happening::Command);
        world.run_for(20);
    }
    world.check();
    match world.violation {
        Some(violation) => Err(violation),
        None => Ok(world.totals),
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn nothing_acknowledged_is_lost() {
    let seeds = match setting("OWNERSHIP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("OWNERSHIP_HISTORIES").unwrap_or(HISTORIES),
    };
    let mut all = Totals::default();
    let mut violations = Vec::new();
    for seed in seeds.clone() {
        match history(seed, None) {
            Ok(one) => {
                all.acknowledged += one.acknowledged;
                all.doubtful += one.doubtful;
                all.refused += one.refused;
                all.merged += one.merged;
                all.crashes += one.crashes;
            }
            Err(violation) => violations.push(format!("OWNERSHIP_SEED={seed}: {violation}")),
        }
    }
    let few: Vec<&str> = violations.iter().take(10).map(String::as_str).collect();
    assert!(
        few.is_empty(),
        "{} of them:\n{}",
        violations.len(),
        few.join("\n")
    );
    let count = seeds.end - seeds.start;
    println!(
        "{count} histories: {} commands acknowledged, {} doubtful, {} refused; {} partitions merged; {} crashes with a disk",
        all.acknowledged, all.doubtful, all.refused, all.merged, all.crashes
    );
    // Else nothing was tried.
    assert!(count == 1 || all.acknowledged > 40 * count);
    assert!(count == 1 || (all.doubtful > 0 && all.refused > 0 && all.merged > 0));
    assert!(count == 1 || all.crashes > count / 4, "{}", all.crashes);
}

#[test]
fn a_bent_rule_is_found_out() {
    for bend in [
        Bent::FoundsAtOnce,
        Bent::KeyOfMembers,
        Bent::HearsayIgnored,
        Bent::AbsenceSettles,
        Bent::MissingIgnored,
        Bent::NoLease,
        Bent::NoSecondLook,
        Bent::NoFence,
        Bent::LeavesEarly,
        Bent::KeptIsForgotten,
        Bent::DroppedBeforeKept,
        Bent::AcknowledgedBeforeSync,
    ] {
        let found =
            (0..HISTORIES_OF_A_BUG).find_map(|seed| Some((seed, history(seed, Some(bend)).err()?)));
        let (seed, violation) = found.unwrap_or_else(|| panic!("{bend:?} is not found"));
        println!("{bend:?}: seed {seed} {violation}");
    }
}
