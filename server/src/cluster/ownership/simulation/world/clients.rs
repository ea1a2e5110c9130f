//! What clients ask for and are told, and what must be true of it in the end.

use std::time::Duration;

use super::super::super::{Bent, MemberState, Run};
use super::super::node::{
    ActionKind, Command, Entry, Message, PARTITIONS, Up, Version, partition_of,
};
use super::{Event, Happening, KEYS, World};

impl World {
    /// A client sends a command to any node, which passes it on if it is not the owner.
    pub(super) fn begin(&mut self) {
        let kind = match self.random.between(0, 9) {
            0 => ActionKind::Delete,
            1..=3 => ActionKind::Read,
            _ => ActionKind::Add,
        };
        let command = Command {
            key: self.random.between(0, KEYS - 1),
            kind,
            begun: 0,
            ticket: None,
            found: None,
            stamp: 0,
        };
        let node = self.random.index(self.nodes.len());
        let Some(up) = &self.nodes[node].up else {
            return;
        };
        let partition = partition_of(command.key);
        let owner = up.ownership.view().partitions.owner(partition);
        let id = self.commands.len() as u64;
        let begun = self.known[command.key as usize].acknowledged;
        self.commands.insert(id, Command { begun, ..command });
        match owner {
            Some(owner) if owner == self.nodes[node].id => {
                if self.nodes[node].paused_until <= self.now {
                    self.run(node, id);
                }
            }
            Some(owner) => {
                let owner = self.index(owner);
                self.send(node, owner, &Message::Command(id));
            }
            None => self.totals.refused += 1,
        }
    }

    /// The record is locked, and the right to run is looked for.
    pub(super) fn run(&mut self, node: usize, id: u64) {
        let clock = self.clock(node);
        let command = self.commands[&id].clone();
        let (partition, at) = (
            partition_of(command.key),
            usize::from(partition_of(command.key)),
        );
        let Some(up) = &mut self.nodes[node].up else {
            return;
        };
        // A message may be doubled; a command is not run twice.
        if command.ticket.is_some() || up.busy[at].contains(&command.key) {
            return;
        }
        let Some(ticket) = up.ownership.ticket(clock, partition) else {
            self.totals.refused += 1;
            return;
        };
        up.busy[at].insert(command.key);
        let run = up.ownership.me();
        let begun = self.known[command.key as usize].acknowledged;
        if let Some(command) = self.commands.get_mut(&id) {
            command.ticket = Some(ticket);
            command.begun = begun;
        }
        let delay = self.step();
        self.schedule(delay, Some(node), Event::Execute(run, id));
    }

    /// Time between two steps of a command; sometimes the node is paused just there.
    fn step(&mut self) -> u64 {
        match self.random.percent(90) {
            true => self.random.between(0, 2),
            false => self.random.between(0, 60),
        }
    }

    pub(super) fn execute(&mut self, node: usize, run: Run, id: u64) {
        self.stamps += 1;
        let stamp = self.stamps;
        let Some(command) = self.commands.get(&id).cloned() else {
            return;
        };
        let at = usize::from(partition_of(command.key));
        let place = &mut self.nodes[node];
        let (Some(up), disk) = (&mut place.up, &mut place.disk) else {
            return;
        };
        if up.ownership.me() != run {
            return;
        }
        let records = &mut up.records[at];
        let found = records.get(&command.key).copied();
        match command.kind {
            ActionKind::Read => {}
            ActionKind::Add => {
                let generation = found.map_or(0, |found| found.generation) + 1;
                let version = Version { stamp, generation };
                records.insert(command.key, version);
                if let Some(disk) = disk {
                    disk.write(Entry::Put(command.key, version));
                }
            }
            ActionKind::Delete => {
                records.remove(&command.key);
                if let Some(disk) = disk {
                    disk.write(Entry::Remove(command.key));
                }
            }
        }
        up.busy[at].remove(&command.key);
        if command.kind == ActionKind::Delete {
            self.known[command.key as usize].deletes.push(stamp);
        }
        if let Some(command) = self.commands.get_mut(&id) {
            command.found = found;
            command.stamp = stamp;
        }
        let delay = self.step();
        self.schedule(delay, Some(node), Event::Answer(run, id));
        if !self.is_calm && self.random.percent(1) {
            let time = self.longest_pause();
            let time = self.random.between(10, time);
            self.happen(Happening::Pause(node, time));
        }
    }

