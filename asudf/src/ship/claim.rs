//! Who may change modules: one at a time, on servers that know no locks.
//!
//! Every node of a cluster applies all puts and removals in one order, later than the command was answered perhaps. So
//! whoever wants to change modules
//!
//! 1. puts a module under a name of its own (a *claim*) and waits until every node serves it,
//! 2. only then looks at every node for claims of others.
//!
//! Of two, whoever completes the first step later finds the other one's claim in the second: never do both find nobody,
//! and no clock plays a part in that. Where both find each other before either holds, the one with the smaller token goes
//! on once the other has withdrawn.
//!
//! A claim is left behind, and may be removed, when the process that put it is known to be gone, or when it has
//! not changed for [`LEASE`], in which a living owner changes it several times. An owner that was only asleep finds its
//! claim gone before its next change, and stops.
//!
//! No sockets, no clock: time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::content::{Digest, Module};
use super::marker::{Lock, lock_name};
use super::owner::Presence;

/// How long a claim may stay unchanged before it counts as left behind.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at a claim that may have been left behind.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

/// The claims on each node: name → source.
pub(crate) type Claims = Vec<BTreeMap<String, Vec<u8>>>;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again, after this time.
    Look(Duration),
    /// Register this module, then look.
    Put(Module),
    /// Remove this module, then look.
    Remove(String),
    /// Modules may be changed.
    Held,
    /// They may not, and nothing of the own claim is left. Why.
    Stopped(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Asking,
    /// Put, and not served by every node yet.
    Placing(Duration),
    /// Served by every node.
    Placed(Duration),
    Withdrawing(String, Duration),
}

/// What is known about somebody else's claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alive,
    LeftBehind,
    Unknown,
}

/// One who wants to change modules.
pub(crate) struct Claim {
    own: Lock,
    source: Vec<u8>,
    name: String,
    stage: Stage,
    /// Claims that are to be taken away, alive or not: those that were there first.
    breaks: Option<BTreeSet<String>>,
    break_lock: bool,
    /// Claims of others: what they were when they were first seen, and when that was.
    watched: BTreeMap<String, (Digest, Duration)>,
    limit: Duration,
}

impl Claim {
    /// `number` chooses the name; `limit` is how long nodes may take to follow a change.
    ///
    /// # Errors
    /// The lock cannot be written, which is a defect.
    pub(crate) fn new(
        own: Lock,
        number: u64,
        break_lock: bool,
        limit: Duration,
    ) -> Result<Self, String> {
        Ok(Self {
            source: own.source()?,
            own,
            name: lock_name(number),
            stage: Stage::Asking,
            breaks: None,
            break_lock,
            watched: BTreeMap::new(),
            limit,
        })
    }

    /// The file name of the claim.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The claim as it is from now on: held, and by one who is alive.
    ///
    /// # Errors
    /// It cannot be written, which is a defect.
    pub(crate) fn renewed(&mut self) -> Result<Module, String> {
        self.own.held = true;
        self.own.beat += 1;
        self.source = self.own.source()?;
        Ok(Module::new(&self.name, self.source.clone()))
    }

    /// Whether a source is that of this claim.
    pub(crate) fn is_own(&self, source: Option<&Vec<u8>>) -> bool {
        source == Some(&self.source)
    }

    /// Who may be waited for, if somebody is.
    pub(crate) fn waits_for(&self, claims: &Claims) -> Option<String> {
        let others = self.others(claims);
        let (name, sources) = others.first_key_value()?;
        Some(shown(name, sources))
    }

