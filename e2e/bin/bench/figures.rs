//! Figures, the bars that they must keep, and how they are printed.

use serde_json::{Map, Value, json};
use std::{fmt::Write, time::Duration};

/// What each figure may be at most.
const BARS: [(&str, f64); 24] = [
    ("fence_ns_per_packet", 60.0),
    ("fence_ns_per_packet_of_others", 60.0),
    ("idle_cpu_100_vips_percent", 0.5),
    ("handover_p50_ms", 1.0),
    ("handover_two_owner_ms", 0.0),
    ("power_off_max_ms", 3200.0),
    ("witness_power_off_p50_ms", 400.0),
    ("witness_power_off_max_ms", 500.0),
    // The right ends 0.3 s after the power at the latest.
    ("dead_node_1000_vips_of_1_max_ms", 1800.0),
    ("dead_node_63_vips_of_16_max_ms", 1800.0),
    ("repair_by_hand_p50_ms", 50.0),
    ("base_address_removed_promote_0_max_ms", 50.0),
    ("base_address_removed_promote_1_max_ms", 50.0),
    ("witness_writes_of_a_node_in_10_s_with_1_vips", 1.0),
    ("witness_writes_of_a_node_in_10_s_with_1000_vips", 1.0),
    ("agent_rss_mib_with_50_vips", 20.0),
    ("agent_cpu_millicores_with_50_vips", 10.0),
    ("binary_mib", 12_000_000.0 / 1_048_576.0),
    ("image_mib", 15_000_000.0 / 1_048_576.0),
    ("two_owner_ms", 0.0),
    ("thousand_addresses_added_ms", 1000.0),
    ("thousand_addresses_renewed_core_percent", 1.0),
    ("thousand_ipv6_addresses_added_ms", 1000.0),
    ("thousand_ipv6_addresses_renewed_core_percent", 1.0),
];

/// Measured figures, by a name that ends in the unit.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Notes a figure.
    pub fn note(&mut self, name: &str, value: f64) {
        eprintln!("  {name} = {}", shown(value));
        self.0.push((name.to_owned(), value));
    }

    /// Notes median and maximum of some spans, in milliseconds.
    pub fn note_spans(&mut self, name: &str, spans: &[Duration]) {
        let mut sorted: Vec<f64> = spans.iter().map(|span| span.as_secs_f64() * 1000.0).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(median), Some(most)) = (sorted.get(sorted.len() / 2), sorted.last()) else { return };
        self.note(&format!("{name}_p50_ms"), *median);
        self.note(&format!("{name}_max_ms"), *most);
    }

    /// One aligned table.
    pub fn table(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        self.0.iter().fold(String::new(), |mut table, (name, value)| {
            let bar = BARS.iter().find(|(barred, _)| barred == name).map(|(_, bar)| *bar);
            let verdict = match bar {
                Some(bar) if *value > bar => format!("  MISSED: at most {}", shown(bar)),
                Some(bar) => format!("  at most {}", shown(bar)),
                None => String::new(),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{name:width$}  {:>10}{verdict}", shown(*value));
            table
        })
    }

    /// One flat object: these, and the others of what was written `before`.
    pub fn json(&self, before: Option<&str>) -> String {
        let rounded = |value: &f64| json!((value * 1000.0).round() / 1000.0);
        let mut object: Map<String, Value> =
            before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        object.extend(self.0.iter().map(|(name, value)| (name.clone(), rounded(value))));
        format!("{:#}\n", Value::Object(object))
    }
}

fn shown(value: f64) -> String {
    format!("{value:.2}")
}
