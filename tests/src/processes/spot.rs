use std::fs;
use std::process::Command;

use anyhow::ensure;

use super::program::Program;

/// A network namespace behind a link of its own to that of the test, which hands on between such. Make them where the
/// network is the test's own ([`isolated`](super::isolated)); they end with it.
#[derive(Debug)]
pub struct Spot {
    number: u8,
}

impl Spot {
    /// The one with this number.
    pub fn new(number: u8) -> anyhow::Result<Self> {
        let spot = Self { number };
        let (name, hub, net) = (spot.name(), spot.link(), spot.net());
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {hub} type veth peer name relay netns {name}"))?;
        ip(&format!("addr add {net}.1/24 dev {hub}"))?;
        ip(&format!("link set {hub} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} addr add {}/24 dev relay", spot.address()))?;
        ip(&format!("-n {name} link set relay up"))?;
        ip(&format!("-n {name} route add default via {net}.1"))?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        Ok(spot)
    }

    /// A program there.
    pub fn program(&self, program: &Program) -> Program {
        program.clone().within(self.name())
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("{}.2", self.net())
    }

    /// Nothing comes there or from there any more. Nobody there is told.
    pub fn cut(&self) -> anyhow::Result<()> {
        ip(&format!("link set {} down", self.link()))
    }

    /// The end of [`Self::cut`].
    pub fn heal(&self) -> anyhow::Result<()> {
        ip(&format!("link set {} up", self.link()))
    }

    /// Nothing comes from one of the two to the other any more, while all else reaches both. Nobody is told.
    pub fn part(&self, other: &Self) -> anyhow::Result<()> {
        self.rules("add", other)
    }

    /// The end of [`Self::part`].
    pub fn join(&self, other: &Self) -> anyhow::Result<()> {
        self.rules("del", other)
    }

    fn rules(&self, what: &str, other: &Self) -> anyhow::Result<()> {
        for (from, to) in [(self, other), (other, self)] {
            ip(&format!("rule {what} from {}.0/24 to {}.0/24 blackhole", from.net(), to.net()))?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("spot{}", self.number)
    }

    /// The near end of the link.
    fn link(&self) -> String {
        format!("hub{}", self.number)
    }

    fn net(&self) -> String {
        format!("10.77.{}", self.number)
    }
}

fn ip(words: &str) -> anyhow::Result<()> {
    let done = Command::new("ip").args(words.split(' ')).output()?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "ip {words}: {}: {}", done.status, complaint.trim());
    Ok(())
}