    pub(super) fn answer(&mut self, node: usize, run: Run, id: u64) {
        let clock = self.clock(node);
        let Some(command) = self.commands.get(&id).cloned() else {
            return;
        };
        let Some(ticket) = command.ticket else {
            return;
        };
        let Some(up) = self.up(node, run) else {
            return;
        };
        if !up.ownership.stands(clock, ticket) {
            self.totals.doubtful += 1;
            return;
        }
        let commits = self.commit && self.bend != Some(Bent::AcknowledgedBeforeSync);
        if let Some(disk) = self.nodes[node].disk.as_mut().filter(|_| commits) {
            disk.sync();
        }
        self.totals.acknowledged += 1;
        // It was alone when this began, and has just heard that others went on, who had given it up.
        let was_alone = self.died && ticket.until == Duration::MAX;
        if !was_alone {
            self.alone(node, command.key);
        }
        let known = &mut self.known[command.key as usize];
        let lost = match command.found {
            Some(found) => found.stamp < command.begun,
            None => {
                command.begun != 0 && !known.deletes.iter().any(|delete| *delete >= command.begun)
            }
        };
        let excused = known.excused >= command.begun && known.excused != 0;
        if command.kind != ActionKind::Read {
            known.acknowledged = known.acknowledged.max(command.stamp);
        }
        if lost && !excused && !self.died {
            let (found, begun, key) = (command.found, command.begun, command.key);
            self.violated(format!(
                "{:?} of {key} on node {node} found {found:?} after {begun} was acknowledged",
                command.kind
            ));
        }
    }

    /// When a node acknowledges, no other has a right to.
    fn alone(&mut self, node: usize, key: u64) {
        let partition = partition_of(key);
        let other = (0..self.nodes.len()).find(|other| {
            let clock = self.clock(*other);
            // One that is alone has nobody to ask, and goes on after any pause.
            let has_right = |up: &Up| {
                let counts = !self.died || up.ownership.peers().next().is_some();
                counts && up.ownership.ticket(clock, partition).is_some()
            };
            *other != node && self.nodes[*other].up.as_ref().is_some_and(has_right)
        });
        // One that was served here may be acknowledged while the next owner serves already: the copy that it took has
        // what was done.
        let up = self.nodes[node].up.as_ref();
        let gave = up.is_some_and(|up| {
            let alone = self.died && up.ownership.peers().next().is_none();
            alone || !up.ownership.serves(partition)
        });
        if let Some(other) = other
            && !gave
        {
            self.violated(format!(
                "nodes {node} and {other} both serve partition {partition}"
            ));
        }
    }

    // ---- The end

    /// A partition that is not served by its owner, or of which there is a second copy.
    pub(in super::super) fn unsettled(&self) -> Option<String> {
        let others = self.nodes.len() - 1;
        let is_whole = |up: &Up| {
            let ownership = &up.ownership;
            ownership.state() == MemberState::Ready && ownership.peers().count() == others
        };
        let all_whole = self
            .nodes
            .iter()
            .all(|node| !node.leaving && node.up.as_ref().is_some_and(is_whole));
        if !all_whole {
            return Some("not all nodes serve in the end".to_owned());
        }
        (0..PARTITIONS).find_map(|partition| {
            let holds = |up: &Up| up.ownership.holds(partition);
            let holders: Vec<usize> = (0..self.nodes.len())
                .filter(|node| self.nodes[*node].up.as_ref().is_some_and(holds))
                .collect();
            let serving = |node: usize| {
                let clock = self.clock(node);
                let up = self.nodes[node].up.as_ref();
                up.is_some_and(|up| up.ownership.ticket(clock, partition).is_some())
            };
            match holders.as_slice() {
                [one] if serving(*one) => None,
                _ => Some(format!(
                    "partition {partition} is held by {holders:?} in the end"
                )),
            }
        })
    }

    pub(in super::super) fn check(&mut self) {
        if let Some(unsettled) = self.unsettled() {
            self.violated(unsettled);
        }
        for key in 0..KEYS {
            let at = usize::from(partition_of(key));
            let found = self
                .nodes
                .iter()
                .filter_map(|node| node.up.as_ref())
                .filter(|up| up.ownership.holds(partition_of(key)))
                .filter_map(|up| up.records[at].get(&key).copied())
                .max_by_key(|version| version.stamp);
            let known = &self.known[key as usize];
            let kept = match found {
                Some(found) => found.stamp >= known.acknowledged,
                None => {
                    known.acknowledged == 0
                        || known
                            .deletes
                            .iter()
                            .any(|delete| *delete >= known.acknowledged)
                }
            };
            if !kept && known.excused < known.acknowledged && !self.died {
                let acknowledged = known.acknowledged;
                self.violated(format!(
                    "record {key} is {found:?}, {acknowledged} was acknowledged"
                ));
            }
        }
    }
}
