//! Replay of `expressions.jsonl`: expressions as filters, as reads and as writes, over the socket.

use super::operate::replay_where;

const FILE: &str = "expressions.jsonl";

/// One test a topic.
macro_rules! topics {
    ($($test:ident = $topic:literal)*) => {
        $(
            #[test]
            fn $test() {
                replay_where(FILE, $topic, |case| case["topic"] == $topic);
            }
        )*

        #[test]
        fn every_topic_of_the_file_has_a_test() {
            super::assert_topics(FILE, &[$($topic),*]);
        }
    };
}

topics! {
    comparisons = "exp/compare"
    logic = "exp/logic"
    arithmetic = "exp/math"
    bits_of_integers = "exp/intbits"
    bins = "exp/bin"
    literals = "exp/literal"
    conditionals = "exp/cond"
    variables = "exp/let"
    keys = "exp/key"
    metadata = "exp/meta"
    record_sizes = "exp/size"
    patterns = "exp/regex"
    geometry = "exp/geo"
    elements_of_lists = "exp/inlist"
    keys_and_values_of_maps = "exp/mapkv"
    special_values = "exp/special"
    calls = "exp/call"
    writes = "exp/write"
    reads = "exp/read"
    filters = "exp/filter"
    limits = "exp/limits"
}
