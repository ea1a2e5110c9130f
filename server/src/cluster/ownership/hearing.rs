//! What nodes say to each other, who is there, and who is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::bounds::Fit as _;

use super::super::NodeId;
use super::bent::Bent;
use super::{Beat, Holding, MemberState, Ownership, Peer, REMEMBERED, Run};

impl Ownership {
    /// What to say to a node now.
    pub fn beat(&mut self, now: Duration, to: Run) -> Beat {
        self.sequence += 1;
        self.sent.push_back((self.sequence, now));
        while let Some((_, at)) = self.sent.front()
            && *at + self.times.silent < now
        {
            self.sent.pop_front();
        }
        let settled = self.is_settled();
        if settled {
            self.settled_sequence.get_or_insert(self.sequence);
        } else {
            self.settled_sequence = None;
        }
        let peer = self.peers.get(&to.0).filter(|peer| peer.run == to);
        let age = |since: &Duration| now.saturating_sub(*since);
        Beat {
            run: self.me,
            sequence: self.sequence,
            heard: peer.map_or(0, |peer| peer.sequence),
            state: self.state,
            epoch: self.epoch,
            key: self.view.key,
            settled,
            asks: peer.is_none_or(|peer| {
                peer.confirmed.is_none()
                    || self
                        .settled_sequence
                        .is_some_and(|sequence| peer.confirmed_sequence < sequence)
            }),
            keeps: self.keeps,
            missing: self
                .missing
                .iter()
                .map(|(run, since)| (*run, age(since)))
                .collect(),
        }
    }

    /// Takes in what a node says. True when the view is another now.
    pub fn heard(&mut self, now: Duration, beat: &Beat) -> bool {
        let node = beat.run.0;
        let is_late = self
            .past
            .get(&beat.run)
            .is_some_and(|sequence| beat.sequence <= *sequence);
        if node == self.me.0 || is_late || self.left.contains(&beat.run) {
            return false;
        }
        let before = self.view.key;
        let known = self.peers.get(&node).map(|peer| (peer.run, peer.sequence));
        match known {
            Some((run, sequence)) if run == beat.run => {
                if beat.sequence <= sequence {
                    return false;
                }
            }
            Some((run, _)) if run.1 > beat.run.1 => return false,
            Some(_) => {
                // Its process has ended without a word: this is the next.
                self.vanished(now, node);
                self.appeared(beat);
            }
            None => self.appeared(beat),
        }
        self.note(now, beat);
        for (run, age) in &beat.missing {
            self.adopt(*run, now.saturating_sub(*age));
        }
        if beat.state == MemberState::Left {
            self.peers.remove(&node);
            if beat.keeps && !beat.settled && !self.is_bent(Bent::KeptIsForgotten) {
                // It has ended with copies that nobody could take. It may be back with them.
                self.note_past(beat.run, beat.sequence);
                self.missing.insert(beat.run, now);
            } else {
                remember(&mut self.left, beat.run);
            }
        }
        self.look();
        self.view.key != before
    }

    /// A node is heard of that was not there before.
    fn appeared(&mut self, beat: &Beat) {
        let (node, incarnation) = beat.run;
        let earlier: Vec<Run> = self
            .missing
            .range((node, 0)..(node, incarnation))
            .map(|(run, _)| *run)
            .collect();
        // A node runs once at a time.
        for run in earlier {
            if beat.keeps && !self.is_bent(Bent::KeptIsForgotten) {
                self.goes_on(run, beat.run);
            } else {
                self.give_up(run);
            }
        }
        self.past.remove(&beat.run);
        self.missing.remove(&beat.run);
        self.fleeting.remove(&beat.run);
        self.dead.remove(&beat.run);
        if beat.state != MemberState::Joining {
            // It may have served where this node was not counted.
            self.doubt_all(beat.run);
        }
        let peer = Peer {
            run: beat.run,
            state: beat.state,
            epoch: beat.epoch,
            key: 0,
            sequence: 0,
            last_heard: Duration::ZERO,
            confirmed: None,
            confirmed_sequence: 0,
            settled: false,
            keeps: beat.keeps,
            report: None,
        };
        self.peers.insert(node, peer);
        self.epoch += 1;
    }

    fn note(&mut self, now: Duration, beat: &Beat) {
        // Only what was sent in this view tells that the peer has seen this node in it.
        let sent = (beat.heard >= self.view_sequence)
            .then(|| {
                self.sent
                    .binary_search_by_key(&beat.heard, |(sequence, _)| *sequence)
            })
            .and_then(Result::ok)
            .and_then(|at| self.sent.get(at))
            .map(|(_, at)| *at);
        let same_key = beat.key == self.view.key;
        let Some(peer) = self.peers.get_mut(&beat.run.0) else {
            return;
        };
        peer.sequence = beat.sequence;
        peer.last_heard = now;
        peer.state = beat.state;
        peer.epoch = beat.epoch;
        peer.key = beat.key;
        peer.settled = beat.settled;
        peer.confirmed_sequence = peer.confirmed_sequence.max(beat.heard);
        if !same_key {
            peer.confirmed = None;
        } else if sent.is_some() {
            peer.confirmed = peer.confirmed.max(sent);
        }
    }

    /// Learns from another that it misses a run.
    fn adopt(&mut self, run: Run, since: Duration) {
        let lives = self
            .peers
            .get(&run.0)
            .is_some_and(|peer| peer.run.1 >= run.1);
        let over = self.left.contains(&run) || self.dead.contains(&run);
        if run.0 != self.me.0 && !lives && !over && !self.is_bent(Bent::HearsayIgnored) {
            self.missing.entry(run).or_insert(since);
        }
    }

