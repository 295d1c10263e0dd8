use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;

use super::freeze::{freeze, thaw};
use super::relay::Relay;
use crate::report;

const CHUNK_BYTES: u64 = 64 * 1024;

/// Part of the address space of a process.
#[derive(Debug)]
struct Region {
    from: u64,
    to: u64,
}

/// Everything in the memory of a running relay, in a file; gives the number of bytes. `None` where the system does not show it
/// to us.
pub fn memory(relay: &Relay, to: &Path) -> anyhow::Result<Option<u64>> {
    let process = relay.process_id()?;
    freeze(process)?;
    let dumped = dump(process, to);
    thaw(process)?;
    match dumped {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if denied(&error) => {
            report::line(format_args!("the memory of the relay was not searched: {error:#}"))?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn denied(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Writes all memory of a process that it can read itself into a file, pages of zeros left out; gives the number
/// of bytes. Freeze the process before. Linux only, for root or the parent of the process.
fn dump(process: u32, to: &Path) -> anyhow::Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let memory = File::open(format!("/proc/{process}/mem")).context("the memory of another process")?;
    let mut out = File::create(to)?;
    let mut bytes = 0;
    for region in maps.lines().filter_map(readable) {
        for at in (region.from..region.to).step_by(usize::try_from(CHUNK_BYTES)?) {
            let mut chunk = vec![0; usize::try_from(CHUNK_BYTES.min(region.to - at))?];
            // A mapped file may be shorter than its mapping.
            let Ok(()) = memory.read_exact_at(&mut chunk, at) else { break };
            if chunk.iter().any(|byte| *byte != 0) {
                out.write_all(&chunk)?;
                bytes += chunk.len() as u64;
            }
        }
    }
    Ok(bytes)
}

/// What a line of the map says: `from-to rights offset device inode name`. The kernel's own pages have a name in
/// brackets that begins with a v, and no content of the process.
fn readable(line: &str) -> Option<Region> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let readable = words.next()?.starts_with('r');
    if !readable || words.nth(3).is_some_and(|name| name.starts_with("[v")) {
        return None;
    }
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Region { from: number(from)?, to: number(to)? })
}
