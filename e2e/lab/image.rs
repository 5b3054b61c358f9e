//! Container images, built without a registry: from scratch around one static program.

use super::{
    error::{Doing, Result},
    node_config::PAUSE,
    process::Process,
    run::{command, run, run_openly},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The target of programs that need nothing but a kernel.
pub const STATIC: &str = "x86_64-unknown-linux-musl";

/// An image in a file.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name, as manifests spell it.
    pub name: String,
    /// The file: an OCI archive.
    pub archive: PathBuf,
}

impl Image {
    /// The image of the process that holds a pod's namespaces.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn pause() -> Result<Self> {
        let dir = scratch("pause")?;
        let (program, source) = (dir.join("pause"), root().join("e2e/programs/pause.rs"));
        let mut rustc = command(&[
            "rustc",
            "--edition=2024",
            "-Copt-level=s",
            "-Cstrip=symbols",
            "--target",
            STATIC,
            "-o",
        ]);
        rustc.arg(&program).arg(source);
        run(rustc)?;
        from_scratch(&dir, "pause", PAUSE)
    }

    /// An image that holds nothing but this static program, in its top folder.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn of_program(name: &str, program: &Path) -> Result<Self> {
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let dir = scratch(&file)?;
        let copy = dir.join(&*file);
        fs::copy(program, &copy).doing(|| format!("copy {} to {}", program.display(), copy.display()))?;
        from_scratch(&dir, &file, name)
    }

    /// The project's own image, by its own Dockerfile, around the static release binary: what is tested is what
    /// ships. `VIRTUALIP_BINARY` names a ready static binary instead.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn virtualip(name: &str) -> Result<Self> {
        let binary =
            env::var_os("VIRTUALIP_BINARY").map_or_else(release_binary, |path| Ok(PathBuf::from(path)))?;
        Self::around(name, &binary)
    }

    /// The same around this static binary.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn around(name: &str, binary: &Path) -> Result<Self> {
        let dir = scratch("virtualip")?;
        // The Dockerfile takes it from where cargo puts it.
        let folder = dir.join("target").join(STATIC).join("release");
        fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
        let copy = folder.join("virtualip");
        fs::copy(binary, &copy).doing(|| format!("copy {} to {}", binary.display(), copy.display()))?;
        build(&dir, &root().join("Dockerfile"), name)
    }
}

impl Image {
    /// The archive's size in bytes.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn size(&self) -> Result<u64> {
        let file = fs::metadata(&self.archive).doing(|| format!("look at {}", self.archive.display()))?;
        Ok(file.len())
    }
}

/// cargo in this project, as if no other cargo had started us: build scripts look at what it tells about our package, and
/// would think that everything has changed.
pub fn cargo(words: &[&str]) -> Command {
    let mut cargo = command(&[env::var("CARGO").as_deref().unwrap_or("cargo")]);
    cargo.args(words).current_dir(root());
    for (name, _) in env::vars_os() {
        // The last for packages that have a build script, as ours.
        let told =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];
        if told.iter().any(|told| name.to_string_lossy().starts_with(told)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Builds the static release binary and says where it is.
///
/// # Errors
/// When cargo does.
pub fn release_binary() -> Result<PathBuf> {
    eprintln!("building the static release binary (about 4 minutes the first time) ...");
    run_openly(cargo(&["build", "--release", "--bin", "virtualip", "--target", STATIC]))?;
    Ok(target().join(STATIC).join("release/virtualip"))
}

/// An image around the program `file` that is in `dir`.
fn from_scratch(dir: &Path, file: &str, name: &str) -> Result<Image> {
    let recipe = dir.join("Dockerfile");
    fs::write(&recipe, format!("FROM scratch\nCOPY {file} /{file}\nENTRYPOINT [\"/{file}\"]\n"))
        .doing(|| format!("write {}", recipe.display()))?;
    build(dir, &recipe, name)
}

fn build(dir: &Path, recipe: &Path, name: &str) -> Result<Image> {
    let archive = dir.join("image.tar");
    if archive.exists() {
        fs::remove_file(&archive).doing(|| format!("remove {}", archive.display()))?;
    }
    let storage = [("--root", dir.join("buildah")), ("--runroot", dir.join("buildah-run"))];
    let buildah = || {
        let mut buildah = command(&["buildah", "--storage-driver", "vfs"]);
        for (flag, path) in &storage {
            buildah.arg(flag).arg(path);
        }
        buildah
    };
    let mut bud = buildah();
    bud.args(["bud", "--isolation", "chroot", "--quiet", "--tag", name, "--file"]).arg(recipe).arg(dir);
    run(bud)?;
    let mut push = buildah();
    push.args(["push", "--quiet", name]).arg(format!("oci-archive:{}:{name}", archive.display()));
    run(push)?;
    // The layers are in the archive now.
    let mut clean = buildah();
    clean.args(["rmi", "--all", "--force"]);
    run(clean)?;
    Ok(Image { name: name.to_owned(), archive })
}

/// A directory for one image and this process. Those of dead processes go.
fn scratch(name: &str) -> Result<PathBuf> {
    let images = target().join("e2e/images");
    for old in fs::read_dir(&images).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        let maker = old.extension().and_then(|pid| pid.to_str()?.parse().ok());
        if maker.and_then(Process::find).is_none() {
            // Another process may be just as tidy.
            let _ = fs::remove_dir_all(old);
        }
    }
    let dir = images.join(format!("{name}.{}", std::process::id()));
    fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
    Ok(dir)
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target directory, found from this program's own place in it.
pub fn target() -> PathBuf {
    let own = env::current_exe().unwrap_or_default();
    let found =
        own.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == "debug" || name == "release"));
    found.and_then(Path::parent).map_or_else(|| root().join("target"), Path::to_owned)
}
