//! Looking at the cluster again.

use super::Session;
use crate::outcome::Outcome;

impl Session {
    /// Another look at the cluster, unless it was just looked at or nothing has changed. A command that has to reach every
    /// node takes nothing for granted.
    pub(super) async fn renew(&mut self) {
        if !self.fresh && !self.cluster.is_current().await {
            self.look_again().await;
        }
    }

    /// Looks for the cluster again and tells which nodes came and went.
    pub async fn look_again(&mut self) {
        let before = self.reached();
        let (warnings, gaps) = (self.cluster.warnings.clone(), self.cluster.gaps.clone());
        self.cluster.refresh().await;
        self.fresh = true;
        let after = self.reached();
        // What was said before is not said again.
        for warning in &self.cluster.warnings {
            if !warnings.contains(warning) {
                self.out.warning(warning);
            }
        }
        for gap in self.cluster.gaps.clone() {
            if !gaps.contains(&gap) {
                let outcome = self.fail(Outcome::Failed, &gap);
                self.ended(outcome);
            }
        }
        let missing =
            |from: &[(String, String)], id: &str| from.iter().all(|(known, _)| known != id);
        for (id, name) in &before {
            if missing(&after, id) {
                self.out.warning(&format!("{name} ({id}) is gone."));
            }
        }
        for (id, name) in &after {
            if missing(&before, id) {
                self.out.note(&format!("{name} ({id}) is here now."));
            }
        }
    }

    /// Ids and names of the nodes that were reached.
    fn reached(&self) -> Vec<(String, String)> {
        let members = self.cluster.members.iter();
        members
            .filter(|member| member.node.alive)
            .map(|member| (member.node.id.clone(), member.node.name.clone()))
            .collect()
    }
}
