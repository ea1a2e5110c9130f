//! Taking, giving and dropping copies of partitions.

use std::collections::BTreeMap;

use protocol::bounds::Fit as _;

use super::super::NodeId;
use super::bent::Bent;
use super::{Holding, Holdings, MemberState, Ownership, Peer, Refusal, Report, Take};

impl Ownership {
    /// Members that have the same view and have not said yet what they hold, or not yet that they have noted it.
    #[must_use]
    pub fn unreported(&self) -> Vec<NodeId> {
        let will_note = |peer: &Peer| {
            let report = peer.report.as_ref();
            report.is_some_and(|report| !report.unnoted.is_empty())
        };
        self.peers
            .values()
            .filter(|peer| !self.has_reported(peer) || will_note(peer))
            .filter(|peer| peer.key == self.view.key)
            .map(|peer| peer.run.0)
            .collect()
    }

    /// One that is joining holds nothing but what has outlived its earlier run.
    fn has_reported(&self, peer: &Peer) -> bool {
        let joins = peer.state == MemberState::Joining;
        let holds_nothing = joins && (!peer.keeps || self.is_bent(Bent::KeptIsForgotten));
        holds_nothing || peer.report.is_some()
    }

    /// What this node holds, for one that has the same view.
    ///
    /// # Errors
    /// The view is another.
    pub fn report(&self, key: u64) -> Result<Report, Refusal> {
        self.check_key(key)?;
        let holdings: Holdings = self
            .holdings()
            .map(|(partition, holding)| (partition, holding.clone()))
            .collect();
        let is_unnoted = |partition: &u16| {
            let place = self.places.get(usize::from(*partition));
            place.is_some_and(|place| place.unnoted)
        };
        let held = holdings.iter().map(|(partition, _)| *partition);
        let unnoted = held.filter(is_unnoted).collect();
        Ok(Report { holdings, unnoted })
    }

