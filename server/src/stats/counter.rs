//! The counter, and the macro that declares a table of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::processor::PerProcessor;

/// A number that many threads raise and few read.
///
/// Relaxed: a reader sees each counter's own history in order, but nothing about two counters together.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `n` more. Wraps at 2^64.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What was counted since the start of the process.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that nearly every request raises: each processor raises one of its own.
#[derive(Debug, Default)]
pub struct BusyCounter(PerProcessor<Counter>);

impl BusyCounter {
    /// Counts one more.
    pub fn inc(&self) {
        if let Some(here) = self.0.here() {
            here.inc();
        }
    }

    /// What was counted since the start of the process.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.each().map(Counter::get).sum()
    }
}

/// Declares a struct of counters from one table: field name = name of the statistic, with its sentence. One that is raised
/// by nearly every request names its type: [`BusyCounter`].
///
/// After `with` stand fields of other types. The struct answers `each`, which visits the counters in the order of the table: the order in which info answers
/// print them.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[doc = $sentence:literal])+ $field:ident $(: $busy:ident)?, )*
            $( with { $( $(#[doc = $other:literal])+ $more:ident: $type:ty, )* } )?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            $( $(#[doc = $sentence])+ pub $field: counters!(@type $($busy)?), )*
            $( $( $(#[doc = $other])+ pub $more: $type, )* )?
        }

        impl $name {
            /// Calls `visit` with the name and the value of each counter, in the order of the table.
            pub fn each(&self, mut visit: impl FnMut(&'static str, u64)) {
                // In a loop: `visit` is not there once for each counter.
                let counters = [$( (stringify!($field), self.$field.get()) ),*];
                counters.into_iter().for_each(|(name, count)| visit(name, count));
            }
        }
    };
    (@type) => { $crate::stats::Counter };
    (@type $busy:ident) => { $crate::stats::$busy };
}

pub(crate) use counters;

#[cfg(test)]
mod tests {
    use super::{BusyCounter, Counter};

    #[test]
    fn counts_across_threads() {
        let (counter, busy) = (Counter::default(), BusyCounter::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.inc();
                        busy.inc();
                    }
                });
            }
        });
        assert_eq!(busy.get(), 4_000);
        counter.add(5);
        assert_eq!(counter.get(), 4_005);
    }
}
