use std::io;

use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_transport::AddressError;

/// A configuration that can't be used: the operator's fault, and the text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("it can't be read; `undertone-relay init` makes a new one")]
    Io(#[source] io::Error),
    /// The text is no TOML, or a value has the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("unknown key `{key}`: {}", instead(.nearest.as_deref()))]
    UnknownKey {
        /// The key, with the names of its tables.
        key: String,
        /// The known key that resembles it most, if any does.
        nearest: Option<String>,
    },
    /// A number outside its range.
    #[error("`{name}` is {value}, but must be {}", range(*.min, *.max, .unit))]
    Range {
        /// The key, with the names of its tables.
        name: String,
        /// What was written.
        value: i64,
        /// The least that is allowed.
        min: i64,
        /// The most that is allowed.
        max: i64,
        /// The unit.
        unit: &'static str,
    },
    /// `listen` is empty.
    #[error("`listen` is empty: name at least one address, e.g. \"/ip4/0.0.0.0/tcp/4001\"")]
    NoListen,
    /// `listen` has something that is no address.
    #[error("`listen`: {0}")]
    Listen(AddressError),
    /// `listen` has a DNS name.
    #[error("`listen`: {0} is a name; a relay listens on IP addresses, e.g. \"/ip4/0.0.0.0/tcp/4001\"")]
    ListenName(String),
    /// `listen` asks for TLS, and nothing can be shown.
    #[error(
        "`listen`: {0} needs a certificate: name its files as `certificate_chain` and `private_key` in [tls] (`init` takes \
         --certificate-chain and --private-key), or leave TLS to a proxy and listen on /ws"
    )]
    NoCertificate(String),
    /// `addresses` has something that is no address.
    #[error("`addresses`: {0}")]
    Announced(AddressError),
    /// `addresses` has one that nobody can reach, or too many.
    #[error(
        "`addresses`: name at most {RELAY_ADDRESSES_MAX} addresses at which others reach this relay, e.g. \
         \"/dns4/relay.example.org/tcp/4001\"; /ip4/0.0.0.0 and port 0 are none"
    )]
    NotReachable,
    /// `peers` of `[federation]` has something that is no address with a key.
    #[error("[federation] `peers`: {0}")]
    Peer(AddressError),
    /// `relays` of `[federation]` has something that is no key.
    #[error(
        "[federation] `relays`: `{0}` is no relay's key: name what stands behind /p2p/ in its address, 12D3Koo.."
    )]
    RelayKey(String),
    /// `relays` of `[federation]` has keys, and the policy takes no notice of them.
    #[error(
        "[federation] names `relays`, but its `policy` is \"open\", which is to have to do with all: say policy = \"allow\" to \
         have to do with these alone, policy = \"deny\" to leave these out, or take `relays` away"
    )]
    ListWithoutPolicy,
    /// One of the two files is missing.
    #[error("[tls] has one of `certificate_chain` and `private_key`: name both files, or none")]
    HalfCertificate,
}

fn instead(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("the nearest known one is `{nearest}`"),
        None => "leave it out; what `undertone-relay init` writes has all keys that there are".to_owned(),
    }
}

fn range(min: i64, max: i64, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    match max {
        i64::MAX => format!("at least {min}{space}{unit}"),
        max => format!("from {min} to {max}{space}{unit}"),
    }
}
