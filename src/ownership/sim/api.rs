//! The API server: etcd's revisions, compare-and-swap, linearizable reads, and a log for the watches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::event::{Answer, Event, NodeWrite, TitleWrite, Why};
use super::super::lease::{Epoch, Expect, Key, NodeLease, NodeName, Title, Version};

/// One change of an object, as watches deliver it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::ownership) enum Change {
    Node(NodeName, Version, Option<NodeLease>),
    Title(Key, Version, Option<Title>),
}

impl Change {
    pub(in crate::ownership) fn event(self) -> Event {
        match self {
            Self::Node(node, version, lease) => Event::Node { node, version, lease },
            Self::Title(key, version, title) => Event::Title { key, version, title },
        }
    }
}

/// All Leases and their history.
#[derive(Clone, Default)]
pub(in crate::ownership) struct Api {
    pub(in crate::ownership) revision: Version,
    pub(in crate::ownership) nodes: BTreeMap<NodeName, NodeLease>,
    pub(in crate::ownership) titles: BTreeMap<Key, Title>,
    /// What watches have yet to deliver.
    pub(in crate::ownership) log: Vec<Change>,
    /// So many entries before those of the log are forgotten.
    pub(in crate::ownership) forgotten: usize,
    pub(in crate::ownership) writes: u64,
    pub(in crate::ownership) reads: u64,
    pub(in crate::ownership) uids: u64,
}

impl Api {
    /// The entry of the log at `cursor`.
    pub(in crate::ownership) fn entry(&self, cursor: usize) -> Option<&Change> {
        self.log.get(cursor.checked_sub(self.forgotten)?)
    }

    /// Where the next entry of the log will be.
    pub(in crate::ownership) fn end(&self) -> usize {
        self.forgotten + self.log.len()
    }

    /// Forgets the entries before `cursor`.
    pub(in crate::ownership) fn forget(&mut self, cursor: usize) {
        let old = cursor.saturating_sub(self.forgotten).min(self.log.len());
        self.log.drain(..old);
        self.forgotten += old;
    }

    fn allows(expect: Expect, found: Option<Version>) -> bool {
        match expect {
            Expect::Absent => found.is_none(),
            Expect::At(version) => found == Some(version),
        }
    }

    pub(in crate::ownership) fn write_node(&mut self, write: &NodeWrite) -> Answer<NodeLease> {
        self.writes += 1;
        let found = self.nodes.get(&write.node);
        if !Self::allows(write.expect, found.map(|lease| lease.version)) {
            return Answer::Conflict;
        }
        let uid = found.map_or_else(
            || {
                self.uids += 1;
                format!("uid{}", self.uids).into()
            },
            |lease| lease.epoch.lease.clone(),
        );
        self.revision += 1;
        let lease = NodeLease {
            version: self.revision,
            epoch: Epoch { lease: uid, number: write.number },
            open: write.open,
            duration: write.duration,
            nonce: write.nonce,
            source: write.source.clone(),
        };
        self.nodes.insert(write.node.clone(), lease.clone());
        self.log.push(Change::Node(write.node.clone(), self.revision, Some(lease.clone())));
        Answer::Written(self.revision, Some(lease))
    }

    pub(in crate::ownership) fn write_title(&mut self, write: &TitleWrite) -> Answer<Title> {
        self.writes += 1;
        let found = self.titles.get(&write.key);
        if !Self::allows(write.expect, found.map(|title| title.version)) {
            return Answer::Conflict;
        }
        self.revision += 1;
        let title = (write.why != Why::Retire).then(|| Title {
            version: self.revision,
            content: write.content.clone(),
            deleting: found.is_some_and(|title| title.deleting),
        });
        match &title {
            Some(title) => self.titles.insert(write.key.clone(), title.clone()),
            None => self.titles.remove(&write.key),
        };
        self.log.push(Change::Title(write.key.clone(), self.revision, title.clone()));
        Answer::Written(self.revision, title)
    }

    /// Somebody deletes a node Lease by hand.
    pub(in crate::ownership) fn delete_node(&mut self, node: &NodeName) {
        if self.nodes.remove(node).is_some() {
            self.revision += 1;
            self.log.push(Change::Node(node.clone(), self.revision, None));
        }
    }

    /// Somebody deletes a vip Lease by hand: its finalizer keeps it.
    pub(in crate::ownership) fn delete_title(&mut self, key: &Key) {
        if let Some(title) = self.titles.get_mut(key) {
            self.revision += 1;
            title.version = self.revision;
            title.deleting = true;
            self.log.push(Change::Title(key.clone(), self.revision, Some(title.clone())));
        }
    }

    pub(in crate::ownership) fn read_node(&mut self, node: &NodeName) -> Event {
        self.reads += 1;
        let lease = self.nodes.get(node).cloned();
        let version = lease.as_ref().map_or(self.revision, |lease| lease.version);
        Event::Node { node: node.clone(), version, lease }
    }

    pub(in crate::ownership) fn read_title(&mut self, key: &Key) -> Event {
        self.reads += 1;
        let title = self.titles.get(key).cloned();
        let version = title.as_ref().map_or(self.revision, |title| title.version);
        Event::Title { key: key.clone(), version, title }
    }

    pub(in crate::ownership) fn check(
        &mut self,
        key: &Key,
        version: Version,
        wanted: &BTreeSet<IpAddr>,
    ) -> Event {
        self.reads += 1;
        let others = self.titles.iter().filter(|(other, _)| *other != key);
        let listed = others.flat_map(|(_, title)| title.content.granted.iter().chain(&title.content.wanted));
        let taken = listed.filter(|address| wanted.contains(address)).copied().collect();
        Event::Checked { key: key.clone(), version, taken: Some(taken) }
    }
}
