//! What every store must do, run against both.

mod account;
mod annotations;
mod changes;
mod compare;
mod cuts;
mod fixtures;
mod forwards;
mod groups;
mod inbox;
mod log;
mod log_fixtures;
mod operations;
mod outbox;
mod pairwise;
mod people;
mod receipts;
mod recorded;
mod sender_keys;

use tempfile::TempDir;
use undertone_protocol::ids::Secret;

use super::{MemoryStore, NodeStore, NodeTx, SqliteStore, StoreError};
use compare::assert_same;

/// What is put into an empty store, and what it answers then.
struct Case {
    fill: fn(&mut dyn NodeTx),
    check: fn(&dyn NodeTx),
}

/// A store in a directory of its own.
struct OnDisk {
    directory: TempDir,
}

impl OnDisk {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.directory.path().join("node.db"), &Secret::new([7; 32])).unwrap()
    }
}

fn run(store: &mut impl NodeStore, case: &Case) {
    let refused = store.transaction(|tx| {
        (case.fill)(tx);
        // A transaction sees its own writes.
        (case.check)(tx);
        Err::<(), _>(StoreError::Database("the test says so".to_owned()))
    });
    assert!(refused.unwrap_err().to_string().contains("the test says so"));
    store.transaction(|tx| assert_empty(tx)).unwrap();
    store
        .transaction(|tx| {
            (case.fill)(tx);
            Ok(())
        })
        .unwrap();
    check(store, case);
}

fn assert_empty(tx: &mut dyn NodeTx) -> Result<(), StoreError> {
    MemoryStore::default().transaction(|empty| {
        assert_same(tx, empty);
        Ok(())
    })
}

fn check(store: &mut impl NodeStore, case: &Case) {
    store
        .transaction(|tx| {
            (case.check)(tx);
            Ok(())
        })
        .unwrap();
}

fn run_on_memory(case: &Case) {
    run(&mut MemoryStore::default(), case);
}

fn run_on_sqlite(case: &Case) {
    let disk = OnDisk::new();
    run(&mut disk.open(), case);
    check(&mut disk.open(), case);
}

macro_rules! cases {
    ($($module:ident::$name:ident,)*) => {
        mod on_memory {
            $(#[test]
            fn $name() {
                super::run_on_memory(&super::$module::$name());
            })*
        }

        mod on_sqlite {
            $(#[test]
            fn $name() {
                super::run_on_sqlite(&super::$module::$name());
            })*
        }
    };
}

cases! {
    account::the_account_is_kept_with_its_secrets,
    account::a_code_that_waits_is_kept,
    account::home_relays_come_by_priority_then_key,
    account::a_home_relay_is_replaced,
    account::a_home_relay_is_forgotten,
    people::contacts_come_by_name_letter_case_aside,
    people::a_contact_keeps_all_its_fields,
    people::a_contact_is_forgotten_alone,
    people::a_device_is_found_by_its_id,
    people::devices_come_by_id_and_go,
    people::invitations_come_by_handle_and_go,
    people::revocations_are_due_until_confirmed_and_again_when_forgotten,
    pairwise::sessions_come_by_last_use_then_id,
    pairwise::base_keys_are_remembered,
    pairwise::an_outbound_channel_takes_the_place_of_the_older,
    pairwise::inbound_channels_come_newest_first,
    pairwise::a_deleted_channel_takes_its_tags_along,
    sender_keys::keys_are_kept_whole,
    sender_keys::known_message_tags_stay,
    sender_keys::keys_of_one_device_are_bounded,
    sender_keys::old_receiver_keys_go,
    sender_keys::the_lowest_number_that_a_device_named_is_found,
    changes::a_replaced_change_does_not_stand,
    changes::what_is_replaced_may_come_later,
    changes::users_have_changes_of_their_own,
    log::entries_of_a_device_come_by_number_then_id,
    log::entries_of_one_number_come_by_id,
    log::history_is_in_order_and_paged,
    log::the_largest_times_keep_their_place,
    log::heads_are_what_no_held_entry_follows,
    log::a_moved_entry_stands_elsewhere,
    log::what_expires_comes_in_time_and_is_dropped,
    log::an_entry_is_looked_at_when_somebody_says,
    log::frontiers_come_by_device,
    log::gaps_come_by_device_then_number,
    cuts::cuts_come_by_device_the_newest_of_each,
    cuts::history_leaves_out_what_is_beyond_a_cut,
    cuts::a_page_is_filled_with_what_counts,
    cuts::a_cut_that_moves_brings_entries_back,
    annotations::of_each_act_and_device_one_counts,
    annotations::what_is_beyond_a_cut_counts_nowhere,
    annotations::they_may_come_before_what_they_are_of,
    annotations::hidden_is_what_an_entry_of_the_conversation_hides,
    annotations::entries_are_found_by_the_beginning_of_their_id,
    annotations::the_first_moment_of_an_acknowledgement_is_kept,
    groups::groups_come_by_id_and_are_replaced,
    groups::a_groups_document_is_kept_as_it_was_put,
    groups::a_member_keeps_all_its_fields,
    groups::members_come_by_user_and_go,
    groups::a_group_is_forgotten_with_what_is_kept_of_it,
    groups::a_users_groups_come_by_id,
    groups::history_leaves_out_what_is_void,
    groups::what_is_not_held_may_be_void,
    groups::annotations_that_are_void_count_nowhere,
    receipts::the_newest_acknowledgement_is_kept,
    receipts::what_is_told_in_a_large_group_is_kept,
    receipts::own_receipts_start_at_the_default,
    receipts::deliveries_are_told_apart,
    outbox::items_are_numbered_ascending,
    outbox::numbers_are_not_given_twice,
    outbox::pending_items_come_by_id,
    outbox::expired_items_come_by_the_end_of_custody,
    outbox::items_come_by_purpose,
    outbox::items_for_a_device_come_by_id,
    outbox::one_recipient_takes_a_step,
    outbox::steps_move_the_end_of_custody,
    outbox::a_recipient_is_taken_out,
    outbox::items_of_a_purpose_come_by_device,
    outbox::what_is_there_is_told,
    forwards::forwards_are_kept_until_they_are_answered,
    inbox::handled_payloads_are_forgotten_in_time,
    inbox::handled_payloads_are_bounded,
    inbox::quarantine_is_bounded,
}
