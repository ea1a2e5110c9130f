use std::collections::BTreeMap;

use parking_lot::Mutex;

/// How many connections call themselves what.
#[derive(Debug, Default)]
pub struct UserAgents(Mutex<BTreeMap<String, u64>>);

impl UserAgents {
    /// One more calls itself this.
    pub fn come(&self, agent: &str) {
        *self.0.lock().entry(agent.to_owned()).or_insert(0) += 1;
    }

    /// One less does.
    pub fn leave(&self, agent: &str) {
        let mut agents = self.0.lock();
        if let Some(count) = agents.get_mut(agent) {
            *count -= 1;
            if *count == 0 {
                agents.remove(agent);
            }
        }
    }

    /// How many call themselves what, by name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().clone()
    }
}
