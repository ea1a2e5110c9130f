//! Carries a plan out: one module after the other, each until every node serves it, while a lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::claim::{Claim, LEASE, Next};
use super::content::{Digest, Module, listed_hash};
use super::marker::Lock;
use super::nodes::{Nodes, Served};
use super::owner::{self, Presence, Process};
use super::plan::Plan;
use super::report::{Report, nodes};

/// Between two looks at the lists.
const PAUSE: Duration = Duration::from_millis(20);
/// A lock is renewed when it has been unchanged for so long, several times within [`LEASE`].
const BEAT: Duration = Duration::from_secs(5);
/// The lists that were read for the step before tell about the lock as well.
const SEEN_LATELY: Duration = Duration::from_millis(50);

/// Why a change ended before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// A node did not do what it was told, or what was found cannot be worked with.
    Failed(String),
    /// Somebody asked the program to end.
    Interrupted,
}

impl From<String> for Halt {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// Becomes true when the program is asked to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to INT and TERM from now on, instead of ending at once: a change stops between two steps.
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            asked.0.store(true, Ordering::Relaxed);
        });
        Ok(stop)
    }

    fn check(&self) -> Result<(), Halt> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Halt::Interrupted),
            false => Ok(()),
        }
    }
}

/// Who may change modules of a cluster now.
pub(crate) struct Carrier<'n> {
    /// The nodes.
    pub(crate) nodes: &'n mut Nodes,
    claim: Claim,
    /// When others were last shown that this one is alive.
    renewed: Instant,
    /// When the lock was last seen on every node.
    seen: Instant,
    stop: Stop,
}

impl<'n> Carrier<'n> {
    /// Waits for the lock: at most as long as it takes to find out that its owner is gone.
    ///
    /// # Errors
    /// Somebody else has it, or nodes do not answer. No lock of this one is left then.
    pub(crate) async fn take_lock(
        nodes: &'n mut Nodes,
        doing: &str,
        break_lock: bool,
        stop: Stop,
        report: &mut Report,
    ) -> Result<Self, Halt> {
        let token = owner::random();
        let lock = Lock::new(
            &format!("{token:016x}"),
            doing,
            &owner::shown(),
            &owner::now(),
            Some(Process::own()),
        );
        let claim = Claim::new(lock, owner::random(), break_lock, nodes.limit)?;
        let now = Instant::now();
        let mut carrier = Self {
            nodes,
            claim,
            renewed: now,
            seen: now,
            stop,
        };
        let held = match carrier.claim(report).await {
            Ok(()) => carrier.renew().await,
            Err(halt) => Err(halt),
        };
        match held {
            Ok(()) => Ok(carrier),
            Err(halt) => {
                // What failed is told; a lock that stays is found to be left behind.
                let _ = carrier.withdraw().await;
                Err(halt)
            }
        }
    }

    /// Removes what is left of the claim, if it is on some node.
    async fn withdraw(&mut self) -> Result<(), String> {
        let name = self.claim.name();
        let claims = self.nodes.claims().await?;
        let is_own = |claims: &BTreeMap<String, Vec<u8>>| self.claim.is_own(claims.get(name));
        match claims.iter().any(is_own) {
            true => self.nodes.remove(name).await,
            false => Ok(()),
        }
    }

    /// Takes the steps of the claim until it is held.
    async fn claim(&mut self, report: &mut Report) -> Result<(), Halt> {
        let mut told = false;
        let began = Instant::now();
        let presence = |lock: &Lock| {
            let process = lock.process.as_ref();
            process.map_or(Presence::Elsewhere, Process::presence)
        };
        loop {
            let claims = self.nodes.claims().await?;
            match self.claim.next(&claims, began.elapsed(), presence) {
                Next::Look(pause) => {
                    if !told
                        && pause >= Duration::from_millis(100)
                        && let Some(who) = self.claim.waits_for(&claims)
                    {
                        report.note(&format!(
                            "Waiting up to {} seconds to see whether {who} is still there",
                            LEASE.as_secs()
                        ));
                        told = true;
                    }
                    self.stop.check()?;
                    sleep(pause).await;
                }
                Next::Put(module) => self.nodes.put(&module).await.map_err(|reason| {
                    format!("the lock {} cannot be registered: {reason}", module.name)
                })?,
                Next::Remove(name) => self.nodes.remove(&name).await?,
                Next::Held => return Ok(()),
                Next::Stopped(why) => return Err(Halt::Failed(why)),
            }
        }
    }

    /// Shows others that the owner of the lock is alive.
    async fn renew(&mut self) -> Result<(), Halt> {
        let module = self.claim.renewed()?;
        self.nodes.put(&module).await?;
        self.renewed = Instant::now();
        Ok(())
    }

