//! What a process has used, by the system's word.

use std::{fs, time::Duration};

use crate::Error;

/// Of the system's clock for it.
const TICK: Duration = Duration::from_millis(10);

/// The processor's time that a process and its children have used, in user and in system.
pub(crate) fn processor(pid: u32) -> Result<Duration, Error> {
    let mut ticks = 0;
    for pid in family(pid)? {
        let stat = stat(pid)?;
        let times = stat.iter().skip(11).take(2);
        ticks += times
            .map(|ticks| ticks.parse::<u32>())
            .sum::<Result<u32, _>>()?;
    }
    Ok(TICK * ticks)
}

/// The memory that it has, in bytes.
pub(crate) fn memory(pid: u32) -> Result<u64, Error> {
    let mut bytes = 0;
    for pid in family(pid)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        bytes += kilobytes.ok_or("no VmRSS")?.parse::<u64>()? << 10;
    }
    Ok(bytes)
}

fn family(pid: u32) -> Result<Vec<u32>, Error> {
    let mut all = vec![pid];
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(Ok(other)) = name.to_str().map(str::parse::<u32>) else {
            continue;
        };
        // It may be gone by now.
        let parent = stat(other).ok().and_then(|stat| stat.get(1)?.parse().ok());
        if parent == Some(pid) {
            all.push(other);
        }
    }
    Ok(all)
}

/// What stands behind the name, which may have anything in it.
fn stat(pid: u32) -> Result<Vec<String>, Error> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, behind) = stat.rsplit_once(") ").ok_or("no process")?;
    Ok(behind.split(' ').map(str::to_owned).collect())
}
