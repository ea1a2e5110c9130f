//! Who changes modules: a name for people, and the process for whoever runs on the same machine.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};
use tools::clock;

/// A process, told apart from every other one that ever ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// The machine since its start.
    boot: String,
    /// The namespace in which the number counts: containers have their own.
    namespace: String,
    /// Its number.
    pid: u32,
    /// When it was started, in the machine's ticks: numbers come back.
    started: String,
}

/// Whether a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It runs.
    Alive,
    /// It has ended.
    Gone,
    /// It is, or was, somewhere else.
    Elsewhere,
}

impl Process {
    /// This process.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self {
            boot: boot().unwrap_or_default(),
            namespace: namespace().unwrap_or_default(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether it is there.
    pub(crate) fn presence(&self) -> Presence {
        let here = boot().is_some_and(|boot| boot == self.boot)
            && namespace().is_some_and(|namespace| namespace == self.namespace);
        if !here {
            return Presence::Elsewhere;
        }
        match started(self.pid) {
            Some(started) if started == self.started => Presence::Alive,
            _ => Presence::Gone,
        }
    }
}

/// A number that is another one on every start of the machine.
fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

fn namespace() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// When a process was started; none for one that is not there or has ended. See proc_pid_stat(5): the name in parentheses
/// may hold anything, behind it the state is field 3 and the start field 22.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let state = fields.first()?;
    // A zombie holds its number until its parent looks, and does nothing any more.
    (!matches!(*state, "Z" | "X")).then_some(())?;
    fields.get(19).map(|started| (*started).to_owned())
}

/// User and machine: `deploy@build-7`.
pub(crate) fn shown() -> String {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|user| !user.is_empty())
        .unwrap_or_else(|| match fs::metadata("/proc/self") {
            Ok(process) => format!("user-{}", process.uid()),
            Err(_) => "somebody".to_owned(),
        });
    let machine = fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "a machine".to_owned(), |name| name.trim().to_owned());
    let text = format!("{user}@{machine}");
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// The time for people and records: `2026-11-27 03:14:23`, UTC.
pub(crate) fn now() -> String {
    clock::shown(clock::now().0)
}

/// A number that nobody else has.
pub(crate) fn random() -> u64 {
    // The keys of a hasher come from the system.
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_gone_or_elsewhere() {
        let own = Process::own();
        assert_eq!(own.presence(), Presence::Alive);
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let mut other = Process {
            pid: child.id(),
            started: started(child.id()).unwrap(),
            ..own.clone()
        };
        assert_eq!(other.presence(), Presence::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(other.presence(), Presence::Gone);
        // The number may belong to another process by now.
        other.pid = own.pid;
        assert_eq!(other.presence(), Presence::Gone);
        other.boot = "another".to_owned();
        assert_eq!(other.presence(), Presence::Elsewhere);
    }
}