    /// Before each change: nobody asked for the end, and the lock is still there, on every node.
    async fn may_change(&mut self) -> Result<(), Halt> {
        self.stop.check()?;
        if self.seen.elapsed() > SEEN_LATELY {
            let lists = self.nodes.lists().await?;
            self.still_held(&lists)?;
        }
        if self.renewed.elapsed() >= BEAT {
            self.renew().await?;
        }
        Ok(())
    }

    fn still_held(&mut self, lists: &[BTreeMap<String, String>]) -> Result<(), Halt> {
        let name = self.claim.name();
        match lists.iter().all(|list| list.contains_key(name)) {
            true => {
                self.seen = Instant::now();
                Ok(())
            }
            false => Err(Halt::Failed(format!(
                "the lock {name} is gone: somebody took it, or it was removed"
            ))),
        }
    }

    /// Registers a module, and waits until every node serves it.
    ///
    /// # Errors
    /// The node's refusal, or which nodes do not serve it after the limit.
    pub(crate) async fn put(&mut self, module: &Module) -> Result<(), Halt> {
        self.may_change().await?;
        let name = &module.name;
        let put = self.nodes.put(module).await;
        put.map_err(|reason| format!("{name} was not put: {reason}"))?;
        let hash = listed_hash(module);
        let began = Instant::now();
        loop {
            let lists = self.nodes.lists().await?;
            let serving = self.nodes.serving(&lists, module, hash.as_deref()).await?;
            let lacking = serving.iter().filter(|serves| !**serves).count();
            if lacking == 0 {
                return self.still_held(&lists);
            }
            self.wait(began, || {
                format!(
                    "{name} was put, and {} of {} do not serve it after {:?}",
                    lacking,
                    nodes(serving.len()),
                    began.elapsed()
                )
            })
            .await?;
        }
    }

    /// Removes a module, and waits until no node lists it.
    ///
    /// # Errors
    /// The node's refusal, or how many nodes list it after the limit.
    pub(crate) async fn remove(&mut self, name: &str) -> Result<(), Halt> {
        self.may_change().await?;
        let removed = self.nodes.remove(name).await;
        removed.map_err(|reason| format!("{name} was not removed: {reason}"))?;
        let began = Instant::now();
        loop {
            let lists = self.nodes.lists().await?;
            let listing = lists.iter().filter(|list| list.contains_key(name)).count();
            if listing == 0 {
                return self.still_held(&lists);
            }
            self.wait(began, || {
                format!(
                    "{name} was removed, and {listing} of {} list it after {:?}",
                    nodes(lists.len()),
                    began.elapsed()
                )
            })
            .await?;
        }
    }

    async fn wait(&mut self, began: Instant, late: impl Fn() -> String) -> Result<(), Halt> {
        self.stop.check()?;
        if began.elapsed() > self.nodes.limit {
            return Err(Halt::Failed(late()));
        }
        if self.renewed.elapsed() >= BEAT {
            self.renew().await?;
        }
        sleep(PAUSE).await;
        Ok(())
    }

    /// Does what a plan says, then compares what every node serves, nodes that came meanwhile included.
    ///
    /// # Errors
    /// The first step that fails; nothing is tried after it.
    pub(crate) async fn carry_out(&mut self, plan: &Plan, report: &mut Report) -> Result<(), Halt> {
        for module in &plan.puts {
            self.put(module).await?;
            report.step("put", &module.name, self.nodes.count());
        }
        for name in &plan.removals {
            self.remove(name).await?;
            report.step("removed", name, self.nodes.count());
        }
        self.may_change().await?;
        self.nodes.refresh().await?;
        let wanted: BTreeMap<&str, Digest> = plan
            .rows
            .iter()
            .filter_map(|row| Some((row.name.as_str(), row.wanted?)))
            .collect();
        let picture = self.nodes.picture(|name| wanted.contains_key(name)).await?;
        for node in &picture.nodes {
            for (name, digest) in &wanted {
                if node.served.get(*name) != Some(&Served::Content(*digest)) {
                    return Err(Halt::Failed(format!(
                        "{} does not serve {name} as it was put: somebody changes modules, or the node has lost it",
                        node.name
                    )));
                }
            }
            let removed = plan
                .removals
                .iter()
                .find(|name| node.listed.contains_key(*name));
            if let Some(name) = removed {
                return Err(Halt::Failed(format!("{} lists {name} again", node.name)));
            }
        }
        Ok(())
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// It could not be removed; whoever comes next finds it left behind.
    pub(crate) async fn release(self) -> Result<(), String> {
        let name = self.claim.name().to_owned();
        self.nodes.remove(&name).await?;
        let began = Instant::now();
        while began.elapsed() < self.nodes.limit {
            let lists = self.nodes.lists().await?;
            if !lists.iter().any(|list| list.contains_key(&name)) {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(format!("some node still lists the lock {name}"))
    }
}
