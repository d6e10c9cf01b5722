//! A run as data: printed, saved, replayed, shrunk.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The format that this build reads and writes.
pub const FORMAT: u32 = 1;

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The commit it was made at; another one may behave otherwise.
    pub commit: String,
    /// Which scenario.
    pub scenario: String,
    /// Keys every draw that is not in the plan itself: network, disks, random streams of nodes.
    pub seed: u64,
    /// Orders the tasks.
    pub scheduler_seed: u64,
    /// Counts of nodes, partitions, clients …, as the scenario defines them.
    pub shape: Value,
    /// Every timer by name, in milliseconds.
    pub timers: BTreeMap<String, u64>,
    /// What clients do.
    pub workload: Workload,
    /// What goes wrong.
    pub faults: Vec<PlannedFault>,
}

/// What clients do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Workload {
    /// Drawn from the seed.
    Generator(Value),
    /// One by one: what a shrunk plan has.
    List(Vec<Value>),
}

/// One fault of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    /// Unique in the plan; stays when others are removed.
    pub id: u32,
    /// The fault's name, as its file.
    pub kind: String,
    /// A node, or whatever the kind takes.
    pub target: String,
    /// When.
    pub trigger: Trigger,
    /// What else the kind takes.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub args: Value,
}

/// When a fault fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Trigger {
    /// At a time after the start.
    At(AtMs),
    /// At a mark.
    On(OnMark),
}

/// At a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtMs {
    /// Simulated milliseconds since the start of the run.
    pub at_ms: u64,
}

/// At a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnMark {
    /// The mark.
    pub on: String,
    /// On this node; `None`: on any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// At its n-th hit, from 1, counted from the start of the run.
    pub nth: u64,
}

impl Trigger {
    /// At a time.
    pub fn at_ms(at_ms: u64) -> Self {
        Trigger::At(AtMs { at_ms })
    }

    /// At the `nth` hit of a mark.
    pub fn on(mark: &str, node: Option<&str>, nth: u64) -> Self {
        Trigger::On(OnMark { on: mark.to_string(), node: node.map(str::to_string), nth })
    }
}

impl Plan {
    /// As the text that is saved: indented JSON, a newline at the end.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan has no part that JSON cannot say");
        text.push('\n');
        text
    }

    /// Reads a plan; `source` (the file's name) begins the error, which names the line and what is wrong there.
    pub fn from_text(source: &str, text: &str) -> Result<Self, String> {
        // The format first: a plan of another format is not to be complained about field by field.
        let value: Value = serde_json::from_str(text).map_err(|error| at(source, &error))?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("{source}: field format: this build reads format {FORMAT}, not {format}")),
            None => return Err(format!("{source}: field format: missing, or not a number")),
        }
        let plan: Plan = serde_json::from_str(text).map_err(|error| at(source, &error))?;
        plan.check().map_err(|rule| format!("{source}: {rule}"))?;
        Ok(plan)
    }

    /// The rules that types do not say.
    pub fn check(&self) -> Result<(), String> {
        if self.scenario.is_empty() {
            return Err("field scenario: must name a scenario".into());
        }
        let mut ids = std::collections::BTreeSet::new();
        for (index, fault) in self.faults.iter().enumerate() {
            let wrong = |rule: &str| Err(format!("faults[{index}] (id {}, {}): {rule}", fault.id, fault.kind));
            if !ids.insert(fault.id) {
                return wrong("field id: used twice");
            }
            if fault.kind.is_empty() {
                return wrong("field kind: must name a fault");
            }
            if matches!(&fault.trigger, Trigger::On(on) if on.nth == 0 || on.on.is_empty()) {
                return wrong("field trigger: needs a mark and nth ≥ 1");
            }
        }
        Ok(())
    }

    /// How many faults of each kind, by name.
    pub fn kinds(&self) -> BTreeMap<&str, u64> {
        let mut kinds = BTreeMap::new();
        for fault in &self.faults {
            *kinds.entry(fault.kind.as_str()).or_default() += 1;
        }
        kinds
    }
}

fn at(source: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    // serde_json puts the place behind; an error begins with it here, as a compiler's does.
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{source}:{}:{}: {what}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        Plan {
            format: FORMAT,
            commit: "3f9c2ab".into(),
            scenario: "smoke".into(),
            seed: 42,
            scheduler_seed: 43,
            shape: json!({ "brokers": 3 }),
            timers: BTreeMap::from([("session_timeout_ms".to_string(), 6_000)]),
            workload: Workload::Generator(json!({ "orders": 10 })),
            faults: vec![
                PlannedFault { id: 1, kind: "broker_crash".into(), target: "broker-1".into(), trigger: Trigger::at_ms(500), args: json!({ "outage_ms": 9 }) },
                PlannedFault { id: 4, kind: "rebalance".into(), target: "matching".into(), trigger: Trigger::on("txn_prepared", None, 2), args: Value::Null },
            ],
        }
    }

    #[test]
    fn a_plan_comes_back_from_its_text() {
        let text = plan().to_text();
        assert!(text.contains("\"at_ms\": 500") && text.contains("\"on\": \"txn_prepared\""), "{text}");
        assert_eq!(Plan::from_text("p.json", &text).unwrap(), plan());
        let mut list = plan();
        list.workload = Workload::List(vec![json!({ "place": 1 })]);
        assert_eq!(Plan::from_text("p.json", &list.to_text()).unwrap(), list);
    }

    #[test]
    fn a_wrong_plan_is_refused_with_its_place() {
        let refuse = |from: &str, to: &str| Plan::from_text("p.json", &plan().to_text().replacen(from, to, 1)).unwrap_err();
        assert_eq!(refuse("\"format\": 1", "\"format\": 9"), "p.json: field format: this build reads format 1, not 9");
        assert!(refuse("\"seed\": 42", "\"seed\": -1").starts_with("p.json:5:"), "{}", refuse("\"seed\": 42", "\"seed\": -1"));
        assert!(refuse("\"kind\"", "\"kin\"").contains("unknown field `kin`"));
        assert!(refuse("\"nth\": 2", "\"nth\": 0").contains("faults[1] (id 4, rebalance): field trigger"));
        assert!(refuse("\"id\": 4", "\"id\": 1").contains("field id: used twice"));
        assert!(refuse("\"at_ms\": 500", "\"at\": 500").contains("Trigger"));
        assert!(Plan::from_text("p.json", "{").unwrap_err().starts_with("p.json:1:1: EOF"));
    }
}
