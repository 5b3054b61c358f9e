//! Compiles the program of the fence for the kernel, with clang. Where that does not go the build goes on, and the
//! binary says at start that it has no exact fence.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = "src/network/fence/fence.bpf.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CLANG");
    let Some(out) = env::var_os("OUT_DIR") else {
        return println!("cargo::error=cargo did not say where to write");
    };
    let object = PathBuf::from(out).join("fence.bpf.o");
    if let Err(why) = compile(&object) {
        // A file that never is there: the next build looks again for a compiler.
        println!("cargo::rerun-if-changed={}", object.with_extension("missing").display());
        println!(
            "cargo::warning=this build has no exact fence, only the kernel's address lifetimes: {why}. \
             Install clang and libbpf-dev, or name a clang in CLANG"
        );
        if let Err(error) = fs::write(&object, []) {
            println!("cargo::error=cannot write {}: {error}", object.display());
        }
    }
}

fn compile(object: &Path) -> Result<(), String> {
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let machine = if target("ENDIAN") == "big" { "bpfeb" } else { "bpfel" };
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut command = Command::new(&clang);
    command.args(["-O2", "-g", "-Wall", "-Werror", "-target", machine]);
    // Where Debian has <asm/types.h>; elsewhere it is in /usr/include itself.
    command.arg(format!("-I/usr/include/{}-linux-gnu", target("ARCH")));
    command.args(["-c", SOURCE, "-o"]).arg(object);
    let output = command.output().map_err(|error| format!("{clang} cannot be run ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{clang} says: {}", said.lines().next().unwrap_or("nothing")))
}
