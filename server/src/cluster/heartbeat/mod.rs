//! Heartbeats: who is there, and what each node says of itself.
//!
//! Every node sends to every other directly, on a thread of its own, and believes nobody about a third: what is said counts
//! only from the node itself, which proves that it receives at the address it names (`contacts`). So whoever cannot
//! read what is sent to a node can say nothing in its name, and nothing that is said can take a node out but its own silence.
//! `datagram` has the format, `texts` what nodes publish by name.

mod contacts;
mod datagram;
mod limit;
mod socket;
mod texts;

#[cfg(test)]
mod tests;

pub use socket::HeartbeatSocket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use self::contacts::{Contacts, is_usable};
use self::datagram::{Body, Datagram, Head, MAX_DATAGRAM, Malformed, News, Why};
use self::limit::LogLimit;
use self::texts::{OwnTexts, Texts};
use super::member::{Member, Members, are_as, log_changes, name};
use super::ownership::{MemberState, Run};
use super::rule::Rule;
use super::secret::Secret;
use crate::clock;
use crate::config::node_id::NodeId;

/// Nodes of a cluster, most.
const MOST_NODES: usize = 128;

/// Clocks of two nodes that differ by more are warned of.
const SKEW_WARNED: Duration = Duration::from_secs(60);

/// Beats over which the difference of two clocks is the smallest one seen: others include a delay.
const SKEW_BEATS: u32 = 16;

/// Kinds of lines about an address.
const TOLD_REFUSED: u8 = 0;
const TOLD_REFUSES: u8 = 1;
const TOLD_MALFORMED: u8 = 2;
const TOLD_TAKEN: u8 = 3;
const TOLD_CLOCK: u8 = 4;

/// Pause before a thread that died starts again.
const AGAIN: Duration = Duration::from_millis(100);

/// What the heartbeats of a node have sent and received.
#[derive(Debug, Default)]
pub struct HeartbeatTraffic {
    /// Datagrams sent.
    pub sent: AtomicU64,
    /// Bytes in them, without the heads of UDP and IP.
    pub sent_bytes: AtomicU64,
    /// Datagrams received that count.
    pub received: AtomicU64,
    /// Datagrams received from other clusters and strangers, and refused.
    pub refused: AtomicU64,
}

impl HeartbeatTraffic {
    /// Datagrams sent so far, and the bytes in them.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&self.sent), load(&self.sent_bytes))
    }
}

/// What the heartbeats of a node need to begin.
pub(super) struct HeartbeatSettings {
    pub(super) run: Run,
    pub(super) cluster: String,
    pub(super) address: SocketAddr,
    pub(super) interval: Duration,
    pub(super) secret: Option<Secret>,
}

/// Another node, as far as it has spoken.
struct Known {
    run: Run,
    address: SocketAddr,
    /// Its word for this node, which opens its fabric.
    word: u64,
    texts: Texts,
    /// Version of this node's texts that it has.
    acknowledged: u64,
    skew: Skew,
    /// When it said that it has left.
    left_at: Option<Duration>,
}

/// Time for which a node that has left is still answered by the fabric: it finishes what clients had asked of it.
const ANSWERED_AFTER_LEAVING: Duration = Duration::from_secs(15);

/// How far the clock of a peer is from this node's, in milliseconds.
#[derive(Default)]
struct Skew {
    ms: Option<i64>,
    least: Option<i64>,
    beats: u32,
}

impl Skew {
    fn note(&mut self, theirs: u64, ours: u64) {
        let difference = i64::try_from(theirs)
            .unwrap_or(i64::MAX)
            .saturating_sub(i64::try_from(ours).unwrap_or(i64::MAX));
        let closer = |known: Option<i64>| match known {
            Some(known) if known.abs() <= difference.abs() => Some(known),
            _ => Some(difference),
        };
        self.least = closer(self.least);
        self.ms = closer(self.ms);
        self.beats += 1;
        if self.beats == SKEW_BEATS {
            self.ms = self.least.take();
            self.beats = 0;
        }
    }
}

struct BeatState {
    contacts: Contacts,
    known: BTreeMap<NodeId, Known>,
    own: OwnTexts,
    log: LogLimit,
}

