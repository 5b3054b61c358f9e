//! What Corosync and Pacemaker are told before they start.

use std::fmt::Write;

/// Two nodes, of which one is enough: a name and an address on the ring for each.
pub fn corosync(nodes: &[(String, String)]) -> String {
    let mut list = String::new();
    for (number, (name, address)) in nodes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "  node {{\n    name: {name}\n    nodeid: {}\n    ring0_addr: {address}\n  }}",
            number + 1
        );
    }
    format!(
        "totem {{\n  version: 2\n  cluster_name: lab\n  transport: knet\n  token: 1000\n}}\n\
         nodelist {{\n{list}}}\n\
         quorum {{\n  provider: corosync_votequorum\n  two_node: 1\n  wait_for_all: 0\n}}\n\
         logging {{\n  to_stderr: yes\n  to_syslog: no\n}}\n"
    )
}

/// Pacemaker's first configuration: who leads is settled after one second instead of twenty, nobody is there who could
/// switch a node off, and a resource stays where it is.
pub const CIB: &str = r#"<cib admin_epoch="0" epoch="1" num_updates="0" validate-with="pacemaker-3.0">
  <configuration>
    <crm_config>
      <cluster_property_set id="options">
        <nvpair id="options-dc-deadtime" name="dc-deadtime" value="1s"/>
        <nvpair id="options-stonith-enabled" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources/>
    <constraints/>
    <rsc_defaults>
      <meta_attributes id="defaults">
        <nvpair id="defaults-stickiness" name="resource-stickiness" value="100"/>
      </meta_attributes>
    </rsc_defaults>
  </configuration>
  <status/>
</cib>
"#;
