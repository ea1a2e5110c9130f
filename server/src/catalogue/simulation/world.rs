//! The nodes, the network between them, their disks, and what goes wrong with all of these.

mod deliver;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::item::Item;
use super::super::joining::outdated_counts;
use super::super::kind::PLAIN;
use super::super::persistence::StoredItem;
use super::super::rollout::{RESEND, Rollout, TIMEOUT};
use super::super::state::Catalogue;
use super::super::version::{Decision, Summary, decide};
use super::ledger::{Acknowledged, LARGEST_SKEW_MS, Ledger};
use super::node::{DEAD_AFTER, Message, Node, Run, Then, Up, Waited, Write};
use super::random::Random;

/// Gossip every so many ticks, of 50 ms about.
const GOSSIP_TICKS: u64 = 4;

/// A node that starts is not ready before this time, ms, as it knows of no peers at first.
const LISTENS: u64 = 250;

/// A bug to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A node answers a push before it has the item on disk.
    AnswersBeforeDisk,
    /// A coordinator does not wait for its own disk.
    OwnDiskNotAwaited,
    /// Nodes that appear while a change is rolled out are not waited for.
    NewMembersNotAwaited,
    /// A node says that it has what it has not, when it has an older version.
    OlderCounts,
    /// What others gossip is not fetched.
    GossipIgnored,
    /// A removed module is forgotten at a restart.
    TombstonesForgotten,
    /// Content that does not match its hash is taken.
    HashNotChecked,
    /// A node is ready without having compared anything.
    ReadyAtOnce,
    /// A node compares itself with peers that do not list it yet.
    ReadyUnlisted,
    /// A node that was away for longer than tombstones live keeps what it had.
    OutdatedCounts,
}

enum Event {
    Deliver {
        from: Run,
        to: usize,
        message: Message,
    },
    Tick(Run),
    Written(Run),
    Happen(Happening),
}

/// What happens from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    Kill(usize),
    Start(usize),
    /// Some links fail, in one or both directions.
    Partition,
    Heal,
    Put(usize),
    Remove(usize),
}

/// How bad the network and disks are.
struct Weather {
    loss_percent: u64,
    duplicate_percent: u64,
    damage_percent: u64,
    longest_delay: u64,
    disk_failure_percent: u64,
}

