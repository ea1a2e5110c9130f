//! Lines of the log that strangers can cause are few.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One line in this time for each address, whatever its port.
const AGAIN: Duration = Duration::from_secs(60);

/// Lines in that time at all; a flood of addresses must take neither memory nor disk.
const MOST: usize = 100;

/// When something was said about an address.
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    said: HashMap<(IpAddr, u8), Duration>,
}

impl LogLimit {
    /// Whether there may be a line about an address now. What is said of it in other words counts by itself.
    pub(super) fn may(&mut self, address: SocketAddr, what: u8, now: Duration) -> bool {
        if self.said.len() >= MOST {
            self.said.retain(|_, at| *at + AGAIN > now);
        }
        let known = self.said.get(&(address.ip(), what));
        if known.is_some_and(|at| *at + AGAIN > now) || self.said.len() >= MOST {
            return false;
        }
        self.said.insert((address.ip(), what), now);
        true
    }
}
