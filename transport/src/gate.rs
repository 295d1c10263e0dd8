//! How many connections a listener lets in: before the handshake by number and by address, after it by
//! number and by device.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::address::ip_of;

/// What a listener lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Connections whose handshake is done.
    pub connections_max: usize,
    /// Connections whose handshake goes on.
    pub pending_max: usize,
    /// Connections from one IPv4 address or one IPv6 /64 network, pending ones included.
    pub per_ip_max: usize,
    /// Connections of one device.
    pub per_device_max: usize,
}

impl GateLimits {
    /// Lets nothing in.
    pub(crate) const SHUT: Self =
        Self { connections_max: 0, pending_max: 0, per_ip_max: 0, per_device_max: 0 };
}

/// A connection that was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnedAway {
    #[error("the limit of {0} connections is reached")]
    Connections(usize),
    #[error("the limit of {0} pending connections is reached")]
    Pending(usize),
    #[error("the limit of {0} connections from one address is reached")]
    Ip(usize),
    #[error("the limit of {0} connections of one device is reached")]
    Device(usize),
}

/// Counts who is in.
pub(crate) struct Gate {
    limits: GateLimits,
    inside: BTreeMap<ConnectionId, Guest>,
    pending: usize,
    per_ip: BTreeMap<IpAddr, usize>,
    per_device: BTreeMap<PeerId, usize>,
}

struct Guest {
    ip: IpAddr,
    /// Known once the handshake is done.
    device: Option<PeerId>,
}

impl Gate {
    pub(crate) fn new(limits: GateLimits) -> Self {
        Self {
            limits,
            inside: BTreeMap::new(),
            pending: 0,
            per_ip: BTreeMap::new(),
            per_device: BTreeMap::new(),
        }
    }

    /// A connection came; its handshake begins if it is let in.
    pub(crate) fn arrive(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), TurnedAway> {
        let ip = network_of(ip_of(from).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        if self.inside.len() - self.pending >= self.limits.connections_max {
            return Err(TurnedAway::Connections(self.limits.connections_max));
        }
        if self.pending >= self.limits.pending_max {
            return Err(TurnedAway::Pending(self.limits.pending_max));
        }
        if self.per_ip.get(&ip).is_some_and(|count| *count >= self.limits.per_ip_max) {
            return Err(TurnedAway::Ip(self.limits.per_ip_max));
        }
        self.pending += 1;
        *self.per_ip.entry(ip).or_default() += 1;
        self.inside.insert(connection, Guest { ip, device: None });
        Ok(())
    }

    /// The handshake is done. One that is turned away here leaves like any other.
    pub(crate) fn establish(&mut self, connection: ConnectionId, device: PeerId) -> Result<(), TurnedAway> {
        if self.inside.len() - self.pending >= self.limits.connections_max {
            return Err(TurnedAway::Connections(self.limits.connections_max));
        }
        let count = self.per_device.entry(device).or_default();
        if *count >= self.limits.per_device_max {
            return Err(TurnedAway::Device(self.limits.per_device_max));
        }
        if let Some(guest) = self.inside.get_mut(&connection)
            && guest.device.replace(device).is_none()
        {
            *count += 1;
            self.pending -= 1;
        }
        Ok(())
    }

    /// The connection is gone, at whatever stage. One that was never let in changes nothing.
    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        let Some(guest) = self.inside.remove(&connection) else { return };
        decrement(&mut self.per_ip, &guest.ip);
        match guest.device {
            Some(device) => decrement(&mut self.per_device, &device),
            None => self.pending -= 1,
        }
    }
}

/// Whoever has one IPv6 address commonly has the whole /64.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        },
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GateLimits =
        GateLimits { connections_max: 3, pending_max: 2, per_ip_max: 2, per_device_max: 1 };

    fn from(ip: &str) -> Multiaddr {
        let kind = if ip.contains(':') { "ip6" } else { "ip4" };
        format!("/{kind}/{ip}/tcp/9").parse().unwrap()
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn each_limit_holds_and_leaving_frees_it() {
        let mut gate = Gate::new(LIMITS);
        let device = PeerId::random();
        assert_eq!(gate.arrive(id(1), &from("10.0.0.1")), Ok(()));
        assert_eq!(gate.arrive(id(2), &from("10.0.0.1")), Ok(()));
        assert_eq!(gate.arrive(id(3), &from("10.0.0.2")), Err(TurnedAway::Pending(2)));
        assert_eq!(gate.establish(id(1), device), Ok(()));
        assert_eq!(gate.arrive(id(3), &from("10.0.0.1")), Err(TurnedAway::Ip(2)));
        assert_eq!(gate.arrive(id(3), &from("10.0.0.2")), Ok(()));
        assert_eq!(gate.establish(id(2), device), Err(TurnedAway::Device(1)));
        gate.leave(id(2));
        assert_eq!(gate.establish(id(3), PeerId::random()), Ok(()));
        assert_eq!(gate.arrive(id(4), &from("10.0.0.3")), Ok(()));
        assert_eq!(gate.establish(id(4), PeerId::random()), Ok(()));
        assert_eq!(gate.arrive(id(5), &from("10.0.0.4")), Err(TurnedAway::Connections(3)));
        gate.leave(id(1));
        assert_eq!(gate.arrive(id(5), &from("10.0.0.4")), Ok(()));
        assert_eq!(gate.establish(id(5), device), Ok(()));
    }

    #[test]
    fn nothing_is_left_when_all_have_gone() {
        let mut gate = Gate::new(LIMITS);
        let device = PeerId::random();
        gate.arrive(id(1), &from("10.0.0.1")).unwrap();
        gate.establish(id(1), device).unwrap();
        gate.arrive(id(2), &from("10.0.0.1")).unwrap();
        gate.establish(id(2), device).unwrap_err();
        for number in 0..4 {
            gate.leave(id(number));
        }
        assert!(gate.inside.is_empty() && gate.per_ip.is_empty() && gate.per_device.is_empty());
        assert_eq!(gate.pending, 0);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let mut gate = Gate::new(LIMITS);
        gate.arrive(id(1), &from("2001:db8::1")).unwrap();
        gate.establish(id(1), PeerId::random()).unwrap();
        gate.arrive(id(2), &from("2001:db8::2")).unwrap();
        assert_eq!(gate.arrive(id(3), &from("2001:db8::3")), Err(TurnedAway::Ip(2)));
        gate.leave(id(2));
        assert_eq!(gate.arrive(id(3), &from("2001:db8:0:1::1")), Ok(()));
        assert_eq!(network_of("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
    }
}
