//! Which Events are sent, and which are counted in one that was. Pure: the times are given.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::events::{Note, Severity};
use crate::api::names::CONTROLLER;

/// A repeat later than this begins anew: the API server forgets Events after an hour, people sooner.
const SERIES_ENDS_AFTER: Duration = Duration::from_mins(6);
/// So many writes about one object at once.
const BURST: u32 = 10;
/// And then one in this time.
const ONE_EVERY: Duration = Duration::from_secs(30);
/// Longest note the API server takes.
const LONGEST_NOTE: usize = 1024;

/// What to send.
#[derive(Debug, PartialEq)]
pub enum Send {
    /// A new Event.
    Create(Box<Event>),
    /// A repeat of one that was sent.
    Count {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// A merge patch.
        patch: Value,
    },
}

/// What was sent of late.
#[derive(Debug)]
pub struct Series {
    node: String,
    sent: HashMap<Key, Sent>,
    budgets: HashMap<Object, Budget>,
}

/// Kind, namespace, name and uid.
type Object = [Option<String>; 4];
type Key = (Object, &'static str, String);

#[derive(Debug)]
struct Sent {
    namespace: String,
    name: String,
    count: i32,
    last: Instant,
}

/// A bucket of tokens, kept as the time at which it will be full.
#[derive(Debug)]
struct Budget {
    full_at: Instant,
}

impl Series {
    /// Of the agent on `node`.
    pub fn new(node: &str) -> Self {
        Self { node: node.to_owned(), sent: HashMap::new(), budgets: HashMap::new() }
    }

    /// What to send for `note`; nothing when its object has used up its budget. `now` measures spans, `date` is what
    /// people read.
    pub fn next(&mut self, note: &Note, now: Instant, date: Timestamp) -> Option<Send> {
        self.sent.retain(|_, sent| now.duration_since(sent.last) < SERIES_ENDS_AFTER);
        self.budgets.retain(|_, budget| budget.full_at > now);
        let object = object(&note.regarding);
        let budget = self.budgets.entry(object.clone()).or_insert(Budget { full_at: now });
        if !budget.spend(now) {
            return None;
        }
        let key = (object, note.reason, note.message.clone());
        if let Some(sent) = self.sent.get_mut(&key) {
            return Some(sent.count_one(now, date));
        }
        let event = event(&self.node, note, date);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let name = event.metadata.name.clone().unwrap_or_default();
        self.sent.insert(key, Sent { namespace, name, count: 1, last: now });
        Some(Send::Create(Box::new(event)))
    }

    /// The write failed: a repeat begins anew.
    pub fn forget(&mut self, note: &Note) {
        self.sent.remove(&(object(&note.regarding), note.reason, note.message.clone()));
    }
}

impl Sent {
    fn count_one(&mut self, now: Instant, date: Timestamp) -> Send {
        self.count = self.count.saturating_add(1);
        self.last = now;
        let patch = json!({ "series": { "count": self.count, "lastObservedTime": MicroTime(date) } });
        Send::Count { namespace: self.namespace.clone(), name: self.name.clone(), patch }
    }
}

impl Budget {
    fn spend(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + ONE_EVERY;
        let affordable = full_at.duration_since(now) <= ONE_EVERY * BURST;
        if affordable {
            self.full_at = full_at;
        }
        affordable
    }
}

fn object(reference: &ObjectReference) -> Object {
    let ObjectReference { kind, namespace, name, uid, .. } = reference.clone();
    [kind, namespace, name, uid]
}

fn event(reporter: &str, note: &Note, date: Timestamp) -> Event {
    let regarding = note.regarding.clone();
    // Where `kubectl describe` looks for Events of objects without a namespace.
    let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let name = format!("{}.{:x}", regarding.name.as_deref().unwrap_or("virtualip"), date.as_nanosecond());
    let type_ = match note.severity {
        Severity::Normal => "Normal",
        Severity::Warning => "Warning",
    };
    Event {
        action: Some(note.reason.to_owned()),
        event_time: Some(MicroTime(date)),
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        note: Some(cut(&note.message)),
        reason: Some(note.reason.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(reporter.to_owned()),
        type_: Some(type_.to_owned()),
        ..Event::default()
    }
}

fn cut(message: &str) -> String {
    let end = message.floor_char_boundary(LONGEST_NOTE);
    message.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, message: &str) -> Note {
        let regarding = ObjectReference { name: Some(name.to_owned()), ..ObjectReference::default() };
        Note { regarding, severity: Severity::Warning, reason: "Test", message: message.to_owned() }
    }

    fn date() -> Timestamp {
        Timestamp::from_second(1).unwrap()
    }

    fn is_new(send: Option<Send>) -> bool {
        matches!(send.unwrap(), Send::Create(_))
    }

    #[test]
    fn equal_ones_are_counted_and_others_are_new() {
        let (mut series, now) = (Series::new("n1"), Instant::now());
        assert!(is_new(series.next(&note("web", "a"), now, date())));
        assert!(!is_new(series.next(&note("web", "a"), now, date())));
        assert!(is_new(series.next(&note("web", "b"), now, date())), "another message is news");
        assert!(is_new(series.next(&note("mail", "a"), now, date())));
        assert!(is_new(series.next(&note("web", "a"), now + SERIES_ENDS_AFTER, date())));
    }

    #[test]
    fn one_object_cannot_flood_the_api_server_nor_silence_another() {
        let (mut series, now) = (Series::new("n1"), Instant::now());
        let sent = (0..1000).filter_map(|n| series.next(&note("web", &n.to_string()), now, date())).count();
        assert_eq!(sent, 10);
        assert!(series.next(&note("mail", "a"), now, date()).is_some());
        assert!(series.next(&note("web", "later"), now + ONE_EVERY, date()).is_some());
        assert!(series.next(&note("web", "too soon"), now + ONE_EVERY, date()).is_none());
    }

    #[test]
    fn a_failed_one_is_not_counted_on() {
        let (mut series, now) = (Series::new("n1"), Instant::now());
        series.next(&note("web", "a"), now, date());
        series.forget(&note("web", "a"));
        assert!(is_new(series.next(&note("web", "a"), now, date())));
    }

    #[test]
    fn long_notes_are_cut_where_a_character_ends() {
        let Some(Send::Create(event)) =
            Series::new("n1").next(&note("web", &"é".repeat(600)), Instant::now(), date())
        else {
            panic!("the first one is new")
        };
        assert_eq!(event.note.unwrap().len(), LONGEST_NOTE);
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
    }
}