pub(crate) struct World {
    pub(crate) random: Random,
    fault: Option<Fault>,
    pub(crate) now: u64,
    /// Time by the earliest clock when the history began, ms since 2010.
    base_ms: u64,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub(crate) nodes: Vec<Node>,
    /// Links that fail: from, to.
    blocked: Vec<(usize, usize)>,
    weather: Weather,
    names: Vec<Arc<str>>,
    contents: u64,
    pub(crate) ledger: Ledger,
    pub(crate) timeouts: u64,
    pub(crate) violation: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather {
            loss_percent: random.between(0, 15),
            duplicate_percent: random.between(0, 10),
            damage_percent: random.between(0, 2),
            longest_delay: random.between(2, 120),
            disk_failure_percent: random.between(0, 4),
        };
        let count = random.between(3, 7) as usize;
        let names = random.between(1, 3);
        Self {
            nodes: (0..count).map(|_| Node::default()).collect(),
            random,
            fault,
            now: 0,
            base_ms: 500_000_000_000,
            events: BTreeMap::new(),
            scheduled: 0,
            blocked: Vec::new(),
            weather,
            names: (0..names)
                .map(|index| format!("{index}.lua").into())
                .collect(),
            contents: 0,
            ledger: Ledger::default(),
            timeouts: 0,
            violation: None,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn violated(&mut self, what: String) {
        self.violation
            .get_or_insert(format!("at {} ms: {what}", self.now));
    }

    fn schedule(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.events
            .insert((self.now + delay, self.scheduled), event);
    }

    pub(crate) fn happens_in(&mut self, delay: u64, happening: Happening) {
        self.schedule(delay, Event::Happen(happening));
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(first) = self.events.first_entry()
            && first.key().0 <= end
            && self.violation.is_none()
        {
            let ((at, _), event) = first.remove_entry();
            self.now = at;
            match event {
                Event::Deliver { from, to, message } => self.deliver(from, to, message),
                Event::Tick(run) => self.tick(run),
                Event::Written(run) => self.written(run),
                Event::Happen(happening) => self.happen(happening),
            }
        }
        self.now = end;
    }

    /// Time by a clock that goes right.
    pub(crate) fn clock_ms(&self) -> u64 {
        self.base_ms + self.now
    }

    fn clock_of(&self, node: usize) -> u64 {
        self.clock_ms() + self.nodes[node].skew_ms
    }

    fn up(&mut self, run: Run) -> Option<&mut Up> {
        let up = self.nodes[run.node].up.as_mut();
        up.filter(|up| up.run == run)
    }

    fn send(&mut self, from: Run, to: usize, message: &Message) {
        let copies = 1 + u64::from(self.random.percent(self.weather.duplicate_percent));
        for _ in 0..copies {
            if self.random.percent(self.weather.loss_percent) {
                continue;
            }
            let mut message = message.clone();
            if self.random.percent(self.weather.damage_percent) {
                deliver::damage(&mut message);
            }
            let delay = if self.random.percent(1) {
                self.random.between(0, 1_500)
            } else {
                self.random.between(0, self.weather.longest_delay)
            };
            self.schedule(delay, Event::Deliver { from, to, message });
        }
    }

    // What happens from outside.

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Kill(node) => self.kill(node),
            Happening::Start(node) => self.start(node),
            Happening::Partition => self.partition(),
            Happening::Heal => self.blocked.clear(),
            Happening::Put(node) => {
                // Some contents occur again.
                self.contents += u64::from(self.random.percent(80));
                let content = format!("{:08}", self.contents);
                self.change(node, Some(&content));
            }
            Happening::Remove(node) => self.change(node, None),
        }
    }

    fn partition(&mut self) {
        let count = self.nodes.len();
        let side: Vec<bool> = (0..count).map(|_| self.random.percent(50)).collect();
        let one_way = self.random.percent(20);
        for from in 0..count {
            for to in 0..count {
                let cut = side[from] != side[to] && !(one_way && side[from]);
                if cut {
                    self.blocked.push((from, to));
                }
            }
        }
    }

    /// The clock of a node is set, back or forward.
    fn set_clock(&mut self, node: usize) {
        self.nodes[node].skew_ms = self.random.between(0, LARGEST_SKEW_MS);
    }

    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].up.is_some() {
            return;
        }
        self.set_clock(node);
        let forgetful = self.is(Fault::TombstonesForgotten);
        let place = &mut self.nodes[node];
        place.incarnation += 1;
        if forgetful {
            let mut items = place.disk.items();
            items.retain(|item| item.content().is_some());
            place.disk.replace(&items);
            place.showed.retain(|_, summary| summary.hash.is_some());
        }
        let run = Run {
            node,
            incarnation: place.incarnation,
        };
        let clock_ms = self.clock_of(node);
        let place = &mut self.nodes[node];
        place.up = Some(Up::new(run, self.now, clock_ms, &place.disk));
        self.showed(node);
        self.schedule(0, Event::Tick(run));
    }

    /// In the middle of a write the disk has the old or the new state.
    pub(crate) fn kill(&mut self, node: usize) {
        let clock_ms = self.clock_of(node);
        let written = self.random.percent(50);
        let place = &mut self.nodes[node];
        let Some(mut up) = place.up.take() else {
            return;
        };
        if up.settled {
            place.disk.alive_ms = Some(clock_ms);
        }
        if written && let Some(write) = up.writes.pop_front() {
            let disk = &mut place.disk;
            // This disk cannot fail.
            let _ = up.catalogue.store(&write.items, clock_ms, |_, taken| {
                disk.append(taken);
                Ok::<_, ()>(())
            });
            disk.tidy(up.catalogue.items(), true);
        }
    }

    /// A month passes for all nodes; those that are up note that they are, and forget.
    pub(crate) fn pass(&mut self, time_ms: u64) {
        self.base_ms += time_ms;
        for node in 0..self.nodes.len() {
            let clock_ms = self.clock_of(node);
            let place = &mut self.nodes[node];
            if let Some(up) = &mut place.up {
                up.catalogue.forget_expired(clock_ms);
                place.disk.replace(up.catalogue.items());
                place.disk.alive_ms = Some(clock_ms);
                up.publish();
            }
            self.showed(node);
        }
    }

    pub(crate) fn calm(&mut self) {
        self.blocked.clear();
        self.weather.loss_percent = 0;
        self.weather.damage_percent = 0;
        self.weather.disk_failure_percent = 0;
    }

    // A client.

    fn change(&mut self, node: usize, content: Option<&str>) {
        let name = self.random.index(self.names.len());
        let name = Arc::clone(&self.names[name]);
        let clock_ms = self.clock_of(node);
        let now = self.now;
        let own_disk = !self.is(Fault::OwnDiskNotAwaited);
        let Some(up) = &mut self.nodes[node].up else {
            return;
        };
        if !up.ready {
            return;
        }
        let proposal = match content {
            Some(content) => up.catalogue.propose_put(&name, content, clock_ms).ok(),
            None => up.catalogue.propose_removal(&name, clock_ms),
        };
        let Some(proposal) = proposal else {
            return;
        };
        let run = up.run;
        let summary = proposal.item.summary;
        let mut rollout = Rollout::new(summary, up.members(now));
        if proposal.is_known || !own_disk {
            rollout.acknowledged(run, &summary);
        }
        up.waited.push(Waited {
            item: Arc::new(proposal.item.clone()),
            rollout,
            since: now,
            sent: now,
        });
        let proposed_ms = self.clock_ms();
        self.ledger.propose(&name, summary, proposed_ms);
        if !proposal.is_known {
            self.write(
                run,
                Write {
                    items: vec![proposal.item],
                    then: Then::Own,
                },
            );
        }
        self.push(run);
        self.complete(run);
    }

    /// Pushes what was not pushed yet or not answered in time.
    fn push(&mut self, run: Run) {
        let now = self.now;
        let Some(up) = self.up(run) else { return };
        let resend = RESEND.as_millis() as u64;
        let mut pushes = Vec::new();
        for waited in &mut up.waited {
            if waited.sent == now || now >= waited.sent + resend {
                waited.sent = now;
                let waiting = waited.rollout.waiting();
                pushes.extend(
                    waiting.map(|member| (member.node, Message::Push(Arc::clone(&waited.item)))),
                );
            }
        }
        for (to, push) in pushes {
            if to != run.node {
                self.send(run, to, &push);
            }
        }
    }

    /// Answers clients whose change is everywhere, or takes too long.
    fn complete(&mut self, run: Run) {
        let now = self.now;
        let fixed = self.is(Fault::NewMembersNotAwaited);
        let Some(up) = self.up(run) else { return };
        let members = up.members(now);
        let mut done = Vec::new();
        let mut timeouts = 0;
        up.waited.retain_mut(|waited| {
            let complete = if fixed {
                waited
                    .rollout
                    .waiting()
                    .all(|node| !members.contains(&node))
            } else {
                waited.rollout.is_complete(members.iter().copied())
            };
            let late = now > waited.since + TIMEOUT.as_millis() as u64;
            timeouts += u64::from(late && !complete);
            if complete {
                done.push(Arc::clone(&waited.item));
            }
            !complete && !late
        });
        self.timeouts += timeouts;
        for item in done {
            for member in &members {
                self.has(*member, &item);
            }
            self.ledger.acknowledged.push(Acknowledged {
                name: item.name.as_str().into(),
                summary: item.summary,
                by: run,
                at: now,
                members: members.clone(),
            });
        }
    }

    /// `ok` means that every live node has it on disk and serves it, or a newer one.
    fn has(&mut self, member: Run, item: &Item) {
        let place = &self.nodes[member.node];
        let items = place.disk.items();
        let on_disk = items
            .iter()
            .find(|stored| **stored.name() == *item.name)
            .map(StoredItem::summary);
        let up = place.up.as_ref().filter(|up| up.run == member);
        let served = up.map_or(on_disk, |up| up.served.get(&*item.name));
        let enough = |has: Option<&Summary>| has.is_some_and(|has| *has >= item.summary);
        if !enough(on_disk) || !enough(served) {
            let what = format!(
                "`{}` {} was acknowledged but {member:?} has {on_disk:?} and serves {served:?}",
                item.name, item.summary
            );
            self.violated(what);
        }
    }

    // Disks.

    fn write(&mut self, run: Run, write: Write) {
        let Some(up) = self.up(run) else { return };
        up.writes.push_back(write);
        if up.writes.len() == 1 {
            self.write_next(run);
        }
    }

    /// What turns out not to be newer is not written.
    fn write_next(&mut self, run: Run) {
        let slow = self.random.percent(5);
        let time = self.random.between(1, if slow { 400 } else { 20 });
        let Some(up) = self.up(run) else { return };
        let newer = |item: &Item| {
            let known = up.catalogue.known(&item.name);
            decide(known.map(StoredItem::summary), &item.summary) == Decision::Take
        };
        let writes = up.writes.front();
        let writes = writes.is_some_and(|write| write.items.iter().any(newer));
        self.schedule(if writes { time } else { 0 }, Event::Written(run));
    }

    fn written(&mut self, run: Run) {
        let clock_ms = self.clock_of(run.node);
        let failed = self.random.percent(self.weather.disk_failure_percent);
        let place = &mut self.nodes[run.node];
        let Some(up) = place.up.as_mut().filter(|up| up.run == run) else {
            return;
        };
        let Some(Write { items, then }) = up.writes.pop_front() else {
            return;
        };
        let disk = &mut place.disk;
        let stored = if up.settled {
            up.catalogue.store(&items, clock_ms, |_, taken| {
                if failed {
                    return Err(());
                }
                disk.append(taken);
                Ok(())
            })
        } else {
            Err(())
        };
        disk.tidy(up.catalogue.items(), false);
        up.publish();
        let more = !up.writes.is_empty();
        let mut answers = Vec::new();
        match (stored, then) {
            (Ok(outcomes), then) => {
                let has = items.iter().zip(outcomes);
                let has = has.map(|(item, stored)| (item, stored.has(&item.summary)));
                match then {
                    Then::Own => has.for_each(|(_, has)| {
                        for waited in &mut up.waited {
                            if items.iter().any(|item| *item == *waited.item) {
                                waited.rollout.acknowledged(run, &has);
                            }
                        }
                    }),
                    Then::Answer(to) => answers.extend(has.map(|(item, has)| {
                        let answer = Message::Pushed {
                            name: item.name.as_str().into(),
                            offered: item.summary,
                            has,
                        };
                        (to.node, answer)
                    })),
                    Then::Joined(from, names) => {
                        for name in names {
                            up.joining.fetched(from, &name);
                        }
                    }
                    Then::Nothing => {}
                }
            }
            // The client is told; peers are not.
            (Err(()), Then::Own) => up
                .waited
                .retain(|waited| !items.iter().any(|item| *item == *waited.item)),
            (Err(()), Then::Answer(_) | Then::Joined(..) | Then::Nothing) => {}
        }
        if more {
            self.write_next(run);
        }
        for (to, answer) in answers {
            self.send(run, to, &answer);
        }
        self.showed(run.node);
        self.complete(run);
    }

    /// Looks at what a node serves: only what some node proposed, whole, and never an older version than before.
    fn showed(&mut self, node: usize) {
        let clock_ms = self.clock_of(node);
        let place = &mut self.nodes[node];
        let Some(up) = &place.up else { return };
        let mut violation = None;
        for item in up.catalogue.items() {
            let (name, summary) = (item.name(), *item.summary());
            let last = place.showed.insert(Arc::clone(name), summary);
            if last == Some(summary) {
                continue;
            }
            if item.to_item().check(&PLAIN).is_err() || !self.ledger.was_proposed(name, summary) {
                violation = Some(format!(
                    "node {node} serves `{name}` {summary} that nobody put"
                ));
            }
            if last.is_some_and(|last| last > summary) {
                violation = Some(format!("node {node} went back to `{name}` {summary}"));
            }
        }
        place.showed.retain(|name, summary| {
            let gone = up.catalogue.known(name).is_none();
            if gone && !self.ledger.may_be_forgotten(name, *summary, clock_ms) {
                violation = Some(format!("node {node} lost `{name}` {summary}"));
            }
            !gone
        });
        if let Some(violation) = violation {
            self.violated(violation);
        }
    }

    // Time.

    fn tick(&mut self, run: Run) {
        if self.random.percent(1) {
            self.set_clock(run.node);
        }
        let Some(up) = self.up(run) else { return };
        up.ticks += 1;
        let gossip =
            (up.ticks % GOSSIP_TICKS == 1).then(|| Message::Gossip(Arc::clone(&up.served)));
        if let Some(gossip) = gossip {
            for to in 0..self.nodes.len() {
                if to != run.node {
                    self.send(run, to, &gossip);
                }
            }
        }
        self.push(run);
        self.complete(run);
        self.join(run);
        let pause = self.random.between(40, 60);
        self.schedule(pause, Event::Tick(run));
    }

    fn join(&mut self, run: Run) {
        let now = self.now;
        let at_once = self.is(Fault::ReadyAtOnce);
        let keeps = self.is(Fault::OutdatedCounts);
        let Some(up) = self.up(run) else { return };
        // Peers that are there were heard of by then, and all others are no longer believed to be.
        let waited = now > up.started + DEAD_AFTER;
        let listened = now > up.started + LISTENS;
        if up.ready {
            return;
        }
        let peers = up.peers(now);
        if !up.settled
            && waited
            && let Some(others) = up.joining.peers_alive_until_ms(peers.iter().copied())
        {
            let counts = outdated_counts(up.alive_until_ms, others) || keeps;
            self.settle(run.node, counts);
        }
        let Some(up) = self.up(run) else { return };
        up.joining.members(peers.iter().copied());
        let asked: Vec<usize> = up.joining.to_ask().map(|peer| peer.node).collect();
        let mut fetched: BTreeMap<usize, Vec<Arc<str>>> = BTreeMap::new();
        for (peer, name) in up.joining.to_fetch() {
            fetched.entry(peer.node).or_default().push(Arc::clone(name));
        }
        let ready = up.joining.is_ready(peers.iter().copied()) || at_once;
        up.ready = ready && listened && up.settled;
        if up.ready {
            self.became_ready(run);
        }
        for to in asked {
            self.send(run, to, &Message::Ask);
        }
        for (to, names) in fetched {
            self.fetch(run, to, names, true);
        }
    }

    fn settle(&mut self, node: usize, counts: bool) {
        let clock_ms = self.clock_of(node);
        let place = &mut self.nodes[node];
        let Some(up) = &mut place.up else { return };
        if !counts {
            up.catalogue = up.catalogue.emptied();
            place.disk.replace(&[]);
            place.showed.clear();
        }
        place.disk.alive_ms = Some(clock_ms);
        up.settled = true;
        up.publish();
        self.showed(node);
    }

    /// A node that is ready has what the peers that it sees have acknowledged.
    fn became_ready(&mut self, run: Run) {
        let now = self.now;
        let clock_ms = self.clock_ms();
        let Some(up) = &self.nodes[run.node].up else {
            return;
        };
        let mut violation = None;
        for peer in up.peers(now) {
            let compared = up.compared.get(&peer).copied().flatten();
            for change in &self.ledger.acknowledged {
                if change.by.node != peer.node {
                    continue;
                }
                // A peer that lost sight of this node after they were compared no longer waited for it.
                let lost_sight =
                    compared.is_some_and(|at| at <= change.at) && !change.members.contains(&run);
                let has = up.served.get(&change.name);
                if !lost_sight && !self.ledger.survives(change, has, clock_ms) {
                    violation = Some(format!(
                        "{run:?} is ready with {has:?} of `{}`, but {:?} acknowledged {}",
                        change.name, change.by, change.summary
                    ));
                }
            }
        }
        if let Some(violation) = violation {
            self.violated(violation);
        }
    }

    /// After all is calm: every node is ready and has the same, and nothing that was acknowledged is lost.
    pub(crate) fn check(&mut self) {
        if self.violation.is_some() {
            return;
        }
        let clock_ms = self.clock_ms();
        let catalogue = |node: &Node| -> Option<Catalogue> {
            let up = node.up.as_ref().filter(|up| up.ready)?;
            Some(up.catalogue.clone())
        };
        let catalogues: Vec<Option<Catalogue>> = self.nodes.iter().map(catalogue).collect();
        let mut violations = Vec::new();
        for (node, catalogue) in catalogues.iter().enumerate() {
            let Some(catalogue) = catalogue else {
                violations.push(format!("node {node} is not ready"));
                continue;
            };
            for name in &self.names {
                // Some may have forgotten an old removal, and others not yet.
                let in_force = |catalogue: &Catalogue| {
                    let summary = catalogue.known(name).map(StoredItem::summary).copied();
                    summary.filter(|summary| !summary.is_expired(clock_ms + LARGEST_SKEW_MS))
                };
                let last = in_force(catalogue);
                if catalogues[0].as_ref().map(in_force) != Some(last) {
                    violations.push(format!("nodes 0 and {node} differ in `{name}`"));
                }
                let last = last.as_ref();
                for change in &self.ledger.acknowledged {
                    if change.name == *name && !self.ledger.survives(change, last, clock_ms) {
                        violations.push(format!(
                            "`{name}` {} of {:?} was acknowledged and is lost: {last:?}",
                            change.summary, change.by
                        ));
                    }
                }
            }
        }
        if let Some(violation) = violations.into_iter().next() {
            self.violated(violation);
        }
    }
}
