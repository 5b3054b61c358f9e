//! What happens, in order, and what has to be true after each step.

use crate::{
    lab::{
        error::{Error, Result},
        judge::Verdict,
        run::until,
    },
    node::OUTER,
    stack::{PATIENCE, Stack},
};
use std::{net::IpAddr, time::Instant};

/// The group of both addresses.
const GROUP: &str = "web";
/// What is in it.
const NAMES: [&str; 2] = ["web-v4", "web-v6"];
/// How often Pacemaker's monitor action runs.
const MONITOR: &str = "interval=1s";

/// Tells it all. Each sentence is printed when it has come true.
pub fn tell() -> Result<()> {
    let start = Instant::now();
    let told = |sentence: &str| println!("{:5.1} s  {sentence}", start.elapsed().as_secs_f32());
    let stack = Stack::start()?;
    told("Corosync and Pacemaker run on n1 and n2, and know each other");
    described(&stack)?;
    told("crm lists and describes the resource agent that make install-ocf put there");
    let addresses = addresses();
    if !stack.with(&addresses)?.is_empty() {
        return Err(Error::other("an address is there before anybody wanted it"));
    }
    let watch = stack.watch(&addresses)?;
    let first = started(&stack, &addresses)?;
    told(&format!("started: {first} has the addresses, one of each family, and nobody else"));
    let took = monitored(&stack, &first)?;
    told(&format!(
        "monitored: deleted by hand, the address was back after {took:.1} s, and crm_mon counts it"
    ));
    let second = moved(&stack, &first)?;
    told(&format!("moved: {second} has them, and keeps them when the constraint is cleared"));
    cable(&stack, &second)?;
    told(&format!("{second} lost its carrier: {first} has them, also when the carrier is back"));
    power(&stack, &first)?;
    told(&format!("{first} was powered off: {second} has them, also when {first} is back"));
    stack.node(&first)?.run(&["crm", "--wait", "resource", "stop", GROUP])?;
    stack.settled(&addresses, &[])?;
    told("stopped: nobody has them");
    let verdict = watch.stop()?;
    judged(&verdict, &[&first, &second, &first, &second])?;
    told("the client never heard two hosts answer");
    Ok(())
}

fn addresses() -> [IpAddr; 2] {
    [[192, 168, 200, 200].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x200].into()]
}

fn described(stack: &Stack) -> Result<()> {
    let node = stack.node("n1")?;
    let listed = node.run(&["crm", "ra", "list", "ocf", "virtualip"])?;
    let said = node.run(&["crm", "ra", "info", "ocf:virtualip:VirtualIP"])?;
    let parts = ["ip* (string)", "cidr_netmask (string)", "monitor", "longest on-link prefix"];
    match parts.iter().find(|part| !said.contains(**part)) {
        None if listed.contains("VirtualIP") => Ok(()),
        None => Err(Error::other(format!("crm ra list prints {listed:?}"))),
        Some(part) => Err(Error::other(format!("{part:?} is not in {said}"))),
    }
}

/// Both addresses as one group; says who has them.
fn started(stack: &Stack, addresses: &[IpAddr]) -> Result<String> {
    // At once: one after the other they would start on different nodes.
    let mut lines: Vec<String> = NAMES
        .iter()
        .zip(addresses)
        .map(|(name, ip)| {
            format!("primitive {name} ocf:virtualip:VirtualIP params ip={ip} op monitor {MONITOR}")
        })
        .collect();
    lines.push(format!("group {GROUP} {}\n", NAMES.join(" ")));
    stack.node("n1")?.configure(&lines.join("\n"))?;
    let with = until("one node has both", PATIENCE, || {
        let with = stack.with(addresses)?;
        if let [one] = with[..] { Ok(Some(one.to_owned())) } else { Err(Error::other(format!("{with:?}"))) }
    })?;
    stack.says(&format!("web-v6\t(ocf:virtualip:VirtualIP):\t Started {with}"))?;
    Ok(with)
}

/// Says how many seconds Pacemaker needed to notice and mend.
fn monitored(stack: &Stack, owner: &str) -> Result<f32> {
    let node = stack.node(owner)?;
    let shown = node.run(&["ip", "-oneline", "address", "show", "to", &addresses()[0].to_string()])?;
    let net = shown.split_whitespace().nth(3).ok_or_else(|| Error::other(format!("ip prints {shown:?}")))?;
    node.run(&["ip", "address", "del", net, "dev", OUTER])?;
    let start = Instant::now();
    stack.settled(&addresses(), &[owner])?;
    let took = start.elapsed().as_secs_f32();
    stack.says("fail-count=1")?;
    node.run(&["crm_resource", "--cleanup", "--resource", GROUP])?;
    Ok(took)
}

/// Says where they are then.
fn moved(stack: &Stack, owner: &str) -> Result<String> {
    let (node, new) = (stack.node(owner)?, stack.other(owner)?.name());
    node.run(&["crm", "--wait", "resource", "move", GROUP, new])?;
    stack.settled(&addresses(), &[new])?;
    node.run(&["crm", "--wait", "resource", "clear", GROUP])?;
    stack.settled(&addresses(), &[new])?;
    Ok(new.to_owned())
}

fn cable(stack: &Stack, owner: &str) -> Result<()> {
    let (node, new) = (stack.node(owner)?, stack.other(owner)?.name());
    node.unplug()?;
    stack.settled(&addresses(), &[new])?;
    node.replug()?;
    node.run(&["crm_resource", "--wait", "--timeout=30s"])?;
    node.run(&["crm_resource", "--cleanup", "--resource", GROUP])?;
    stack.settled(&addresses(), &[new])
}

fn power(stack: &Stack, owner: &str) -> Result<()> {
    let (node, new) = (stack.node(owner)?, stack.other(owner)?.name());
    node.power_off();
    stack.settled(&addresses(), &[new])?;
    stack.power_on(node)?;
    stack.both_online()?;
    node.run(&["crm_resource", "--wait", "--timeout=30s"])?;
    stack.settled(&addresses(), &[new])
}

/// Who answered, in order, and how long nobody did.
fn judged(verdict: &Verdict, owners: &[&str]) -> Result<()> {
    if verdict.ever_two() {
        return Err(Error::other(format!("TWO HOSTS ANSWERED: {:?}", verdict.report)));
    }
    for address in addresses().map(|address| address.to_string()) {
        let seen = verdict.owners(&address)?;
        if seen != owners {
            return Err(Error::other(format!("{seen:?} answered for {address}, not {owners:?}")));
        }
        let silences: Vec<String> = verdict
            .of(&address)?
            .silences
            .iter()
            .map(|silence| format!("{} ms", silence.length_us / 1000))
            .collect();
        println!("{address}: silent for {}", silences.join(", "));
    }
    Ok(())
}
