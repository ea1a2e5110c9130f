//! A moment without changes: for what follows from a change, and nobody waits for.

use std::time::{Duration, Instant};

/// Time without a change after which it is quiet: a change that is on its way to other nodes gets there in that.
const QUIET: Duration = Duration::from_millis(10);

/// It counts as quiet after so long in any case.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// When changes have ended for long enough.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// Nothing is done before this moment.
    not_before: Option<Instant>,
    /// When the first of the changes came that it waits behind.
    since: Option<Instant>,
}

impl Quiet {
    /// Something has changed.
    pub(crate) fn disturbed(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.not_before = Some((now + QUIET).min(since + LONGEST_WAIT));
    }

    /// Until when somebody waits, if anybody does.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.not_before
    }

    /// Until when to wait; none when it is quiet, which ends the wait.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Instant> {
        let moment = self.not_before.filter(|moment| now < *moment);
        if moment.is_none() {
            *self = Self::default();
        }
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_changes_have_ended_and_at_last_in_any_case() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut quiet = Quiet::default();
        assert_eq!(quiet.wait(at(0)), None);
        quiet.disturbed(at(0));
        assert_eq!(quiet.wait(at(9)), Some(at(10)));
        quiet.disturbed(at(9));
        assert_eq!(quiet.wait(at(10)), Some(at(19)));
        assert_eq!(quiet.wait(at(19)), None);
        // Changes that do not end.
        for ms in 20..300 {
            quiet.disturbed(at(ms));
        }
        assert_eq!(quiet.wait(at(219)), Some(at(220)));
        assert_eq!(quiet.wait(at(220)), None);
        quiet.disturbed(at(300));
        assert_eq!(quiet.wait(at(300)), Some(at(310)));
    }
}
