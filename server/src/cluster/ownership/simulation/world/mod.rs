//! The nodes, the network between them, and what happens to both.

mod clients;

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Bent, MemberState, Run};
use super::Totals;
use super::node::{Command, Disk, Entry, INTERVAL, Message, Node, PARTITIONS, TIMES, Taking, Up};
use crate::catalogue::simulation::random::Random;
use crate::cluster::NodeId;

/// Records.
const KEYS: u64 = 12;

/// A question without an answer is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(80);

enum Event {
    Deliver(NodeId, Message),
    Tick(Run),
    /// Reports are asked for, partitions taken and dropped.
    Work(Run),
    Execute(Run, u64),
    Answer(Run, u64),
    Happen(Happening),
}

/// What happens from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Start(usize),
    Leave(usize),
    Kill(usize),
    /// It is killed, and starts again after this time.
    Crash(usize, u64),
    Pause(usize, u64),
    Command,
}

/// What is known of a record from its clients.
#[derive(Default)]
struct Known {
    /// The latest write that was acknowledged.
    acknowledged: u64,
    /// Deletes that ran, by their stamps.
    deletes: Vec<u64>,
    /// The latest write that was acknowledged before something that excuses its loss.
    excused: u64,
}

pub(super) struct World {
    pub(super) random: Random,
    /// Nodes may be away for longer than the dead are.
    pub(super) deadly: bool,
    /// Records outlive nodes.
    pub(super) lasting: bool,
    /// Changes are acknowledged when they outlive a crash.
    commit: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) totals: Totals,
    pub(super) violation: Option<String>,
    pub(super) now: u64,
    bend: Option<Bent>,
    events: BTreeMap<(u64, u64), (Option<usize>, Event)>,
    scheduled: u64,
    stamps: u64,
    loss_percent: u64,
    longest_delay: u64,
    slow_percent: u64,
    is_calm: bool,
    commands: BTreeMap<u64, Command>,
    known: Vec<Known>,
    died: bool,
}

impl World {
    pub(super) fn new(seed: u64, bend: Option<Bent>) -> Self {
        let mut random = Random::new(seed);
        let count = random.between(2, 5);
        let lasting = random.percent(50);
        let nodes = (1..=count)
            .map(|number| Node {
                id: NodeId::new(0xA0 + number).expect("not 0"),
                speed: random.between(920, 1_080),
                starts: 0,
                paused_until: 0,
                up: None,
                disk: lasting.then(Disk::default),
                away_until: 0,
                leaving: false,
            })
            .collect();
        Self {
            deadly: random.percent(50),
            lasting,
            commit: random.percent(60),
            nodes,
            totals: Totals::default(),
            violation: None,
            bend,
            now: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            stamps: 0,
            loss_percent: random.between(0, 15),
            longest_delay: random.between(1, 60),
            slow_percent: random.between(0, 4),
            is_calm: false,
            commands: BTreeMap::new(),
            known: (0..KEYS).map(|_| Known::default()).collect(),
            died: false,
            random,
        }
    }

    /// The longest time for which a node is away, ms.
    pub(super) fn longest_pause(&mut self) -> u64 {
        match self.deadly && self.random.percent(40) {
            true => 6_000,
            // Less what a message and a beat take, by clocks of different speeds.
            false => 2_200,
        }
    }

    fn violated(&mut self, what: String) {
        self.violation
            .get_or_insert(format!("at {} ms: {what}", self.now));
    }

    fn schedule(&mut self, delay: u64, node: Option<usize>, event: Event) {
        self.scheduled += 1;
        self.events
            .insert((self.now + delay, self.scheduled), (node, event));
    }

    pub(super) fn happens_in(&mut self, delay: u64, happening: Happening) {
        self.schedule(delay, None, Event::Happen(happening));
    }

    pub(super) fn run_for(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(first) = self.events.first_entry()
            && first.key().0 <= end
            && self.violation.is_none()
        {
            let ((at, order), (node, event)) = first.remove_entry();
            self.now = at;
            // A paused node does nothing; what it is to do waits in its order.
            if let Some(paused) = node.map(|node| self.nodes[node].paused_until)
                && paused > at
            {
                self.events.insert((paused, order), (node, event));
                continue;
            }
            match (node, event) {
                (Some(node), Event::Deliver(from, message)) => self.deliver(node, from, message),
                (Some(node), Event::Tick(run)) => self.tick(node, run),
                (Some(node), Event::Work(run)) => self.work(node, run),
                (Some(node), Event::Execute(run, command)) => self.execute(node, run, command),
                (Some(node), Event::Answer(run, command)) => self.answer(node, run, command),
                (_, Event::Happen(happening)) => self.happen(happening),
                (None, _) => {}
            }
        }
        self.now = end;
    }

