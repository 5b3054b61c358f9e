//! End-to-end tests on one real cluster.

#[path = "lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;

fn main() {
    lab::enter();
}