    /// The next step. The claims have to be looked at after the step before was done.
    pub(crate) fn next(
        &mut self,
        claims: &Claims,
        now: Duration,
        presence: impl Fn(&Lock) -> Presence,
    ) -> Next {
        let others = self.others(claims);
        let known: BTreeSet<String> = others.keys().cloned().collect();
        let breaks = self.breaks.get_or_insert_with(|| match self.break_lock {
            true => known.clone(),
            false => BTreeSet::new(),
        });
        self.watched.retain(|name, _| known.contains(name));
        let mut judged = Vec::new();
        for (name, sources) in &others {
            let digest = Digest::of(&sources.join(&b'\n'));
            let (first, since) = *self.watched.entry(name.clone()).or_insert((digest, now));
            let lock = read(name, sources);
            let verdict = match lock.as_ref().map(&presence) {
                _ if breaks.contains(name) => Verdict::LeftBehind,
                Some(Presence::Gone) => Verdict::LeftBehind,
                Some(Presence::Alive) => Verdict::Alive,
                _ if first != digest => Verdict::Alive,
                _ if now.saturating_sub(since) >= LEASE => Verdict::LeftBehind,
                _ => Verdict::Unknown,
            };
            judged.push((name, shown(name, sources), lock, verdict));
        }
        let left_behind = judged.iter().find(|judged| judged.3 == Verdict::LeftBehind);
        let left_behind = left_behind.map(|judged| judged.0.clone());
        let own = claims
            .iter()
            .filter(|node| node.get(&self.name) == Some(&self.source))
            .count();
        match self.stage.clone() {
            Stage::Asking => {
                if let Some(name) = left_behind {
                    return Next::Remove(name);
                }
                if let Some((_, who, ..)) = judged.iter().find(|judged| judged.3 == Verdict::Alive)
                {
                    return Next::Stopped(busy(who));
                }
                if !judged.is_empty() {
                    return Next::Look(WATCH_PAUSE);
                }
                self.stage = Stage::Placing(now);
                Next::Put(Module::new(&self.name, self.source.clone()))
            }
            Stage::Placing(since) => {
                if own == claims.len() {
                    self.stage = Stage::Placed(now);
                    return Next::Look(Duration::ZERO);
                }
                if now.saturating_sub(since) > self.limit {
                    let served = format!(
                        "the lock is served by {own} of {} nodes after {:?}",
                        claims.len(),
                        self.limit
                    );
                    return self.withdraw(served, now);
                }
                Next::Look(PAUSE)
            }
            Stage::Placed(since) => {
                if own < claims.len() {
                    return self.withdraw("somebody took the lock away".to_owned(), now);
                }
                if let Some(name) = left_behind {
                    return Next::Remove(name);
                }
                let goes_first = |lock: &Option<Lock>| {
                    let lock = lock.as_ref();
                    lock.is_none_or(|lock| lock.held || lock.token <= self.own.token)
                };
                if let Some((_, who, ..)) = judged.iter().find(|judged| goes_first(&judged.2)) {
                    return self.withdraw(busy(who), now);
                }
                match judged.first() {
                    None => Next::Held,
                    // It has to withdraw, having found this one.
                    Some((_, who, ..)) if now.saturating_sub(since) > LEASE => {
                        self.withdraw(busy(who), now)
                    }
                    Some(_) => Next::Look(PAUSE),
                }
            }
            Stage::Withdrawing(why, since) => {
                let is_over = now.saturating_sub(since) > self.limit;
                match own {
                    0 => Next::Stopped(why),
                    _ if is_over => Next::Stopped(format!(
                        "{why}; and {} is still there: remove it",
                        self.name
                    )),
                    _ => Next::Look(PAUSE),
                }
            }
        }
    }

    fn withdraw(&mut self, why: String, now: Duration) -> Next {
        self.stage = Stage::Withdrawing(why, now);
        Next::Remove(self.name.clone())
    }

    /// Claims that are not this one, with their sources on the nodes that have them.
    fn others<'c>(&self, claims: &'c Claims) -> BTreeMap<String, Vec<&'c [u8]>> {
        let mut others: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
        for (name, source) in claims.iter().flatten() {
            if *name != self.name || *source != self.source {
                others.entry(name.clone()).or_default().push(source);
            }
        }
        others
    }
}

