//! The clock that rights are kept on.

use std::time::Duration;

use nix::{
    errno::Errno,
    time::{ClockId, clock_gettime},
};

/// Time since boot, on `CLOCK_BOOTTIME`: nobody can set it, and unlike `CLOCK_MONOTONIC` it goes on while the
/// machine is suspended, so that a right ends also for a node that slept through its end.
///
/// # Errors
/// None is known on Linux since 2.6.39, which has this clock.
pub fn now() -> Result<Duration, Errno> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_time_since_boot() {
        let before = now().unwrap();
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let after = now().unwrap();
        // /proc/uptime is cut to hundredths of a second.
        assert!(before.as_secs_f64() - 0.01 <= uptime && uptime <= after.as_secs_f64());
    }
}
