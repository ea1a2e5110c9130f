//! Messages that arrive, and what nodes do with them.

use std::sync::Arc;

use super::super::super::item::Item;
use super::super::super::joining::Standing;
use super::super::super::kind::PLAIN;
use super::super::super::version::{Decision, decide};
use super::super::node::{Message, Run, Then, Write};
use super::{Fault, World};

impl World {
    pub(crate) fn deliver(&mut self, from: Run, to: usize, message: Message) {
        if self.blocked.contains(&(from.node, to)) {
            return;
        }
        let now = self.now;
        let clock_ms = self.clock_of(to);
        let unlisted = self.is(Fault::ReadyUnlisted);
        let Some(up) = &mut self.nodes[to].up else {
            return;
        };
        let run = up.run;
        match message {
            Message::Gossip(theirs) => {
                up.hear(from, now);
                let names = up.missing(&theirs, clock_ms);
                if !names.is_empty() && up.settled && !self.is(Fault::GossipIgnored) {
                    self.fetch(run, from.node, names, false);
                }
            }
            Message::Push(item) => self.pushed_to(run, from, &item),
            Message::Pushed { name, offered, has } => {
                let older = self.is(Fault::OlderCounts);
                let Some(up) = self.up(run) else { return };
                let has = if older { offered } else { has };
                for waited in &mut up.waited {
                    if waited.item.name == *name && *waited.rollout.offered() == offered {
                        waited.rollout.acknowledged(from, &has);
                    }
                }
                if has > offered {
                    self.fetch(run, from.node, vec![name], false);
                }
                self.complete(run);
            }
            Message::Ask => {
                let listed = up.peers(now).contains(&from);
                let answer = Message::Answer {
                    standing: Standing {
                        lists_asker: listed || unlisted,
                        alive_until_ms: up.alive_until_ms(clock_ms),
                        is_settled: up.settled,
                    },
                    summaries: Arc::clone(&up.served),
                    listed_at: listed.then_some(now),
                };
                self.send(run, from.node, &answer);
            }
            Message::Answer {
                standing,
                summaries,
                listed_at,
            } => {
                let was_due = up.joining.to_ask().any(|peer| peer == from);
                let names = up.missing(&summaries, clock_ms);
                up.joining.answered(from, standing, up.settled, names);
                if was_due && up.joining.to_ask().all(|peer| peer != from) {
                    up.compared.insert(from, listed_at);
                }
            }
            Message::Fetch { names, joining } => {
                let items = names.iter().filter_map(|name| up.catalogue.known(name));
                let items = items.filter(|_| up.settled);
                let items = items.map(|item| Arc::new(item.to_item())).collect();
                let answer = Message::Fetched {
                    joining,
                    names,
                    items,
                };
                self.send(run, from.node, &answer);
            }
            Message::Fetched {
                joining,
                names,
                items,
            } => {
                let then = if joining {
                    Then::Joined(from, names)
                } else {
                    Then::Nothing
                };
                self.fetched(run, &items, then);
            }
        }
    }

    fn is_refused(&self, item: &Item) -> bool {
        item.check(&PLAIN).is_err() && !self.is(Fault::HashNotChecked)
    }

    fn pushed_to(&mut self, run: Run, from: Run, item: &Arc<Item>) {
        if self.is_refused(item) {
            return;
        }
        let early = self.is(Fault::AnswersBeforeDisk);
        let older = self.is(Fault::OlderCounts) && self.random.percent(50);
        let Some(up) = self.up(run) else { return };
        if !up.settled {
            return;
        }
        let known = up.served.get(&*item.name).copied();
        let has = match decide(known.as_ref(), &item.summary) {
            Decision::Take if early || (older && known.is_some()) => Some(item.summary),
            Decision::Take => None,
            Decision::Same | Decision::Older => known,
        };
        if let Some(has) = has {
            let answer = Message::Pushed {
                name: item.name.as_str().into(),
                offered: item.summary,
                has,
            };
            self.send(run, from.node, &answer);
        }
        if has.is_none() || early {
            self.write(
                run,
                Write {
                    items: vec![Item::clone(item)],
                    then: Then::Answer(from),
                },
            );
        }
    }

    pub(crate) fn fetch(&mut self, run: Run, from: usize, names: Vec<Arc<str>>, joining: bool) {
        self.send(run, from, &Message::Fetch { names, joining });
    }

    fn fetched(&mut self, run: Run, items: &[Arc<Item>], then: Then) {
        if items.iter().any(|item| self.is_refused(item)) {
            return;
        }
        let items = items.iter().map(|item| Item::clone(item)).collect();
        self.write(run, Write { items, then });
    }
}

/// Changes a content on its way.
pub(crate) fn damage(message: &mut Message) {
    let item = match message {
        Message::Push(item) => Some(item),
        Message::Fetched { items, .. } => items.first_mut(),
        _ => None,
    };
    if let Some(item) = item
        && let Some(content) = &mut Arc::make_mut(item).content
    {
        content.replace_range(0..1, "Z");
    }
}
