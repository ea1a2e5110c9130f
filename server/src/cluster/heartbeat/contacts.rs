//! Addresses that heartbeats go to, and the words by which nodes prove that they are reached there.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use super::super::ownership::Run;

/// Addresses, most.
const MOST: usize = 256;

/// An address that somebody named, and where nobody answered, is given up after this time.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// One that answered once is tried again for this long.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// Greetings to addresses that have proved nothing, in a second; addresses share this in so many groups.
const GREETINGS: f64 = 20.0;
const GROUPS: usize = 256;

/// An address of a node, or of what may be one.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    pub(super) is_seed: bool,
    pub(super) since: Duration,
    /// When it was proved last that a node is reached there; which, and its word for this node.
    pub(super) proved: Option<(Duration, Run, u64)>,
    /// It does not belong to this cluster; since when.
    pub(super) refused: Option<Duration>,
}

pub(super) struct Contacts {
    known: BTreeMap<SocketAddr, Contact>,
    words: RandomState,
    groups: Vec<(Duration, f64)>,
    own: SocketAddr,
}

impl Contacts {
    pub(super) fn new(own: SocketAddr) -> Self {
        Self {
            known: BTreeMap::new(),
            words: RandomState::new(),
            groups: vec![(Duration::ZERO, GREETINGS); GROUPS],
            own,
        }
    }

    /// This node's word for whoever receives at an address. Nobody can guess it, and it costs no memory.
    pub(super) fn word(&self, address: SocketAddr) -> u64 {
        self.words.hash_one(address).max(1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &Contact)> + '_ {
        self.known
            .iter()
            .map(|(address, contact)| (*address, contact))
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<&Contact> {
        self.known.get(&address)
    }

    pub(super) fn add_seed(&mut self, address: SocketAddr) {
        if address != self.own {
            self.known.entry(address).or_default().is_seed = true;
        }
    }

    /// It is no seed any more: silent, it is forgotten like others.
    pub(super) fn remove_seed(&mut self, address: SocketAddr) {
        if let Some(contact) = self.known.get_mut(&address) {
            contact.is_seed = false;
        }
    }

    /// A member has named an address.
    pub(super) fn add(&mut self, address: SocketAddr, now: Duration) {
        if address != self.own && is_usable(address) && self.has_room(address) {
            self.known.entry(address).or_insert(Contact {
                since: now,
                ..Contact::default()
            });
        }
    }

    fn has_room(&mut self, address: SocketAddr) -> bool {
        if self.known.len() >= MOST && !self.known.contains_key(&address) {
            // What proved nothing makes room for what may.
            let unproved = self
                .known
                .iter()
                .find(|(_, contact)| !contact.is_seed && contact.proved.is_none())
                .map(|(address, _)| *address);
            match unproved {
                Some(address) => self.known.remove(&address),
                None => return false,
            };
        }
        true
    }

    /// A node has shown the word that was sent to its address.
    pub(super) fn proved(&mut self, address: SocketAddr, now: Duration, run: Run, word: u64) {
        if address != self.own && self.has_room(address) {
            let contact = self.known.entry(address).or_default();
            contact.proved = Some((now, run, word));
            contact.refused = None;
        }
    }

    /// A node of another cluster is there.
    pub(super) fn refused(&mut self, address: SocketAddr, now: Duration) {
        if let Some(contact) = self.known.get_mut(&address) {
            contact.refused = Some(now);
        }
    }

    pub(super) fn forget(&mut self, now: Duration) {
        self.known.retain(|_, contact| {
            contact.is_seed
                || match contact.proved {
                    Some((at, ..)) => at + FORGOTTEN > now,
                    None => contact.since + GIVEN_UP > now,
                }
        });
    }

    /// Whether one that has proved nothing is answered now: a flood must not be answered by another.
    pub(super) fn may_greet(&mut self, address: SocketAddr, now: Duration) -> bool {
        let group = self.words.hash_one(("group", address)) % GROUPS as u64;
        let group = usize::try_from(group).ok();
        let Some((at, left)) = group.and_then(|group| self.groups.get_mut(group)) else {
            return false;
        };
        let passed = now.saturating_sub(*at).as_secs_f64();
        *left = (*left + passed * GREETINGS).min(GREETINGS);
        *at = now;
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        may
    }
}

/// Whether a node can be at an address at all.
pub(super) fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node_id::NodeId;

    #[test]
    fn addresses_and_greetings_are_bounded() {
        let address = |number: u16| SocketAddr::from(([127, 0, 0, 1], number));
        let mut contacts = Contacts::new(address(1));
        contacts.add_seed(address(2));
        let run = (NodeId::new(3).unwrap(), 1);
        contacts.proved(address(3), Duration::ZERO, run, 7);
        for number in 1_000..9_000 {
            contacts.add(address(number), Duration::ZERO);
        }
        assert_eq!(contacts.iter().count(), MOST);
        assert!(contacts.get(address(2)).is_some() && contacts.get(address(3)).is_some());
        contacts.forget(GIVEN_UP * 2);
        assert_eq!(contacts.iter().count(), 2);
        assert!(contacts.get(address(1)).is_none());

        let greeted = |contacts: &mut Contacts, now| {
            (0..10_000)
                .filter(|_| contacts.may_greet(address(5), now))
                .count()
        };
        assert_eq!(greeted(&mut contacts, Duration::ZERO), 20);
        assert_eq!(greeted(&mut contacts, Duration::from_secs(1)), 20);
        assert_ne!(contacts.word(address(5)), contacts.word(address(6)));
    }
}
