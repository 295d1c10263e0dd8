//! An address of a relay, as somebody types it and as it stands in an invitation: with the relay's key, or without.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::limits::RELAY_ADDRESS_BYTES_MAX;
use undertone_transport::{Address, RelayAddress};

fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<Address>() {
        assert!(text.trim().len() <= RELAY_ADDRESS_BYTES_MAX);
        same(&address, address.to_string().parse());
        let _ = (address.needs_dns(), address.is_local());
        // The one kind or the other.
        assert!(text.parse::<RelayAddress>().is_err());
    }
    if let Ok(address) = text.parse::<RelayAddress>() {
        same(&address, address.to_string().parse());
        same(&address.address, address.address.to_string().parse());
    }
});
