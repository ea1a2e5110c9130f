//! Answers to owners that ask what is held here, take it, and have it dropped.

use std::sync::atomic::Ordering;

use super::super::ownership::{MemberState, Refusal};
use super::wire::{self, Block, TakeQuestion};
use super::{Records, portable};
use crate::config::node_id::NodeId;
use crate::record::Namespace;

/// Bytes of an answer, about.
const ANSWER_BYTES: usize = 1 << 20;

fn unreadable() -> String {
    "the question cannot be read".to_owned()
}

impl Records {
    /// What is held here, for one that has the same view.
    ///
    /// # Errors
    /// The view is another, or the question cannot be read.
    pub fn holdings(&self, mut body: &[u8]) -> Result<Vec<u8>, String> {
        let key = wire::read_key(&mut body).ok_or_else(unreadable)?;
        let report = self
            .rule
            .with(|ownership, _| ownership.report(key))
            .map_err(|refusal| refusal.to_string())?;
        let mut answer = Vec::new();
        wire::put_holdings(&report.holdings, &mut answer);
        wire::put_partitions(&report.unnoted, &mut answer);
        let truncations = self.node.namespaces.iter().flat_map(|namespace| {
            let truncations = namespace.truncations().into_iter();
            truncations.map(|truncation| (namespace.name(), truncation))
        });
        wire::put_truncations(truncations, &mut answer);
        Ok(answer)
    }

    /// The records of partitions that the asking node owns. Those on which a command is still at work are left out.
    ///
    /// # Errors
    /// The view is another, or the question cannot be read.
    pub async fn take(&self, from: NodeId, body: &[u8]) -> Result<Vec<u8>, String> {
        let question = wire::read_take_question(body).ok_or_else(unreadable)?;
        let TakeQuestion {
            key,
            after,
            partitions,
        } = question;
        // From here on no command begins on these partitions before their new owner has been asked.
        let given = self.rule.with(|ownership, _| {
            let give = |partition: &u16| ownership.give(key, from, *partition);
            partitions.iter().map(give).collect::<Vec<_>>()
        });
        let mut answer = Vec::new();
        let mut after = after;
        for (partition, given) in partitions.into_iter().zip(given) {
            match given {
                Err(Refusal::OtherView) => return Err(Refusal::OtherView.to_string()),
                Err(_) => {
                    after = None;
                    continue;
                }
                Ok(()) if !self.is_quiet(partition) => {
                    after = None;
                    continue;
                }
                Ok(()) => {}
            }
            let begin = answer.len();
            let is_whole = self
                .put_partition(partition, after.take(), &mut answer)
                .await?;
            // What was read while the view changed may have changed as well.
            let may_give = self
                .rule
                .with(|ownership, _| ownership.may_give(key, from, partition));
            if let Err(refusal) = may_give {
                answer.truncate(begin);
                return Err(refusal.to_string());
            }
            if !is_whole || answer.len() >= ANSWER_BYTES {
                break;
            }
        }
        Ok(answer)
    }

    /// Appends what follows of a partition; false when there is more.
    async fn put_partition(
        &self,
        partition: u16,
        after: wire::After,
        answer: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let (begin, mut after) = match after {
            Some((namespace, digest)) => (Some(namespace), Some(digest)),
            None => (None, None),
        };
        let later = |namespace: &&std::sync::Arc<Namespace>| {
            begin
                .as_deref()
                .is_some_and(|begin| begin != namespace.name())
        };
        for namespace in self.node.namespaces.iter().skip_while(later) {
            let mut scan = namespace.scan(partition, after.take());
            loop {
                let page = scan.page().await.map_err(|error| error.to_string())?;
                if page.is_empty() {
                    break;
                }
                let mut records = Vec::new();
                for record in &page {
                    portable::write(record, &mut records);
                }
                let transmitted = &namespace.migration.transmitted;
                transmitted.fetch_add(page.len() as u64, Ordering::Relaxed);
                let block = Block {
                    partition,
                    is_whole: false,
                    namespace: namespace.name(),
                    records: &records,
                };
                wire::put_block(&block, answer);
                if answer.len() >= ANSWER_BYTES {
                    return Ok(false);
                }
            }
        }
        let end = Block {
            partition,
            is_whole: true,
            namespace: "",
            records: &[],
        };
        wire::put_block(&end, answer);
        Ok(true)
    }

    /// Drops copies that the asking node has in newer versions.
    ///
    /// # Errors
    /// The view is another, the question cannot be read, or a record cannot be removed.
    pub async fn drop_copies(&self, from: NodeId, mut body: &[u8]) -> Result<Vec<u8>, String> {
        let key = wire::read_key(&mut body).ok_or_else(unreadable)?;
        let drops = wire::read_holdings(&mut body).ok_or_else(unreadable)?;
        let _copying = self.copying.lock().await;
        let dropped: Vec<u16> = self.rule.with(|ownership, _| {
            drops
                .iter()
                .filter(|(partition, by)| ownership.drop_copy(key, from, *partition, by).is_ok())
                .map(|(partition, _)| *partition)
                .collect()
        });
        // After a crash none of it is taken for a copy, however much of it is there still.
        self.note_copies().await?;
        for partition in &dropped {
            self.clear(*partition).await?;
        }
        self.count();
        let is_done = self.rule.with(|ownership, _| {
            ownership.state() == MemberState::Leaving && ownership.is_settled()
        });
        if is_done {
            self.cluster.membership.say_all();
        }
        let mut answer = Vec::new();
        wire::put_partitions(&dropped, &mut answer);
        Ok(answer)
    }
}
