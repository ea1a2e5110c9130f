//! What modules were compiled to when they were validated, until they are stored.

use std::collections::VecDeque;

use parking_lot::Mutex;
use runtime::module::Bytecode;

use crate::catalogue::version::ContentHash;

/// So many wait at most: as many as are registered at a time. Others are compiled again.
const MOST: usize = 4;

/// Bytecode by the hash of name and content, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Validated(Mutex<VecDeque<(ContentHash, Bytecode)>>);

impl Validated {
    /// Keeps what a module was compiled to that is about to be stored.
    pub(crate) fn keep(&self, hash: ContentHash, bytecode: Bytecode) {
        let mut kept = self.0.lock();
        if kept.len() >= MOST {
            // It may never have been stored.
            kept.pop_front();
        }
        kept.push_back((hash, bytecode));
    }

    /// Gives it up for the module that is stored.
    pub(crate) fn take(&self, hash: &ContentHash) -> Option<Bytecode> {
        let mut kept = self.0.lock();
        let at = kept.iter().position(|(of, _)| of == hash)?;
        kept.remove(at).map(|(_, bytecode)| bytecode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_once_and_is_little() {
        let validated = Validated::default();
        let hash = |number: u8| ContentHash([number; 20]);
        for number in 0..10 {
            validated.keep(hash(number), Bytecode([number].into()));
        }
        let taken: Vec<u8> = (0..10)
            .filter(|number| {
                let taken = validated.take(&hash(*number));
                taken.is_some_and(|bytecode| *bytecode.0 == [*number])
            })
            .collect();
        assert_eq!(taken, [6, 7, 8, 9]);
        assert!(validated.take(&hash(9)).is_none());
    }
}