/// The heartbeats of one node.
pub(super) struct Heartbeat {
    settings: HeartbeatSettings,
    socket: std::net::UdpSocket,
    rule: Arc<Rule>,
    state: Mutex<BeatState>,
    members: watch::Sender<Arc<Members>>,
    /// Another live node has this one's identity; where.
    taken: watch::Sender<Option<SocketAddr>>,
    before_notice: Box<dyn Fn(&Members) + Send + Sync>,
    traffic: HeartbeatTraffic,
    ended: AtomicBool,
}

impl Heartbeat {
    pub(super) fn new(
        settings: HeartbeatSettings,
        socket: HeartbeatSocket,
        rule: Arc<Rule>,
        before_notice: Box<dyn Fn(&Members) + Send + Sync>,
    ) -> Self {
        let contacts = Contacts::new(settings.address);
        Self {
            settings,
            socket: socket.socket,
            rule,
            state: Mutex::new(BeatState {
                contacts,
                known: BTreeMap::new(),
                own: OwnTexts::default(),
                log: LogLimit::default(),
            }),
            members: watch::Sender::new(Arc::new(Members::new())),
            taken: watch::Sender::new(None),
            before_notice,
            traffic: HeartbeatTraffic::default(),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.members.subscribe()
    }

    pub(super) fn taken(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.taken.subscribe()
    }

    pub(super) fn traffic(&self) -> &HeartbeatTraffic {
        &self.traffic
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn add_seed(&self, address: SocketAddr) {
        self.state.lock().contacts.add_seed(address);
    }

    pub(super) fn remove_seed(&self, address: SocketAddr) {
        self.state.lock().contacts.remove_seed(address);
    }

    /// Publishes texts; those that are `None` are deleted.
    pub(super) fn publish<'t>(&self, texts: impl IntoIterator<Item = (&'t str, Option<&'t str>)>) {
        let mut state = self.state.lock();
        for (name, text) in texts {
            state.own.set(name, text);
        }
    }

    /// Whether a seed needs no waiting for: it is a live node, or of another cluster.
    pub(super) fn is_accounted(&self, seed: SocketAddr) -> bool {
        let state = self.state.lock();
        let is_refused = state
            .contacts
            .get(seed)
            .is_some_and(|contact| contact.refused.is_some());
        let live = |known: &Known| known.address == seed && self.lives(known.run);
        seed == self.settings.address || is_refused || state.known.values().any(live)
    }

    /// Where the fabric of a run was, which may be silent by now.
    pub(super) fn fabric_of(&self, run: Run) -> Option<SocketAddr> {
        let state = self.state.lock();
        let known = state.known.get(&run.0).filter(|known| known.run == run)?;
        known.texts.values.get(name::FABRIC)?.parse().ok()
    }

    /// Whether this is a live run, or one that has just left in order, and shows the word which was sent to its address.
    pub(super) fn is_member(&self, run: Run, word: u64) -> bool {
        let state = self.state.lock();
        let now = self.rule.now();
        let Some(known) = state.known.get(&run.0).filter(|known| known.run == run) else {
            return false;
        };
        let is_leaving = known
            .left_at
            .is_some_and(|left| now.saturating_sub(left) < ANSWERED_AFTER_LEAVING);
        state.contacts.word(known.address) == word && (is_leaving || self.lives(run))
    }

    /// The largest difference between two clocks of the cluster, in milliseconds.
    pub(super) fn skew_ms(&self) -> u64 {
        let state = self.state.lock();
        let differences = state
            .known
            .values()
            .filter(|known| self.lives(known.run))
            .filter_map(|known| known.skew.ms);
        let (least, most) = differences.fold((0, 0), |(least, most): (i64, i64), ms| {
            (least.min(ms), most.max(ms))
        });
        most.abs_diff(least)
    }

    fn lives(&self, run: Run) -> bool {
        self.rule
            .with(|ownership, _| ownership.peers().any(|(peer, _)| peer == run))
    }

    // ---- The thread

    /// Sends and receives until the end. Whatever goes wrong in it, it goes on.
    pub(super) fn run(&self) {
        while !self.ended.load(Ordering::Acquire) {
            let turn = std::panic::catch_unwind(AssertUnwindSafe(|| self.beat_until_end()));
            if turn.is_err() {
                error!(target: "hb", "the heartbeat died and is started again");
                std::thread::sleep(AGAIN);
            }
        }
    }

    fn beat_until_end(&self) {
        let mut buffer = vec![0; MAX_DATAGRAM + 1];
        let mut next = self.rule.now();
        while !self.ended.load(Ordering::Acquire) {
            let now = self.rule.now();
            if now >= next {
                self.tick();
                next = now + self.settings.interval;
            }
            let left = next.saturating_sub(self.rule.now());
            // A time of 0 would mean to wait for ever.
            let left = left.max(Duration::from_millis(1));
            if let Err(reason) = self.socket.set_read_timeout(Some(left)) {
                debug!(target: "hb", "no time limit: {reason}");
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    if let Some(bytes) = buffer.get(..length) {
                        self.received(bytes, from);
                    }
                }
                Err(reason) if reason.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(reason) => {
                    debug!(target: "hb", "nothing received: {reason}");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    fn tick(&self) {
        let changed = self.rule.with(|ownership, now| ownership.tick(now));
        let now = self.rule.now();
        self.state.lock().contacts.forget(now);
        self.say_all();
        if changed {
            self.notice(true);
        }
    }

    // ---- Saying

    /// Sends what is new to everybody.
    pub(super) fn say_all(&self) {
        let addresses: Vec<SocketAddr> = {
            let state = self.state.lock();
            state.contacts.iter().map(|(address, _)| address).collect()
        };
        addresses.into_iter().for_each(|address| self.say(address));
    }

    /// Sends a beat, or a greeting to one that has not proved yet that it is there.
    fn say(&self, address: SocketAddr) {
        let datagram = {
            let state = self.state.lock();
            let proved = state
                .contacts
                .get(address)
                .and_then(|contact| contact.proved);
            match proved {
                Some((_, run, word)) => Datagram {
                    head: self.head(&state.contacts, address, word),
                    body: self.beat(&state, run),
                },
                None => Datagram {
                    head: self.head(&state.contacts, address, 0),
                    body: Body::Greeting,
                },
            }
        };
        self.send(address, &datagram);
    }

    fn head(&self, contacts: &Contacts, to: SocketAddr, echo: u64) -> Head {
        let settings = &self.settings;
        Head {
            cluster: settings.cluster.clone(),
            run: settings.run,
            address: settings.address,
            word: contacts.word(to),
            echo,
        }
    }

    fn beat(&self, state: &BeatState, to: Run) -> Body {
        let known = state.known.get(&to.0).filter(|known| known.run == to);
        let (beat, live) = self.rule.with(|ownership, now| {
            let live: Vec<Run> = ownership.peers().map(|(run, _)| run).collect();
            (ownership.beat(now, to), live)
        });
        let is_live = |known: &&Known| live.contains(&known.run);
        let after = known.map_or(0, |known| known.acknowledged);
        let news = News {
            clock_ms: clock::unix_ms(),
            members: state
                .known
                .values()
                .filter(is_live)
                .map(|known| known.address)
                .collect(),
            have: known.map_or(0, |known| known.texts.version),
            after,
            texts: state.own.after(after),
        };
        Body::Beat(beat, news)
    }

    fn send(&self, to: SocketAddr, datagram: &Datagram) {
        let bytes = datagram.bytes(self.settings.secret.as_ref());
        match self.socket.send_to(&bytes, to) {
            Ok(_) => {
                self.traffic.sent.fetch_add(1, Ordering::Relaxed);
                self.traffic
                    .sent_bytes
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            // It is sent again before long.
            Err(reason) => debug!(target: "hb", "nothing sent to {to}: {reason}"),
        }
    }

    // ---- Hearing

    fn received(&self, bytes: &[u8], from: SocketAddr) {
        if bytes.is_empty() {
            // A node that starts looks whether anybody listens here.
            return;
        }
        let datagram = match Datagram::read(bytes, self.settings.secret.as_ref()) {
            Ok(datagram) => datagram,
            Err(reason) => return self.refuse_bytes(from, reason),
        };
        let Datagram { head, body } = datagram;
        if head.cluster != self.settings.cluster {
            return self.other_cluster(from, &head, &body);
        }
        if !is_usable(head.address) {
            return self.refuse_bytes(from, Malformed::Unreadable);
        }
        if head.run == self.settings.run && head.address == self.settings.address {
            // A seed that is this node by another name.
            return;
        }
        let now = self.rule.now();
        let mut state = self.state.lock();
        if head.echo != state.contacts.word(head.address) {
            if state.contacts.may_greet(head.address, now) {
                let greeting = Datagram {
                    head: self.head(&state.contacts, head.address, head.word),
                    body: Body::Greeting,
                };
                drop(state);
                self.send(head.address, &greeting);
            }
            return;
        }
        match body {
            Body::Refusal(why, address) => {
                // Only of those that this node has turned to.
                let asked = state.contacts.get(head.address).is_some();
                if asked && why == Why::TakenIdentity {
                    self.taken.send_replace(Some(address));
                }
                return;
            }
            Body::Greeting | Body::Beat(..) => {}
        }
        if let Err(holder) = self.admit(&mut state, &head, &body, now) {
            if let Some(holder) = holder {
                let refusal = Datagram {
                    head: self.head(&state.contacts, head.address, head.word),
                    body: Body::Refusal(Why::TakenIdentity, holder),
                };
                drop(state);
                self.send(head.address, &refusal);
            }
            return;
        }
        self.traffic.received.fetch_add(1, Ordering::Relaxed);
        state
            .contacts
            .proved(head.address, now, head.run, head.word);
        match body {
            Body::Beat(beat, news) => self.heard(state, &head, &beat, news),
            Body::Greeting | Body::Refusal(..) => {
                drop(state);
                self.say(head.address);
            }
        }
    }

    /// Whether a node that is where it says may be counted. If not, and its identity is that of another: where that is.
    fn admit(
        &self,
        state: &mut BeatState,
        head: &Head,
        body: &Body,
        now: Duration,
    ) -> Result<(), Option<SocketAddr>> {
        let (node, _) = head.run;
        if node == self.settings.run.0 {
            if state.log.may(head.address, TOLD_TAKEN, now) {
                warn!(
                    target: "hb",
                    "{} has the node-id of this node, {node}",
                    head.address
                );
            }
            // Of two that start, the one that started first goes on.
            let joining = self
                .rule
                .with(|ownership, _| ownership.state() == MemberState::Joining);
            let theirs_joins =
                matches!(body, Body::Beat(beat, _) if beat.state == MemberState::Joining);
            let ours = (self.settings.run.1, self.settings.address);
            let theirs = (head.run.1, head.address);
            if joining && (theirs < ours || matches!(body, Body::Beat(..)) && !theirs_joins) {
                self.taken.send_replace(Some(head.address));
                return Err(None);
            }
            return Err(Some(self.settings.address));
        }
        let others = |known: &Known| known.address == head.address && known.run.0 != node;
        let at_address = state.known.values().find(|known| others(known));
        if let Some(known) = at_address
            && self.lives(known.run)
        {
            // One node at an address.
            return Err(None);
        }
        match state.known.get(&node) {
            Some(known) if known.address != head.address && self.lives(known.run) => {
                let holder = known.address;
                if state.log.may(head.address, TOLD_TAKEN, now) {
                    warn!(
                        target: "hb",
                        "refused {}: its node-id {node} is that of the node at {holder}",
                        head.address
                    );
                }
                Err(Some(holder))
            }
            Some(_) => Ok(()),
            None if state.known.len() < MOST_NODES => Ok(()),
            None => {
                let silent: Option<NodeId> = state
                    .known
                    .values()
                    .find(|known| !self.lives(known.run))
                    .map(|known| known.run.0);
                match silent {
                    Some(silent) => {
                        state.known.remove(&silent);
                        Ok(())
                    }
                    None => Err(None),
                }
            }
        }
    }

    fn heard(
        &self,
        mut state: parking_lot::MutexGuard<'_, BeatState>,
        head: &Head,
        beat: &super::ownership::Beat,
        news: News,
    ) {
        let now = self.rule.now();
        let node = head.run.0;
        let newer = |known: &Known| known.run.1 < head.run.1 || !self.lives(known.run);
        match state.known.get(&node) {
            Some(known) if known.run == head.run => {}
            Some(known) if !newer(known) => return,
            _ => {
                let known = Known {
                    run: head.run,
                    address: head.address,
                    word: head.word,
                    texts: Texts::default(),
                    acknowledged: 0,
                    skew: Skew::default(),
                    left_at: None,
                };
                state.known.insert(node, known);
            }
        }
        for address in &news.members {
            state.contacts.add(*address, now);
        }
        let own_version = state.own.version();
        let Some(known) = state.known.get_mut(&node) else {
            return;
        };
        known.address = head.address;
        known.word = head.word;
        if beat.state == MemberState::Left && known.left_at.is_none() {
            known.left_at = Some(now);
        }
        known.skew.note(news.clock_ms, clock::unix_ms());
        let skew = known.skew.ms.unwrap_or_default().unsigned_abs();
        known.acknowledged = news.have.min(own_version);
        let lags = known.acknowledged < own_version;
        let has_more = news.texts.len();
        let learned = known.texts.take(news.after, news.texts);
        if u128::from(skew) > SKEW_WARNED.as_millis()
            && state.log.may(head.address, TOLD_CLOCK, now)
        {
            warn!(target: "hb", "the clock of {node} is {skew} ms from this node's");
        }
        drop(state);
        let (changed, states_before, states, answers) = self.rule.with(|ownership, now| {
            let state_of = |ownership: &super::ownership::Ownership| {
                ownership.peers().find(|(run, _)| *run == beat.run)
            };
            let before = state_of(ownership);
            let changed = ownership.heard(now, beat);
            let after = state_of(ownership);
            let answers = beat.asks && beat.key == ownership.view().key;
            (changed, before, after, answers)
        });
        if changed {
            self.say_all();
        } else if answers || lags || has_more != 0 {
            self.say(head.address);
        }
        let moved = changed || states_before != states;
        if moved || learned {
            self.notice(moved);
        }
    }

    fn other_cluster(&self, from: SocketAddr, head: &Head, body: &Body) {
        self.traffic.refused.fetch_add(1, Ordering::Relaxed);
        let now = self.rule.now();
        let mut state = self.state.lock();
        state.contacts.refused(head.address, now);
        state.contacts.refused(from, now);
        let is_refusal = matches!(body, Body::Refusal(..));
        let told = if is_refusal {
            TOLD_REFUSES
        } else {
            TOLD_REFUSED
        };
        if state.log.may(from, told, now) {
            let own = &self.settings.cluster;
            let other = head.cluster.escape_default();
            match is_refusal {
                true => warn!(
                    target: "hb",
                    "{from} refuses this node: it belongs to cluster `{other}`, this node to `{own}`"
                ),
                false => warn!(
                    target: "hb",
                    "refused {from}: it belongs to cluster `{other}`, this node to `{own}`"
                ),
            }
        }
        if !is_refusal && state.contacts.may_greet(from, now) {
            let refusal = Datagram {
                head: self.head(&state.contacts, from, head.word),
                body: Body::Refusal(Why::OtherCluster, self.settings.address),
            };
            drop(state);
            self.send(from, &refusal);
        }
    }

    fn refuse_bytes(&self, from: SocketAddr, reason: Malformed) {
        self.traffic.refused.fetch_add(1, Ordering::Relaxed);
        let now = self.rule.now();
        if self.state.lock().log.may(from, TOLD_MALFORMED, now) {
            warn!(target: "hb", "refused a datagram of {from}: {reason}");
        }
    }

    /// Makes the list of members anew, and tells of it. `moved`: what the rule says may be different too.
    fn notice(&self, moved: bool) {
        let live: Vec<(Run, MemberState)> =
            self.rule.with(|ownership, _| ownership.peers().collect());
        let state = self.state.lock();
        let members: Members = live
            .into_iter()
            .filter_map(|(run, does)| {
                let known = state.known.get(&run.0).filter(|known| known.run == run)?;
                let member = Member::of(
                    run,
                    does,
                    known.word,
                    &known.texts.values,
                    known.texts.version,
                )?;
                Some((run.0, member))
            })
            .collect();
        // Under the lock: lists come in their order.
        let before = Arc::clone(&self.members.borrow());
        let only_texts = are_as(&before, &members);
        log_changes(&before, &members);
        (self.before_notice)(&members);
        self.members.send_replace(Arc::new(members));
        drop(state);
        // Texts say nothing about who owns what.
        if moved || !only_texts {
            self.rule.wake();
        }
    }
}
