//! What went over TCP, by what the kernel counts for each connection.

use std::process::Command;

use anyhow::{Context, ensure};
use undertone_transport::RelayAddress;

/// Bytes of one process's connections since they began, with Noise and yamux, without the heads of TCP and IP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wire {
    /// Over connections that were made to where it listens: what came, and what went.
    pub(super) taken: [u64; 2],
    /// Over those that it made itself.
    pub(super) made: [u64; 2],
}

impl Wire {
    /// Those of a relay, of which this is the process.
    pub(super) fn of(process: u32, relay: &RelayAddress) -> anyhow::Result<Self> {
        let address = relay.address.to_string();
        let port = address.rsplit_once("/tcp/").context("a relay without a port")?.1.parse()?;
        let shown = Command::new("ss").args(["-tinpHO"]).output().context("ss, of iproute2")?;
        ensure!(shown.status.success(), "ss: {}", String::from_utf8_lossy(&shown.stderr));
        Self::read(&String::from_utf8(shown.stdout)?, process, port)
    }

    /// A line each: state, queues, both addresses, who has it, and what is counted, as `name:number`.
    fn read(shown: &str, process: u32, port: u16) -> anyhow::Result<Self> {
        let (owner, mut wire) = (format!("pid={process},"), Self::default());
        for line in shown.lines().filter(|line| line.contains(&owner)) {
            let here = line.split_whitespace().nth(3).and_then(|here| here.rsplit_once(':'));
            let here: u16 = here.with_context(|| format!("no address in `{line}`"))?.1.parse()?;
            let [came, went] = if here == port { &mut wire.taken } else { &mut wire.made };
            *came += counted(line, "bytes_received:")?;
            *went += counted(line, "bytes_acked:")?;
        }
        Ok(wire)
    }
}

/// What `ss` leaves out is zero.
fn counted(line: &str, name: &str) -> anyhow::Result<u64> {
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
    Ok(word.unwrap_or("0").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_told_apart_by_who_made_them() {
        let shown = r#"ESTAB 0 0 127.0.0.1:4001 127.0.0.1:5000 users:(("load",pid=7,fd=9)) cubic bytes_sent:9 bytes_acked:10 bytes_received:200
ESTAB 0 0 127.0.0.1:4001 127.0.0.1:5001 users:(("load",pid=7,fd=10)) cubic bytes_received:3
ESTAB 0 0 127.0.0.1:6000 127.0.0.1:4002 users:(("load",pid=7,fd=11)) cubic bytes_acked:40 bytes_received:5
ESTAB 0 0 127.0.0.1:4001 127.0.0.1:5002 users:(("load",pid=77,fd=11)) cubic bytes_acked:1 bytes_received:1
"#;
        let wire = Wire::read(shown, 7, 4001).unwrap();
        assert_eq!(wire, Wire { taken: [203, 10], made: [5, 40] });
    }
}
