//! Random lives of several replicas, step by step, against what is plain to see: replicas that hold the same show
//! the same, however it came to them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod state_machines {
    pub(crate) mod group;
    pub(crate) mod log;
}

use proptest::test_runner::Config;
use proptest_state_machine::prop_state_machine;
use state_machines::{group::Replicas as Documents, log::Replicas as Logs};

/// Failing seeds are printed, not kept in files.
fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() }
}

prop_state_machine! {
    #![proptest_config(config(24))]

    /// The membership document.
    #[test]
    fn replicas_of_a_group(sequential 1..60 => Documents);
}

prop_state_machine! {
    #![proptest_config(config(48))]

    /// The log of a conversation.
    #[test]
    fn replicas_of_a_log(sequential 1..120 => Logs);
}
