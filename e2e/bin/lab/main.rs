//! The lab on the command line.

mod demo;
#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;

use clap::{Parser, Subcommand};
use lab::{
    Cluster, Plan, Result, attach::Attached, error::chain, image::Image, packages, programs,
    programs::Programs, state::State,
};
use std::{
    process::{ExitCode, ExitStatus},
    time::Instant,
};

/// A real Kubernetes cluster on this machine, in namespaces.
///
/// Needs root. The first start builds the programs of a cluster from source, which takes about ten minutes.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
    /// The lab of this process, where several run (see `lab list`)
    #[arg(long, global = true, value_name = "PID")]
    owner: Option<u32>,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster and leave it running
    Up {
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// Without agents
        #[arg(long)]
        bare: bool,
    },
    /// End the labs that run, or the one that --owner names
    Down,
    /// List the labs that run
    List,
    /// Run kubectl as administrator of the running lab
    #[command(disable_help_flag = true)]
    Kubectl {
        /// What kubectl shall do
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Run a program on a host of the running lab
    Exec {
        /// A node (n1 ...), `client`, `control-plane` or `wire`
        host: String,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
    /// Show how an address moves when nodes fail
    Demo {
        /// Leave the cluster running at the end
        #[arg(long)]
        keep: bool,
    },
    /// Install the Debian packages that the lab needs
    Deps,
    /// Build the programs of a cluster, where they are missing, and say where they are
    Programs,
    /// Build the container image and say where it is
    Image {
        /// Its name
        #[arg(default_value = "docker.io/library/virtualip:dev")]
        name: String,
    },
}

fn main() -> ExitCode {
    lab::enter();
    let options = Options::parse();
    perform(options.command, options.owner).unwrap_or_else(|error| {
        eprintln!("lab: {}", chain(&error));
        ExitCode::FAILURE
    })
}

fn perform(command: Command, owner: Option<u32>) -> Result<ExitCode> {
    let done = |result: Result<()>| result.map(|()| ExitCode::SUCCESS);
    match command {
        Command::Up { nodes, bare } => done(up(nodes, bare)),
        Command::Down => done(down(owner)),
        Command::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        Command::Kubectl { words } => Attached::find(owner)?.kubectl(&words).map(code),
        Command::Exec { host, words } => Attached::find(owner)?.exec(&host, &words).map(code),
        Command::Demo { keep } => done(demo::show(keep)),
        Command::Deps => done(packages::install()),
        Command::Programs => done(list_programs()),
        Command::Image { name } => {
            done(Image::virtualip(&name).map(|image| println!("{}", image.archive.display())))
        }
    }
}

fn up(nodes: usize, bare: bool) -> Result<()> {
    let start = Instant::now();
    let cluster = Cluster::start(&Plan::of(nodes))?;
    println!("{nodes} nodes Ready after {:.1} s", start.elapsed().as_secs_f32());
    if !bare {
        cluster.deploy()?;
        println!("agents ready after {:.1} s", start.elapsed().as_secs_f32());
    }
    leave(cluster)
}

/// Leaves a cluster running and says how to look around.
fn leave(cluster: Cluster) -> Result<()> {
    let dir = cluster.keep()?;
    let own = std::env::current_exe().unwrap_or_else(|_| "lab".into());
    let own = own.display();
    println!("the lab runs on; its files and logs are in {}. To look around:", dir.display());
    println!("  {own} kubectl get virtualips,virtualipnodes,leases -A");
    println!("  {own} exec n1 ip address");
    println!("  {own} exec client ping 192.168.200.201");
    println!("  {own} down");
    Ok(())
}

fn down(owner: Option<u32>) -> Result<()> {
    let is_meant =
        |lab: &&State| owner.is_none_or(|owner| lab.owner().is_some_and(|process| process.pid == owner));
    State::all().iter().filter(is_meant).try_for_each(State::end)
}

fn list() {
    for lab in State::all() {
        let owner = lab.owner().filter(|owner| owner.is_alive());
        let owner = owner.map_or("dead".to_owned(), |owner| owner.pid.to_string());
        println!("{}\towner {owner}", lab.dir().display());
    }
}

fn list_programs() -> Result<()> {
    Programs::ready()?;
    programs::caches()?.iter().for_each(|cache| println!("{}", cache.display()));
    Ok(())
}

/// What the program ended with; one that a signal ended is a failure.
fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
