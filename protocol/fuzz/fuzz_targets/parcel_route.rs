//! The route in a parcel: as it comes, and any bytes that are sealed rightly.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::circuit::{destination, parcel, seal_route};
use undertone_fuzz::same;
use undertone_protocol::wire;

fuzz_target!(|data: &[u8]| {
    let (keys, mut parcel) = (destination(), parcel());
    parcel.route = Bytes::copy_from_slice(data);
    let _ = keys.open_route(&parcel);
    parcel.route = seal_route(&parcel, data);
    let Ok(routes) = keys.open_route(&parcel) else { return };
    assert_eq!(routes.len(), parcel.items.len());
    let open = routes.iter().map(|recipients| wire::OpenRoute { recipients: recipients.clone() });
    let again = wire::ParcelRoute { routes: open.collect() }.encode_to_vec();
    parcel.route = seal_route(&parcel, &again);
    same(&routes, keys.open_route(&parcel));
    parcel.counter += 1;
    assert!(keys.open_route(&parcel).is_err());
});
