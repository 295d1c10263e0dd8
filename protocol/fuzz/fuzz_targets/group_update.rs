//! What a device tells another of a group.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::same;
use undertone_protocol::keys::KeysError;
use undertone_protocol::limits::{UPDATE_BYTES_MAX, UPDATE_HEADS_MAX, UPDATE_WANTS_MAX};
use undertone_protocol::membership::GroupUpdate;
use undertone_protocol::wire;

fuzz_target!(|data: &[u8]| {
    let Ok(update) = wire::GroupUpdate::decode(data) else { return };
    let Ok(read) = GroupUpdate::from_wire(update) else { return };
    assert!(read.heads.len() <= UPDATE_HEADS_MAX && read.wants.len() <= UPDATE_WANTS_MAX);
    for person in &read.people {
        let ways = person.bundles.iter().map(|access| &access.device);
        for device in ways.chain(person.grants.iter().map(|grant| &grant.device)) {
            assert!(person.device_list.active_device(device).is_some());
        }
    }
    same(&read, again(&read));
    let parts = read.clone().parts();
    let items = |part: &GroupUpdate| part.people.len() + part.operations.len();
    assert_eq!(parts.iter().map(items).sum::<usize>(), items(&read));
    for part in &parts {
        let content = GroupUpdate { heads: Vec::new(), wants: Vec::new(), ..part.clone() };
        // The group and the question go around it.
        assert!(items(part) <= 1 || content.to_wire().encoded_len() <= UPDATE_BYTES_MAX + 64);
        same(part, again(part));
    }
});

fn again(update: &GroupUpdate) -> Result<GroupUpdate, KeysError> {
    GroupUpdate::from_wire(update.to_wire())
}
