//! `CLOCK_BOOTTIME`, the clock of the report, and the kernel's time stamps brought to it.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME` in microseconds.
pub fn boottime_us() -> u64 {
    microseconds(read(ClockId::CLOCK_BOOTTIME))
}

/// When a packet with the time stamp `realtime` (`CLOCK_REALTIME`) arrived, in `CLOCK_BOOTTIME` microseconds.
///
/// Its age is taken between two readings close to each other, so that a thread that is put to sleep here does
/// not shift it.
pub fn arrival_us(realtime: TimeSpec) -> u64 {
    let readings = (0..3).map(|_| {
        let before = read(ClockId::CLOCK_BOOTTIME);
        let now = read(ClockId::CLOCK_REALTIME);
        let after = read(ClockId::CLOCK_BOOTTIME);
        (after.saturating_sub(before), before, now)
    });
    let (_, boottime, now) = readings.min().unwrap_or_default();
    let age = now.saturating_sub(Duration::from(realtime));
    microseconds(boottime.saturating_sub(age))
}

fn read(clock: ClockId) -> Duration {
    // Neither clock can fail on Linux; zero would show in the report at once.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
