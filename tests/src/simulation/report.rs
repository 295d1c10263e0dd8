use std::ops::AddAssign;

/// What a world, or several, went through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Worlds.
    pub worlds: u64,
    /// Users in them.
    pub users: usize,
    /// Devices.
    pub devices: usize,
    /// Devices that were revoked.
    pub revoked: usize,
    /// Pairs of users who got to know each other.
    pub pairs: usize,
    /// Messages shown at the end, each counted once.
    pub messages: usize,
    /// Machine steps, each one transaction.
    pub steps: u64,
    /// Crashes of nodes and relay.
    pub crashes: u64,
    /// How often a node lost its sessions.
    pub wedged: u64,
    /// How often somebody was blocked.
    pub blocked: u64,
    /// How often a message failed.
    pub failed: u64,
    /// How often a mailbox was full.
    pub full: u64,
    /// How often all one-time prekeys of a device were taken.
    pub drained: u64,
    /// How often everybody was away for days or months.
    pub gaps: u64,
    /// Devices whose clocks were off by days, for good.
    pub skewed: u64,
    /// How often the clock of a device jumped.
    pub jumps: u64,
    /// Frames lost, with their connections.
    pub dropped: u64,
    /// Frames that came twice.
    pub doubled: u64,
    /// Frames that overtook others.
    pub reordered: u64,
    /// Deliveries that the relay kept back.
    pub withheld: u64,
    /// Deliveries that it made again.
    pub replayed: u64,
    /// Deliveries that it made later than others.
    pub shuffled: u64,
    /// Frames that it altered.
    pub corrupted: u64,
    /// How often relays lied to each other, or about what they were handed for each other.
    pub forward_lies: u64,
    /// Relays that were lost for ever.
    pub relays_lost: u64,
    /// Of these, the ones that came back with an old copy of their disk.
    pub relays_restored: u64,
    /// How often some devices did not reach a relay.
    pub partitions: u64,
    /// How often a relay was down for long.
    pub outages: u64,
    /// How often a device was to get another home relay, or to give one up.
    pub moves: u64,
    /// Answers of other relays that home relays brought.
    pub forwarded: u64,
    /// Worlds where what the relay had spoilt took until it expired to be made good.
    pub late: u64,
    /// Worlds with a hostile device.
    pub hostile: u64,
    /// Groups that were made.
    pub groups: u64,
    /// Operations on their membership.
    pub operations: usize,
    /// Messages shown in them at the end, each counted at each device.
    pub group_messages: usize,
    /// Entries of groups that had vanished from some device at the end.
    pub vanished: usize,
    /// Groups of which somebody heard who cheats.
    pub cheated_groups: u64,
    /// Those where they are in at the end.
    pub cheats_in: u64,
    /// Those where they were found to have forked.
    pub cheats_forked: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.users += other.users;
        self.devices += other.devices;
        self.revoked += other.revoked;
        self.pairs += other.pairs;
        self.messages += other.messages;
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.wedged += other.wedged;
        self.blocked += other.blocked;
        self.failed += other.failed;
        self.full += other.full;
        self.drained += other.drained;
        self.gaps += other.gaps;
        self.skewed += other.skewed;
        self.jumps += other.jumps;
        self.dropped += other.dropped;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.withheld += other.withheld;
        self.replayed += other.replayed;
        self.shuffled += other.shuffled;
        self.corrupted += other.corrupted;
        self.forward_lies += other.forward_lies;
        self.relays_lost += other.relays_lost;
        self.relays_restored += other.relays_restored;
        self.partitions += other.partitions;
        self.outages += other.outages;
        self.moves += other.moves;
        self.forwarded += other.forwarded;
        self.late += other.late;
        self.hostile += other.hostile;
        self.groups += other.groups;
        self.operations += other.operations;
        self.group_messages += other.group_messages;
        self.vanished += other.vanished;
        self.cheated_groups += other.cheated_groups;
        self.cheats_in += other.cheats_in;
        self.cheats_forked += other.cheats_forked;
    }
}
