//! The `virtualip` program: see `virtualip --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    virtualip::cli::run()
}
