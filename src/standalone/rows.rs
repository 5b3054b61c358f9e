//! What people and scripts are told.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::IpAddr,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use crate::{api::VipKey, manifests::Problem};

/// The state of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub key: VipKey,
    /// Which.
    pub address: IpAddr,
    /// The interface that has it; none: it is not up.
    pub interface: Option<String>,
    /// Why it is not up, or what is the matter although it is.
    pub message: String,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A table whenever something changed.
    Table,
    /// A line of JSON for each change.
    Json,
}

/// Prints what changed.
pub struct Printer<W> {
    style: Style,
    out: W,
    rows: Option<BTreeMap<(VipKey, IpAddr), Row>>,
    problems: Vec<Problem>,
}

impl<W: Write> Printer<W> {
    /// Nothing was printed yet.
    pub const fn new(style: Style, out: W) -> Self {
        Self { style, out, rows: None, problems: Vec::new() }
    }

    /// Prints what is not as it was the last time.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn print(&mut self, rows: Vec<Row>, problems: &[Problem]) -> io::Result<()> {
        let rows: BTreeMap<_, _> =
            rows.into_iter().map(|row| ((row.key.clone(), row.address), row)).collect();
        if self.rows.as_ref() == Some(&rows) && self.problems == problems {
            return Ok(());
        }
        match self.style {
            Style::Table => self.table(&rows, problems)?,
            Style::Json => self.lines(&rows, problems)?,
        }
        self.rows = Some(rows);
        self.problems = problems.to_vec();
        self.out.flush()
    }

    fn table(&mut self, rows: &BTreeMap<(VipKey, IpAddr), Row>, problems: &[Problem]) -> io::Result<()> {
        let head = ["NAMESPACE/NAME", "ADDRESS", "INTERFACE", "READY", "MESSAGE"].map(str::to_owned);
        let body = rows.values().map(|row| {
            let ready = if row.interface.is_some() { "True" } else { "False" };
            let interface = row.interface.clone().unwrap_or_else(|| "-".to_owned());
            [row.key.to_string(), row.address.to_string(), interface, ready.to_owned(), row.message.clone()]
        });
        let lines: Vec<[String; 5]> = std::iter::once(head).chain(body).collect();
        let width =
            |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths = [0, 1, 2, 3].map(width);
        writeln!(self.out, "\n{:.0}", Timestamp::now())?;
        for line in &lines {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}   "));
            let text: String = cells.chain([line[4].clone()]).collect();
            writeln!(self.out, "{}", text.trim_end())?;
        }
        for problem in problems {
            writeln!(self.out, "{problem}")?;
        }
        Ok(())
    }

    fn lines(&mut self, rows: &BTreeMap<(VipKey, IpAddr), Row>, problems: &[Problem]) -> io::Result<()> {
        let time = Timestamp::now().to_string();
        let before = self.rows.take().unwrap_or_default();
        for (which, row) in rows.iter().filter(|(which, row)| before.get(which) != Some(row)) {
            let (VipKey { namespace, name }, address) = which;
            let line = json!({"time": time, "namespace": namespace, "name": name, "address": address,
                "interface": row.interface, "ready": row.interface.is_some(), "message": row.message});
            writeln!(self.out, "{line}")?;
        }
        for (VipKey { namespace, name }, address) in before.keys().filter(|which| !rows.contains_key(which)) {
            let line = json!({"time": time, "namespace": namespace, "name": name, "address": address,
                "interface": null, "ready": false, "message": "not wanted any more"});
            writeln!(self.out, "{line}")?;
        }
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            writeln!(self.out, "{}", json!({"time": time, "problem": problem}))?;
        }
        for solved in self.problems.iter().filter(|problem| !problems.contains(problem)) {
            writeln!(self.out, "{}", json!({"time": time, "solved": solved}))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, interface: Option<&str>, message: &str) -> Row {
        Row {
            key: VipKey::new("shop", name),
            address: "192.0.2.1".parse().unwrap(),
            interface: interface.map(str::to_owned),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_address() {
        let mut out = Vec::new();
        let rows = vec![row("web", Some("eth0"), ""), row("a-long-name", None, "no interface")];
        Printer::new(Style::Table, &mut out).print(rows, &[]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "NAMESPACE/NAME     ADDRESS     INTERFACE   READY   MESSAGE",
                "shop/a-long-name   192.0.2.1   -           False   no interface",
                "shop/web           192.0.2.1   eth0        True",
            ]
        );
    }

    #[test]
    fn json_tells_what_changed_and_nothing_twice() {
        let mut out = Vec::new();
        let mut printer = Printer::new(Style::Json, &mut out);
        printer.print(vec![row("web", None, "wait")], &[]).unwrap();
        printer.print(vec![row("web", None, "wait")], &[]).unwrap();
        printer.print(vec![row("web", Some("eth0"), "")], &[]).unwrap();
        printer.print(vec![], &[]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said: Vec<_> = lines
            .iter()
            .map(|line| (line["ready"].as_bool().unwrap(), line["message"].as_str().unwrap()))
            .collect();
        assert_eq!(said, [(false, "wait"), (true, ""), (false, "not wanted any more")]);
    }

    #[test]
    fn json_tells_of_a_problem_once_and_of_its_end() {
        let mut out = Vec::new();
        let mut printer = Printer::new(Style::Json, &mut out);
        let [file, object, field] = ["web.yaml", "VirtualIP web", "spec"].map(str::to_owned);
        let problem = Problem { file, line: 4, object, field, message: "it is required".to_owned() };
        printer.print(vec![], std::slice::from_ref(&problem)).unwrap();
        printer.print(vec![], std::slice::from_ref(&problem)).unwrap();
        printer.print(vec![], &[]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [said, solved] = lines.as_slice() else { panic!("{text}") };
        assert_eq!((&said["problem"]["line"], &solved["solved"]["line"]), (&4.into(), &4.into()));
    }
}
