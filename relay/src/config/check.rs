//! Which values a number may have: at least 1, at most what the protocol or the machine allows.

use toml::{Table, Value};
use undertone_protocol::limits as protocol;

use super::error::ConfigError;
use super::settings::{Config, Tls};
use crate::federation::PolicyKind;

/// A device that is away for a month, and writes only when its next keys are due, must stay within reach.
const BUNDLE_UNSEEN_DAYS_MIN: i64 = 60;

/// Well below the time after which a sender takes another way.
const DELAY_MS_MAX: i64 = 2_000;

/// Numbers with a maximum of their own, or a minimum other than 1.
const RANGES: [(&str, i64, i64); 13] = [
    ("limits.payload_bytes_max", 1, protocol::PAYLOAD_BYTES_MAX as i64),
    ("limits.envelope_ttl_ms_max", 60_000, protocol::ENVELOPE_TTL_MAX.as_millis() as i64),
    ("limits.disk_class_1_percent", 1, 100),
    ("limits.forward_age_ms_max", 60_000, protocol::FORWARD_AGE_MAX.as_millis() as i64),
    ("limits.forward_delay_ms_max", 0, DELAY_MS_MAX),
    ("limits.answer_kept_ms_max", 60_000, i64::MAX),
    ("limits.source_bytes_per_minute", protocol::FRAME_BYTES_MAX as i64, u32::MAX as i64),
    ("limits.heartbeat_ms", 1_000, 86_400_000),
    ("limits.bundle_unseen_days_max", BUNDLE_UNSEEN_DAYS_MIN, i64::MAX),
    ("limits.backlog_bytes_max", protocol::FRAME_BYTES_MAX as i64, i64::MAX),
    ("limits.backlog_total_bytes_max", protocol::FRAME_BYTES_MAX as i64, i64::MAX),
    ("network.handshake_ms_max", 100, 600_000),
    ("network.waiting_bytes_max", protocol::FRAME_BYTES_MAX as i64, i64::MAX),
];

/// The unit that the end of a name says.
const UNITS: [(&str, &str); 8] = [
    ("_bytes_max", "bytes"),
    ("_ms_max", "milliseconds"),
    ("_ms", "milliseconds"),
    ("_per_minute", "a minute"),
    ("_percent", "percent"),
    ("_days_max", "days"),
    ("_messages_max", "messages"),
    ("_entries_per_tick", "entries"),
];

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.listen.is_empty() {
        return Err(ConfigError::NoListen);
    }
    for address in &config.listen {
        let address: undertone_transport::Address = address.parse().map_err(ConfigError::Listen)?;
        if address.needs_dns() {
            return Err(ConfigError::ListenName(address.to_string()));
        }
        if address.needs_certificate() && config.tls.files().is_none() {
            return Err(ConfigError::NoCertificate(address.to_string()));
        }
    }
    let announced = config.addresses.iter().map(|text| text.parse().map_err(ConfigError::Announced));
    let announced: Vec<undertone_transport::Address> = announced.collect::<Result<_, _>>()?;
    if announced.len() > protocol::RELAY_ADDRESSES_MAX || announced.iter().any(|one| !one.is_reachable()) {
        return Err(ConfigError::NotReachable);
    }
    if config.tls != Tls::default() && config.tls.files().is_none() {
        return Err(ConfigError::HalfCertificate);
    }
    config.federation.policy()?;
    config.federation.peers()?;
    if config.federation.policy == PolicyKind::Open && !config.federation.relays.is_empty() {
        return Err(ConfigError::ListWithoutPolicy);
    }
    let table = Table::try_from(config).map_err(|error| ConfigError::Syntax(error.to_string()))?;
    numbers("", &table)
}

fn numbers(prefix: &str, table: &Table) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => numbers(&format!("{name}."), inner)?,
            Value::Integer(value) => in_range(name, *value)?,
            _ => {}
        }
    }
    Ok(())
}

fn in_range(name: String, value: i64) -> Result<(), ConfigError> {
    let known = RANGES.iter().find(|(known, ..)| *known == name);
    let (min, max) = known.map_or((1, i64::MAX), |(_, min, max)| (*min, *max));
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let unit = UNITS.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit);
    Err(ConfigError::Range { name, value, min, max, unit })
}
