//! The programs of a Kubernetes cluster, built once from pinned Go modules into a cache that survives `cargo clean`.

use super::{
    error::{Doing, Error, Result},
    run::{command, run},
};
use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

/// A Go module under `e2e/programs` that only names versions.
struct Module {
    folder: &'static str,
    /// The dependency whose version is the module's.
    named_after: &'static str,
    tags: &'static str,
    /// Flags for the linker; `{version}`, `{major}` and `{minor}` are filled in.
    flags: &'static str,
    /// Each program with its package and the minutes of its first build on two cores.
    programs: &'static [(&'static str, &'static str, &'static str)],
}

const MODULES: [Module; 2] = [
    Module {
        folder: "kubernetes",
        named_after: "k8s.io/kubernetes",
        tags: "",
        // Without these kubectl and the API server call themselves v0.0.0, and complain about each other.
        flags: "-s -w -X k8s.io/component-base/version.gitVersion={version} \
                -X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor}",
        programs: &[
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl", "2 minutes"),
            ("etcd", "go.etcd.io/etcd/server/v3", "half a minute"),
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "4 minutes"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet", "2 minutes"),
            ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "a minute"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", "half a minute"),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", "half a minute"),
        ],
    },
    Module {
        folder: "containerd",
        named_after: "github.com/containerd/containerd/v2",
        tags: "no_btrfs no_zfs no_devmapper",
        flags: "-s -w -X github.com/containerd/containerd/v2/version.Version={version}",
        programs: &[
            ("containerd", "github.com/containerd/containerd/v2/cmd/containerd", "a minute"),
            (
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "half a minute",
            ),
            ("ctr", "github.com/containerd/containerd/v2/cmd/ctr", "half a minute"),
        ],
    },
];

/// Ready programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
}

impl Programs {
    /// Finds every program, in the folder that `KUBEBUILDER_ASSETS` names or in the cache, and builds those that are missing.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub fn ready() -> Result<Self> {
        Self::ready_with(env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).into_iter().collect())
    }

    /// The same, where these folders are looked into first.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub fn ready_with(mut folders: Vec<PathBuf>) -> Result<Self> {
        let total: usize = MODULES.iter().map(|module| module.programs.len()).sum();
        let mut number = 0;
        for module in &MODULES {
            let cache = module.cache()?;
            let ready = |name: &str| folders.iter().any(|folder| folder.join(name).exists());
            for (name, package, takes) in module.programs {
                number += 1;
                if !ready(name) {
                    module.build(
                        &cache,
                        name,
                        package,
                        &format!("({number}/{total}), takes about {takes} the first time"),
                    )?;
                }
            }
            folders.push(cache);
        }
        Ok(Self { folders })
    }

    /// The path of a program.
    ///
    /// # Panics
    /// Never: a program that is nowhere is looked for in the `PATH`.
    pub fn path(&self, name: &str) -> String {
        let found = self.folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
        found.map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned())
    }
}

/// Where each module's programs are kept, for a person who wants to look or to clean up.
///
/// # Errors
/// When a go.mod cannot be read.
pub fn caches() -> Result<Vec<PathBuf>> {
    MODULES.iter().map(Module::cache).collect()
}

impl Module {
    fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/programs").join(self.folder)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.source().join(file);
        fs::read_to_string(&path).doing(|| format!("read {}", path.display()))
    }

    fn version(&self) -> Result<String> {
        let text = self.read("go.mod")?;
        let mut lines = text.lines().map(str::split_whitespace);
        let found = lines.find_map(|mut words| {
            let named = words.any(|word| word == self.named_after);
            words.next().filter(|version| named && version.starts_with('v')).map(str::to_owned)
        });
        found.ok_or_else(|| {
            Error::other(format!("{}/go.mod names no version of {}", self.folder, self.named_after))
        })
    }

    /// The cache is named after everything that decides what is in it.
    fn cache(&self) -> Result<PathBuf> {
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
        let caches =
            caches.ok_or_else(|| Error::other("neither XDG_CACHE_HOME nor HOME says where caches are"))?;
        let pinned = self.read("go.mod")? + &self.read("go.sum")? + self.tags + self.flags;
        let name = format!("{}-{}-{:016x}", self.folder, self.version()?, fingerprint(pinned.as_bytes()));
        Ok(caches.join("virtualip/programs").join(name))
    }

    /// Builds one program beside its final place and renames it: half of a program is never found.
    fn build(&self, cache: &Path, name: &str, package: &str, progress: &str) -> Result<()> {
        fs::create_dir_all(cache).doing(|| format!("make {}", cache.display()))?;
        let lock =
            File::create(cache.join(".lock")).doing(|| format!("open a lock in {}", cache.display()))?;
        lock.lock().doing(|| format!("lock {}", cache.display()))?;
        let (done, draft) = (cache.join(name), cache.join(format!(".{name}")));
        if done.exists() {
            return Ok(());
        }
        let version = self.version()?;
        eprintln!("building {name} {progress} ...");
        let start = Instant::now();
        let flags = fill_in(self.flags, &version);
        // What debuggers want to know is stripped by the linker, and not making it spares a seventh of the time.
        let words = ["go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-tags", self.tags];
        let mut go = command(&words);
        go.args(["-ldflags", &flags, "-o"]);
        go.arg(&draft).arg(package).current_dir(self.source()).env("CGO_ENABLED", "0");
        run(go)?;
        fs::rename(&draft, &done).doing(|| format!("put {name} into {}", cache.display()))?;
        eprintln!("built {name} in {} s", start.elapsed().as_secs());
        Ok(())
    }
}

fn fill_in(flags: &str, version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    flags.replace("{version}", version).replace("{major}", major).replace("{minor}", minor)
}

/// FNV-1a: the same on every machine and with every compiler.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