/// Of several sources that a claim has while it changes: held if one says so.
fn read(name: &str, sources: &[&[u8]]) -> Option<Lock> {
    let locks = sources
        .iter()
        .filter_map(|source| Lock::parse(name, source).ok());
    locks.max_by_key(|lock| (lock.held, lock.beat))
}

fn shown(name: &str, sources: &[&[u8]]) -> String {
    match read(name, sources) {
        Some(lock) => lock.shown(),
        None => format!("somebody whose lock {name} cannot be read"),
    }
}

fn busy(who: &str) -> String {
    format!("{who} is changing modules on this cluster: nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A cluster that applies changes in one order, each node as late as it likes.
    #[derive(Default)]
    struct Cluster {
        log: Vec<(String, Option<Vec<u8>>)>,
        nodes: Vec<(usize, BTreeMap<String, Vec<u8>>)>,
    }

    impl Cluster {
        fn catch_up(&mut self, node: usize) {
            let (at, claims) = &mut self.nodes[node];
            if let Some((name, source)) = self.log.get(*at) {
                match source {
                    Some(source) => claims.insert(name.clone(), source.clone()),
                    None => claims.remove(name),
                };
                *at += 1;
            }
        }

        /// A command is answered when one node has applied it.
        fn change(&mut self, name: &str, source: Option<Vec<u8>>) {
            self.log.push((name.to_owned(), source));
            while self.nodes[0].0 < self.log.len() {
                self.catch_up(0);
            }
        }
    }

    /// One who claims; looks at nodes one after the other.
    struct Actor {
        claim: Claim,
        seen: Claims,
        ended: Option<Next>,
    }

    fn actor(token: u64, number: u64) -> Actor {
        let lock = Lock::new(&format!("{token:016x}"), "apply", "me", "now", None);
        Actor {
            claim: Claim::new(lock, number, false, LIMIT).unwrap(),
            seen: Vec::new(),
            ended: None,
        }
    }

    /// A plain generator of numbers, for histories that can be repeated.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn of_those_who_claim_at_once_exactly_one_goes_on() {
        for seed in 1..=3_000_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let count = 2 + (random(&mut state) % 2) as usize;
            let mut cluster = Cluster {
                nodes: vec![(0, BTreeMap::new()); 1 + (random(&mut state) % 3) as usize],
                ..Cluster::default()
            };
            let mut actors: Vec<Actor> = (0..count)
                .map(|index| actor(random(&mut state), 7 * index as u64))
                .collect();
            let mut steps = 0;
            let mut now = Duration::ZERO;
            while actors.iter().any(|actor| actor.ended.is_none()) {
                steps += 1;
                assert!(steps < 100_000, "seed {seed}: nobody gets on");
                now += Duration::from_micros(100);
                let node = (random(&mut state) % cluster.nodes.len() as u64) as usize;
                cluster.catch_up(node);
                let index = (random(&mut state) % count as u64) as usize;
                let actor = &mut actors[index];
                if actor.ended == Some(Next::Held) {
                    let held = actor.claim.renewed().unwrap();
                    cluster.change(&held.name, Some(held.source.to_vec()));
                }
                if actor.ended.is_some() {
                    continue;
                }
                if actor.seen.len() < cluster.nodes.len() {
                    actor.seen.push(cluster.nodes[actor.seen.len()].1.clone());
                    continue;
                }
                let seen = std::mem::take(&mut actor.seen);
                // Processes of one machine, or of several.
                let presence = match seed % 2 {
                    0 => Presence::Alive,
                    _ => Presence::Elsewhere,
                };
                match actor.claim.next(&seen, now, |_| presence) {
                    Next::Look(_) => {}
                    Next::Put(module) => cluster.change(&module.name, Some(module.source.to_vec())),
                    Next::Remove(name) => cluster.change(&name, None),
                    end => actor.ended = Some(end),
                }
            }
            let held = actors
                .iter()
                .filter(|actor| actor.ended == Some(Next::Held))
                .count();
            assert_eq!(held, 1, "seed {seed}");
            for node in 0..cluster.nodes.len() {
                while cluster.nodes[node].0 < cluster.log.len() {
                    cluster.catch_up(node);
                }
                assert_eq!(
                    cluster.nodes[node].1.len(),
                    1,
                    "seed {seed}: claims are left"
                );
            }
        }
    }

    /// Runs one actor on a cluster of one node to its end.
    fn run(actor: &mut Actor, cluster: &mut Cluster, presence: Presence) -> (Next, Duration) {
        let mut now = Duration::ZERO;
        loop {
            let claims = cluster.nodes.iter().map(|node| node.1.clone()).collect();
            match actor.claim.next(&claims, now, |_| presence) {
                Next::Look(pause) => now += pause + Duration::from_millis(1),
                Next::Put(module) => cluster.change(&module.name, Some(module.source.to_vec())),
                Next::Remove(name) => cluster.change(&name, None),
                end => return (end, now),
            }
        }
    }

    fn with_claim(source: &[u8]) -> Cluster {
        let mut cluster = Cluster {
            nodes: vec![(0, BTreeMap::new())],
            ..Cluster::default()
        };
        cluster.change(&lock_name(1), Some(source.to_vec()));
        cluster
    }

    #[test]
    fn a_claim_that_was_left_behind_is_taken_and_a_living_one_is_not() {
        let other = Lock::new("0", "apply", "you@there", "then", None);
        let source = other.source().unwrap();
        for (source, presence, break_lock, held, waited) in [
            (&source[..], Presence::Gone, false, true, false),
            (&source, Presence::Alive, false, false, false),
            (&source, Presence::Elsewhere, false, true, true),
            (&source, Presence::Alive, true, true, false),
            (b"-- no lock", Presence::Elsewhere, false, true, true),
        ] {
            let mut cluster = with_claim(source);
            let mut actor = actor(5, 2);
            actor.claim.break_lock = break_lock;
            let (end, time) = run(&mut actor, &mut cluster, presence);
            assert_eq!(end == Next::Held, held, "{presence:?}: {end:?}");
            assert_eq!(time >= LEASE, waited, "{presence:?}: {time:?}");
            if !held {
                let Next::Stopped(why) = end else { panic!() };
                assert!(why.contains("you@there (apply, since then)"), "{why}");
            }
        }
    }

    #[test]
    fn a_claim_that_changes_is_alive() {
        let mut other = Lock::new("0", "apply", "you@there", "then", None);
        let mut actor = actor(5, 2);
        let mut now = Duration::ZERO;
        let mut looks = 0;
        let end = loop {
            other.beat = u64::from(looks >= 3);
            let claims = vec![BTreeMap::from([(lock_name(1), other.source().unwrap())])];
            match actor.claim.next(&claims, now, |_| Presence::Elsewhere) {
                Next::Look(pause) => now += pause,
                end => break end,
            }
            looks += 1;
        };
        assert!(matches!(end, Next::Stopped(_)), "{end:?}");
        assert_eq!(looks, 3);
    }

    #[test]
    fn whoever_loses_its_claim_stops() {
        let mut cluster = with_claim(b"");
        cluster.change(&lock_name(1), None);
        let mut actor = actor(5, 2);
        let claims = |cluster: &Cluster| vec![cluster.nodes[0].1.clone()];
        let next = actor
            .claim
            .next(&claims(&cluster), Duration::ZERO, |_| Presence::Elsewhere);
        let Next::Put(module) = next else { panic!() };
        cluster.change(&module.name, Some(module.source.to_vec()));
        let look = actor
            .claim
            .next(&claims(&cluster), Duration::ZERO, |_| Presence::Elsewhere);
        assert_eq!(look, Next::Look(Duration::ZERO));
        cluster.change(&module.name, None);
        let (end, _) = run(&mut actor, &mut cluster, Presence::Elsewhere);
        assert_eq!(end, Next::Stopped("somebody took the lock away".to_owned()));
    }
}
