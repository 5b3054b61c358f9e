//! This room against the kernel, each test in a network namespace of its own, with `ip` as the witness.

mod addresses;
mod choice;
mod fence;
mod lock;
mod monitor;
mod wire;