    /// Lets time pass. True when the view is another now.
    pub fn tick(&mut self, now: Duration) -> bool {
        let before = self.view.key;
        let passed = now.saturating_sub(self.ticked);
        if self.ticked != Duration::ZERO && passed > self.times.silent / 4 {
            // It was this node that was away: the others may have said anything meanwhile.
            let last_heard = self.peers.values_mut().map(|peer| &mut peer.last_heard);
            last_heard
                .chain(self.missing.values_mut())
                .for_each(|at| *at = (*at + passed).min(now));
        }
        self.ticked = now;
        let silent: Vec<NodeId> = self
            .peers
            .values()
            .filter(|peer| peer.last_heard + self.times.silent < now)
            .map(|peer| peer.run.0)
            .collect();
        silent.into_iter().for_each(|node| self.vanished(now, node));
        let dead: Vec<Run> = self
            .missing
            .iter()
            .filter(|(_, since)| **since + self.times.dead < now)
            .map(|(run, _)| *run)
            .collect();
        dead.into_iter().for_each(|run| self.give_up(run));
        self.look();
        self.view.key != before
    }

    fn note_past(&mut self, run: Run, sequence: u64) {
        self.past.insert(run, sequence);
        if self.past.len() > REMEMBERED {
            self.past.pop_first();
        }
    }

    /// A member is no member any more.
    fn vanished(&mut self, now: Duration, node: NodeId) {
        let Some(peer) = self.peers.remove(&node) else {
            return;
        };
        self.epoch += 1;
        self.note_past(peer.run, peer.sequence);
        let holds_nothing = match peer.state {
            MemberState::Joining => !peer.keeps,
            MemberState::Left => true,
            // What it has handed over it does not get back.
            MemberState::Leaving => peer.settled,
            MemberState::Ready => self.is_bent(Bent::AbsenceSettles),
        };
        if !holds_nothing {
            self.missing.insert(peer.run, peer.last_heard.min(now));
            if !peer.keeps {
                self.fleeting.insert(peer.run);
            }
        }
    }

    /// A missing run is certainly over, for example as nobody listens at its address any more. What one holds that outlives
    /// its process is waited for nevertheless.
    pub fn is_over(&mut self, run: Run) {
        if self.missing.contains_key(&run) && self.fleeting.contains(&run) {
            self.give_up(run);
            self.look();
        }
    }

    /// The next run of a node has what the one before held.
    fn goes_on(&mut self, before: Run, now: Run) {
        self.missing.remove(&before);
        self.fleeting.remove(&before);
        remember(&mut self.dead, before);
        self.epoch += 1;
        self.revision += 1;
        for place in &mut self.places {
            if place.given.remove(&before) {
                place.given.insert(now);
            }
        }
    }

    /// Goes on without a missing run and what it held.
    fn give_up(&mut self, run: Run) {
        self.missing.remove(&run);
        self.fleeting.remove(&run);
        remember(&mut self.dead, run);
        self.deaths += 1;
        self.epoch += 1;
        self.revision += 1;
        let lost: Vec<usize> = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.given.contains(&run))
            .map(|(at, _)| at)
            .collect();
        for at in lost {
            // It may have gone on from the copy that is here, and so will others now.
            let lineage = self.new_lineage();
            let keeps = self.keeps;
            if let Some(place) = self.places.get_mut(at)
                && let Some(holding) = place.holding.take()
            {
                place.hold(Some(Holding::first(lineage, [&holding])), keeps);
            }
        }
    }

    /// Any copy here may be outdated: this run may have served.
    fn doubt_all(&mut self, run: Run) {
        for place in &mut self.places {
            place.given.insert(run);
        }
        self.revision += 1;
    }

    pub(super) fn new_lineage(&mut self) -> u64 {
        self.lineages += 1;
        // Unique: nodes differ in their identity, runs of a node in their start.
        let mix = |value: u64| {
            let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            value ^ (value >> 31)
        };
        mix(self.me.0.number() ^ mix(self.me.1 ^ mix(self.lineages)))
    }

    /// Makes the view of who is there now.
    pub(super) fn look(&mut self) {
        let mut members: Vec<(Run, u64)> = self
            .peers
            .values()
            .map(|peer| (peer.run, peer.epoch))
            .chain([(self.me, self.epoch)])
            .collect();
        members.sort_unstable();
        let mut owners: Vec<NodeId> = self
            .peers()
            .chain([(self.me, self.state)])
            .filter(|(_, state)| *state == MemberState::Ready)
            .map(|((node, _), _)| node)
            .collect();
        owners.sort_unstable();
        if self.is_bent(Bent::KeyOfMembers) {
            members.iter_mut().for_each(|(_, epoch)| *epoch = 0);
        }
        let partitions = self.places.len().fit::<u16>();
        let Some(next) = self.view.changed(members, owners, partitions) else {
            return;
        };
        self.view = next;
        self.revision += 1;
        self.view_sequence = self.sequence + 1;
        self.settled_sequence = None;
        for peer in self.peers.values_mut() {
            peer.confirmed = None;
            peer.report = None;
        }
        for place in &mut self.places {
            place.verified = false;
        }
    }
}

/// Notes a run; the earliest by identity goes when there are too many.
fn remember(runs: &mut BTreeSet<Run>, run: Run) {
    runs.insert(run);
    if runs.len() > REMEMBERED {
        runs.pop_first();
    }
}
