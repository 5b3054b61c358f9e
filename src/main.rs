//! The `virtualip` program: see `virtualip --help`.

fn main() {}