    fn holdings(&self) -> impl Iterator<Item = (u16, &Holding)> + '_ {
        (0..)
            .zip(&self.places)
            .filter_map(|(partition, place)| Some((partition, place.holding.as_ref()?)))
    }

    fn check_key(&self, key: u64) -> Result<(), Refusal> {
        let same = key == self.view.key || self.is_bent(Bent::NoFence);
        same.then_some(()).ok_or(Refusal::OtherView)
    }

    /// Takes in what a member holds. It counts only while the view is the one in which it was asked.
    pub fn reported(&mut self, key: u64, node: NodeId, report: Report) {
        if self.check_key(key).is_ok()
            && let Some(peer) = self.peers.get_mut(&node)
        {
            peer.report = Some(report);
        }
    }

    /// Finds out what is to be done for the partitions that this node owns and cannot serve; what needs nothing but
    /// knowledge is done.
    pub fn plan(&mut self) -> Vec<Take> {
        let mut peers = self.peers.values();
        let agreed = self.lease().is_some() && peers.all(|peer| self.has_reported(peer));
        if !agreed || (!self.missing.is_empty() && !self.is_bent(Bent::MissingIgnored)) {
            return Vec::new();
        }
        let mut takes = Vec::new();
        let mut reports: BTreeMap<u16, Vec<(NodeId, &Holding)>> = BTreeMap::new();
        let mut noted: BTreeMap<u16, Vec<&Holding>> = BTreeMap::new();
        for peer in self.peers.values() {
            let Some(report) = &peer.report else { continue };
            for (partition, holding) in &report.holdings {
                let copies = reports.entry(*partition).or_default();
                copies.push((peer.run.0, holding));
                if !report.unnoted.contains(partition) || self.is_bent(Bent::UnnotedCounts) {
                    noted.entry(*partition).or_default().push(holding);
                }
            }
        }
        let mut verified = Vec::new();
        for (partition, place) in (0_u16..).zip(&self.places) {
            if !self.view.is_owner(self.me.0, partition) {
                continue;
            }
            let own = place.holding.as_ref();
            let copies = reports.get(&partition).map_or(&[][..], Vec::as_slice);
            let replaces_all = |own: &Holding| copies.iter().all(|(_, other)| own.replaces(other));
            if self.has_newest(partition) && own.is_some_and(replaces_all) {
                continue;
            }
            let newest = |holding: &Holding| {
                let replaced =
                    |other: &Holding| other.replaces(holding) && !holding.replaces(other);
                !copies.iter().any(|(_, other)| replaced(other)) && !own.is_some_and(replaced)
            };
            let keep_own = own.is_some_and(newest);
            let outlives = |own: &Holding| {
                let mut noted = noted.get(&partition).into_iter().flatten();
                noted.any(|other| other.replaces(own))
            };
            if !keep_own && !own.is_none_or(outlives) {
                // A crash may take back what replaces it: its node is asked until it has noted it.
                continue;
            }
            let mut sources: Vec<(NodeId, &Holding)> = Vec::new();
            for (node, holding) in copies {
                let known = own
                    .filter(|_| keep_own)
                    .into_iter()
                    .chain(sources.iter().map(|(_, known)| *known));
                if newest(holding) && !known.into_iter().any(|known| known.replaces(holding)) {
                    sources.push((*node, *holding));
                }
            }
            let result = match (keep_own, sources.as_slice()) {
                (true, []) => {
                    verified.push(partition);
                    continue;
                }
                (false, [(_, holding)]) => holding.next(),
                _ => {
                    let parts = sources.iter().map(|(_, holding)| *holding).chain(own);
                    Holding::first(0, parts)
                }
            };
            takes.push(Take {
                partition,
                key: self.view.key,
                sources: sources.iter().map(|(node, _)| *node).collect(),
                keep_own,
                result,
            });
        }
        let keeps = self.keeps;
        for take in &mut takes {
            if take.sources.len() != 1 || take.keep_own {
                take.result.lineage = self.new_lineage();
            }
            if let Some(place) = self.places.get_mut(usize::from(take.partition)) {
                let was_served =
                    place.holding.is_some() && (place.verified || place.given.is_empty());
                place.verified = false;
                place.given.insert(self.me);
                if !take.keep_own {
                    // What is here is of no use any more, and is cleared.
                    place.hold(None, keeps);
                }
                // A plan that says the same again is no change.
                self.revision += u64::from(was_served);
            }
        }
        if !verified.is_empty() {
            self.revision += 1;
        }
        for partition in verified {
            let lineage = self.new_lineage();
            if let Some(place) = self.places.get_mut(usize::from(partition)) {
                place.verified = true;
                place.given.clear();
                if place.is_of_earlier_run
                    && let Some(holding) = place.holding.take()
                {
                    // Who has taken it, and is not here, must not be thought to know what is done from now on.
                    place.hold(Some(Holding::first(lineage, [&holding])), keeps);
                }
            }
        }
        takes
    }

    /// A take is done: all of it is here. False when the view is another by now, and what came is of no use.
    #[must_use]
    pub fn took(&mut self, take: &Take) -> bool {
        let in_time = self.check_key(take.key).is_ok();
        let keeps = self.keeps;
        let Some(place) = self
            .places
            .get_mut(usize::from(take.partition))
            .filter(|_| in_time)
        else {
            return false;
        };
        self.revision += 1;
        place.hold(Some(take.result.clone()), keeps);
        place.verified = true;
        place.given.clear();
        true
    }

    /// Holds what was here before this run began: partitions with the copies that were noted of them, none where none ever
    /// were. `is_noted` says that these notes are the ones that would be found again.
    pub fn hold_stored(&mut self, stored: Vec<(u16, Option<Holding>)>, is_noted: bool) {
        for (partition, holding) in stored {
            let lineage = self.new_lineage();
            if let Some(place) = self.places.get_mut(usize::from(partition)) {
                let was_noted = holding.is_some() && is_noted;
                let holding = holding.unwrap_or_else(|| Holding::first(lineage, []));
                place.hold(Some(holding), true);
                place.unnoted = !was_noted;
                place.is_of_earlier_run = true;
                // Others may have gone on since.
                place.given.insert(self.me);
            }
        }
        self.revision += 1;
    }

    /// What is to be noted: partitions with the copies that are here, none where there is none any more.
    #[must_use]
    pub fn unnoted(&self) -> Vec<(u16, Option<Holding>)> {
        (0..)
            .zip(&self.places)
            .filter(|(_, place)| place.unnoted)
            .map(|(partition, place)| (partition, place.holding.clone()))
            .collect()
    }

    /// This has been noted, and outlives a crash.
    pub fn noted(&mut self, notes: &[(u16, Option<Holding>)]) {
        for (partition, noted) in notes {
            if let Some(place) = self.places.get_mut(usize::from(*partition))
                && place.unnoted
                && place.holding == *noted
            {
                place.unnoted = false;
                self.revision += 1;
            }
        }
    }

    /// Lets the owner of a partition take the copy that is here. From now on this node does not rely on it. Commands that
    /// began before have to be over before the first record goes out.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn give(&mut self, key: u64, to: NodeId, partition: u16) -> Result<(), Refusal> {
        self.may_give(key, to, partition)?;
        let run = self.peers.get(&to).map(|peer| peer.run);
        if let Some(place) = self.places.get_mut(usize::from(partition)) {
            place.given.extend(run);
        }
        self.revision += 1;
        Ok(())
    }

    /// Whether the copy of a partition goes out under this key.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn may_give(&self, key: u64, to: NodeId, partition: u16) -> Result<(), Refusal> {
        self.check_key(key)?;
        if !self.view.is_owner(to, partition) {
            return Err(Refusal::NotOwner);
        }
        let held = self
            .places
            .get(usize::from(partition))
            .is_some_and(|place| place.holding.is_some());
        held.then_some(()).ok_or(Refusal::NotHeld)
    }

    /// Copies of others that this node's replace, and that they are to be told to drop.
    #[must_use]
    pub fn replaced(&self) -> Vec<(NodeId, Holdings)> {
        let replacement = |partition: u16| -> Option<&Holding> {
            let place = self.places.get(usize::from(partition))?;
            place.holding.as_ref().filter(|_| self.serves(partition))
        };
        self.peers
            .values()
            .filter_map(|peer| {
                let report = peer.report.as_ref()?;
                let drops: Holdings = report
                    .holdings
                    .iter()
                    .filter_map(|(partition, held)| {
                        let own = replacement(*partition)?;
                        own.replaces(held).then(|| (*partition, own.clone()))
                    })
                    .collect();
                (!drops.is_empty()).then_some((peer.run.0, drops))
            })
            .collect()
    }

    /// A member has dropped its copy of a partition.
    pub fn was_dropped(&mut self, key: u64, node: NodeId, partition: u16) {
        if self.check_key(key).is_ok()
            && let Some(report) = self
                .peers
                .get_mut(&node)
                .and_then(|peer| peer.report.as_mut())
        {
            report.holdings.retain(|(held, _)| *held != partition);
            report.unnoted.retain(|held| *held != partition);
        }
    }

    /// Drops the copy of a partition, which its owner has in this or a newer version. The records may go now.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn drop_copy(
        &mut self,
        key: u64,
        owner: NodeId,
        partition: u16,
        by: &Holding,
    ) -> Result<(), Refusal> {
        self.check_key(key)?;
        let keeps = self.keeps;
        if !self.view.is_owner(owner, partition) {
            return Err(Refusal::NotOwner);
        }
        let Some(place) = self.places.get_mut(usize::from(partition)) else {
            return Err(Refusal::NotHeld);
        };
        match &place.holding {
            None => Ok(()),
            Some(holding) if by.replaces(holding) => {
                place.hold(None, keeps);
                place.given.clear();
                self.revision += 1;
                Ok(())
            }
            Some(_) => Err(Refusal::NotReplaced),
        }
    }

    /// Whether there is a copy of a partition here that counts; records of others are left over from one that did.
    #[must_use]
    pub fn holds(&self, partition: u16) -> bool {
        self.places
            .get(usize::from(partition))
            .is_some_and(|place| place.holding.is_some())
    }

    /// Partitions that this node owns and does not serve, and those that it holds for others.
    #[must_use]
    pub fn on_their_way(&self) -> (usize, usize) {
        let owned = |partition: u16| self.view.is_owner(self.me.0, partition);
        let count = self.places.len().fit::<u16>();
        let incoming = (0..count)
            .filter(|partition| owned(*partition) && !self.serves(*partition))
            .count();
        let outgoing = self
            .holdings()
            .filter(|(partition, _)| !owned(*partition))
            .count();
        (incoming, outgoing)
    }

    /// Whether this node holds no partition of another.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let me = self.me.0;
        self.holdings()
            .all(|(partition, _)| self.view.is_owner(me, partition))
    }

    /// Whether there is nobody to hand over to, now or soon: one that fell silent may be back.
    #[must_use]
    pub fn has_no_heir(&self) -> bool {
        let heir = |state| matches!(state, MemberState::Ready | MemberState::Joining);
        self.missing.is_empty() && !self.peers().any(|(_, state)| heir(state))
    }

    /// Whether a node that is leaving may end: all that live have heard that nothing is left to hand over, or there is
    /// nobody to hand over to.
    #[must_use]
    pub fn may_end(&self) -> bool {
        if self.has_no_heir() {
            return true;
        }
        let told = self.settled_sequence.is_some_and(|sequence| {
            self.peers
                .values()
                .all(|peer| peer.confirmed.is_some() && peer.confirmed_sequence >= sequence)
        });
        let settled = self.is_settled() && told;
        self.state == MemberState::Leaving && (settled || self.is_bent(Bent::LeavesEarly))
    }
}