    /// Time by the clock of a node.
    fn clock(&self, node: usize) -> Duration {
        Duration::from_micros(self.now * self.nodes[node].speed)
    }

    fn index(&self, id: NodeId) -> usize {
        self.nodes
            .iter()
            .position(|node| node.id == id)
            .expect("a node of this world")
    }

    fn up(&mut self, node: usize, run: Run) -> Option<&mut Up> {
        let up = self.nodes[node].up.as_mut();
        up.filter(|up| up.ownership.me() == run)
    }

    fn send(&mut self, from: usize, to: usize, message: &Message) {
        let copies = 1 + u64::from(self.random.percent(3));
        for _ in 0..copies {
            if self.random.percent(self.loss_percent) {
                continue;
            }
            let delay = match self.random.percent(self.slow_percent) {
                true => self.random.between(0, 1_500),
                false => self.random.between(0, self.longest_delay),
            };
            let from = self.nodes[from].id;
            self.schedule(delay, Some(to), Event::Deliver(from, message.clone()));
        }
    }

    // ---- From outside

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Start(node) => self.start(node),
            Happening::Leave(node) => {
                if self.nodes[node].up.is_some() {
                    self.nodes[node].leaving = true;
                }
            }
            Happening::Kill(node) => {
                if self.nodes[node].up.is_some() {
                    self.died = true;
                    self.excuse();
                    self.crash(node);
                }
            }
            Happening::Crash(node, time) => {
                let until = self.now + time;
                let place = &mut self.nodes[node];
                if place.up.is_some() && place.away_until + 700 < self.now {
                    place.away_until = until;
                    self.crash(node);
                    self.happens_in(time, Happening::Start(node));
                }
            }
            Happening::Pause(node, time) => {
                let until = self.now + time;
                let place = &mut self.nodes[node];
                // One pause at a time, or the node is away for longer.
                if place.away_until + 700 < self.now {
                    place.paused_until = until;
                    place.away_until = until;
                    if Duration::from_millis(time) + Duration::from_millis(700) >= TIMES.dead {
                        self.died = true;
                    }
                }
            }
            Happening::Command => self.begin(),
        }
    }

    /// The process ends, and of what was written and not synced the end is lost.
    fn crash(&mut self, node: usize) {
        self.totals.crashes += u64::from(self.lasting);
        let place = &mut self.nodes[node];
        place.up = None;
        place.paused_until = 0;
        let Some(disk) = &mut place.disk else {
            return;
        };
        let kept = match self.random.percent(50) {
            true => 0,
            false => self.random.between(0, disk.unsynced()),
        };
        for entry in disk.crash(kept) {
            if let (Entry::Put(key, _) | Entry::Remove(key), false) = (entry, self.commit) {
                let known = &mut self.known[key as usize];
                known.excused = known.excused.max(known.acknowledged);
            }
        }
    }

    /// From now on what was acknowledged may be lost.
    fn excuse(&mut self) {
        for known in &mut self.known {
            known.excused = u64::MAX;
        }
    }

    fn start(&mut self, node: usize) {
        let place = &mut self.nodes[node];
        if place.up.is_some() {
            return;
        }
        place.starts += 1;
        place.leaving = false;
        let run = (place.id, place.starts);
        let mut up = Up::new(run, self.now, place.disk.as_ref());
        up.ownership.bend = self.bend;
        place.up = Some(up);
        self.schedule(0, Some(node), Event::Tick(run));
        self.schedule(0, Some(node), Event::Work(run));
    }

    /// All is well from now on.
    pub(super) fn calm(&mut self) {
        self.is_calm = true;
        self.loss_percent = 0;
        self.slow_percent = 0;
        self.events
            .retain(|_, (_, event)| !matches!(event, Event::Happen(_)));
        self.start_all();
    }

    pub(super) fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.start(node));
    }

    // ---- Beats

    fn tick(&mut self, node: usize, run: Run) {
        let clock = self.clock(node);
        // Who holds something that outlives it is waited for although nobody listens.
        let others: Vec<NodeId> = (0..self.nodes.len())
            .filter(|other| *other != node)
            .filter(|other| self.lasting || self.nodes[*other].up.is_some())
            .map(|other| self.nodes[other].id)
            .collect();
        let syncs = self.random.percent(10);
        if let Some(disk) = self.nodes[node].disk.as_mut().filter(|_| syncs) {
            disk.sync();
        }
        let leaving = self.nodes[node].leaving;
        let now = self.now;
        let Some(up) = self.up(node, run) else {
            return;
        };
        let ownership = &mut up.ownership;
        ownership.tick(clock);
        match ownership.state() {
            MemberState::Joining => {
                // Where nobody listens, nobody is waited for.
                let listened = Duration::from_millis(now - up.started);
                let known = |id: &NodeId| ownership.peers().any(|(peer, _)| peer.0 == *id);
                let alone = ownership.peers().next().is_none() && listened < TIMES.silent;
                let all_seeds_known = others.iter().all(known) || listened > TIMES.dead;
                if !alone && ownership.may_serve(clock, all_seeds_known) {
                    ownership.set_state(MemberState::Ready);
                }
            }
            MemberState::Ready if leaving => ownership.set_state(MemberState::Leaving),
            MemberState::Leaving if ownership.may_end() => {
                ownership.set_state(MemberState::Left);
                let holds = (0..PARTITIONS).any(|partition| up.ownership.holds(partition));
                let heir = |state| matches!(state, MemberState::Ready | MemberState::Joining);
                let knows_heir = up.ownership.peers().any(|(_, state)| heir(state));
                self.beat_all(node);
                self.nodes[node].up = None;
                if self.lasting {
                    // It ends in order.
                    let disk = self.nodes[node].disk.as_mut();
                    disk.into_iter().for_each(Disk::sync);
                    if holds {
                        let again = self.random.between(0, 1_500);
                        self.nodes[node].away_until = self.now + again;
                        self.happens_in(again, Happening::Start(node));
                    }
                } else if holds && !knows_heir {
                    self.excuse();
                }
                return;
            }
            _ => {}
        }
        self.beat_all(node);
        self.schedule(INTERVAL, Some(node), Event::Tick(run));
    }

    fn beat_all(&mut self, node: usize) {
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            self.beat(node, to);
        }
    }

    fn beat(&mut self, node: usize, to: usize) {
        let (clock, id) = (self.clock(node), self.nodes[to].id);
        if let Some(up) = &mut self.nodes[node].up {
            let known = up.ownership.peers().map(|(run, _)| run);
            let run = known.into_iter().find(|run| run.0 == id).unwrap_or((id, 0));
            let beat = up.ownership.beat(clock, run);
            self.send(node, to, &Message::Beat(beat));
        }
    }

    // ---- Handing over

    fn work(&mut self, node: usize, run: Run) {
        let clock = self.clock(node);
        let bend = self.bend;
        let place = &mut self.nodes[node];
        let (Some(up), disk) = (&mut place.up, &mut place.disk) else {
            return;
        };
        if up.ownership.me() != run {
            return;
        }
        if let Some(disk) = disk {
            if !up.noting.is_empty() && bend != Some(Bent::DroppedBeforeKept) {
                disk.sync();
            }
            up.ownership.noted(&std::mem::take(&mut up.noting));
        }
        let key = up.ownership.view().key;
        let mut messages: Vec<(NodeId, Message)> = Vec::new();
        for peer in up.ownership.unreported() {
            messages.push((peer, Message::AskReport(key)));
        }
        up.taking.retain(|_, taking| taking.take.key == key);
        let mut merges = 0;
        for take in up.ownership.plan() {
            if up.taking.contains_key(&take.partition) {
                continue;
            }
            if !take.keep_own {
                let records = &mut up.records[usize::from(take.partition)];
                match disk {
                    Some(disk) => {
                        disk.write(Entry::Note(take.partition, None));
                        disk.clear(records);
                    }
                    None => records.clear(),
                }
            }
            merges += u64::from(take.is_merge());
            let lacking = take.sources.iter().copied().collect();
            let asked = Duration::ZERO;
            up.taking.insert(
                take.partition,
                Taking {
                    take,
                    lacking,
                    asked,
                },
            );
        }
        for taking in up.taking.values_mut() {
            if taking.asked + ASK_AGAIN < clock || taking.asked == Duration::ZERO {
                taking.asked = clock;
                for source in &taking.lacking {
                    messages.push((*source, Message::AskGive(key, taking.take.partition)));
                }
            }
        }
        let ownership = &mut up.ownership;
        let mut takings = up.taking.values();
        if let Some(disk) = disk
            .as_mut()
            .filter(|_| bend != Some(Bent::DroppedBeforeKept))
            && takings.any(|taking| taking.lacking.is_empty())
        {
            disk.sync();
        }
        let before = up.taking.len();
        up.taking.retain(|_, taking| {
            let whole = taking.lacking.is_empty();
            !(whole && ownership.took(&taking.take))
        });
        let has_taken = up.taking.len() != before;
        if let Some(disk) = disk {
            // It is synced when this node works next; until then it may crash.
            up.noting = ownership.unnoted();
            let notes = up.noting.iter().cloned();
            notes.for_each(|(partition, copy)| disk.write(Entry::Note(partition, copy)));
        }
        for (peer, drops) in up.ownership.replaced() {
            messages.push((peer, Message::AskDrop(key, drops)));
        }
        self.totals.merged += merges;
        for (to, message) in messages {
            let to = self.index(to);
            self.send(node, to, &message);
        }
        let again = self.random.between(5, 25);
        self.schedule(again, Some(node), Event::Work(run));
        let may_crash = has_taken && self.lasting && !self.deadly && !self.is_calm;
        if may_crash && self.random.percent(5) {
            // Before the copy is noted, or while others drop what was taken.
            let latest = if self.random.percent(50) { 10 } else { 100 };
            let at = self.random.between(0, latest);
            let time = self.random.between(20, 1_500);
            self.happens_in(at, Happening::Crash(node, time));
        }
    }

    fn deliver(&mut self, node: usize, from: NodeId, message: Message) {
        let clock = self.clock(node);
        let sender = self.index(from);
        let place = &mut self.nodes[node];
        let (Some(up), disk) = (&mut place.up, &mut place.disk) else {
            return;
        };
        let ownership = &mut up.ownership;
        let mut answer = None;
        match message {
            Message::Beat(beat) => {
                let changed = ownership.heard(clock, &beat);
                let asked = beat.asks && beat.key == ownership.view().key;
                if changed {
                    self.beat_all(node);
                } else if asked {
                    self.beat(node, sender);
                }
            }
            Message::AskReport(key) => {
                answer = ownership
                    .report(key)
                    .ok()
                    .map(|held| Message::Report(key, held));
            }
            Message::Report(key, held) => ownership.reported(key, from, held),
            Message::AskGive(key, partition) => {
                let at = usize::from(partition);
                if ownership.give(key, from, partition).is_ok() && up.busy[at].is_empty() {
                    answer = Some(Message::Given(key, partition, up.records[at].clone()));
                }
            }
            Message::Given(key, partition, records) => {
                let fenced = ownership.view().key == key || self.bend == Some(Bent::NoFence);
                if let Some(taking) = up.taking.get_mut(&partition)
                    && taking.take.key == key
                    && fenced
                    && taking.lacking.remove(&from)
                {
                    let here = &mut up.records[usize::from(partition)];
                    for (key, version) in records {
                        let known = here.entry(key).or_insert(version);
                        if (version.generation, version.stamp) > (known.generation, known.stamp) {
                            *known = version;
                        }
                        if let Some(disk) = disk {
                            disk.write(Entry::Put(key, *known));
                        }
                    }
                }
            }
            Message::AskDrop(key, drops) => {
                let mut dropped = Vec::new();
                for (partition, by) in drops {
                    if ownership.drop_copy(key, from, partition, &by).is_ok() {
                        dropped.push(partition);
                        let records = &mut up.records[usize::from(partition)];
                        match disk {
                            Some(disk) => {
                                disk.write(Entry::Note(partition, None));
                                disk.clear(records);
                            }
                            None => records.clear(),
                        }
                    }
                }
                answer = Some(Message::Dropped(key, dropped));
            }
            Message::Dropped(key, dropped) => {
                for partition in dropped {
                    ownership.was_dropped(key, from, partition);
                }
            }
            Message::Command(command) => self.run(node, command),
        }
        if let Some(answer) = answer {
            self.send(node, sender, &answer);
        }
    }
}
