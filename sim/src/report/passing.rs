//! The screen of a seed that passed: a scoreboard with counts, because "0 checked" is a silent failure.

use super::{Header, count, line, time};
use crate::{Finding, Reached};

/// A row of the scoreboard.
pub type Scored = (String, Finding);

/// The whole screen. `reached`: the marks worth naming; `measures`: lines such as the latencies.
pub fn passing(header: &Header, scores: &[Scored], reached: &Reached, measures: &[String], digest: u64) -> String {
    let mut text = header.top();
    let speed = (header.simulated_us / 1_000).checked_div(header.wall_ms).unwrap_or(0);
    let wall = format!("{}.{} s ({speed}x)", header.wall_ms / 1_000, header.wall_ms % 1_000 / 100);
    line(&mut text, format_args!("{} {}   sim {} in {wall}\n", header.bar(), header.progress.2, time(header.simulated_us)));
    text.push_str(&scoreboard(scores));
    let marks: Vec<String> = reached.totals().map(|(mark, hits)| format!("{mark} {}", count(hits))).collect();
    line(&mut text, format_args!("\n  reached    {}", if marks.is_empty() { "nothing".to_string() } else { marks.join(" · ") }));
    for measure in measures {
        line(&mut text, format_args!("  {measure}"));
    }
    line(&mut text, format_args!("  digest     history {digest:016x}   (same seed must print the same digest)\n"));
    line(&mut text, format_args!("PASS  seed {}", header.seed));
    text
}

/// One row per invariant.
pub(super) fn scoreboard(scores: &[Scored]) -> String {
    let width = scores.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(28);
    let mut text = String::new();
    line(&mut text, format_args!("  {:<width$} {:>10}", "invariant", "checked"));
    for (name, finding) in scores {
        let verdict = match (&finding.violation, finding.checked) {
            (Some(_), _) => "BROKEN",
            (None, 0) => "NOT CHECKED",
            (None, _) => "ok",
        };
        let remark = if finding.remark.is_empty() { String::new() } else { format!("   {}", finding.remark) };
        line(&mut text, format_args!("  {name:<width$} {:>10}   {verdict}{remark}", count(finding.checked)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    #[test]
    fn the_screen() {
        let mut reached = Reached::default();
        reached.add("txn_prepared", "broker-1", 1_204);
        let scores = vec![
            ("conservation".to_string(), Finding { checked: 48_211, ..Finding::default() }),
            ("price_time_priority".to_string(), Finding { checked: 9_640, remark: "vs naive book".into(), ..Finding::default() }),
            ("settled_once".to_string(), Finding::default()),
        ];
        let screen = passing(&header(), &scores, &reached, &["latency    order to ack p50 9 ms".into()], 0x9d1c_0e07);
        let expected = "\
seed 42 · steady_flow · madsim world · 3f9c2ab
  shape    3 brokers, 4 partitions, 2 matchers, 6 clients, 5,000 orders
  faults   8 planned: broker_crash 3, rebalance 5
  ███████                          1,190/5,000 orders   sim 3m 12.480s in 4.1 s (46x)

  invariant                       checked
  conservation                     48,211   ok
  price_time_priority               9,640   ok   vs naive book
  settled_once                          0   NOT CHECKED

  reached    txn_prepared 1,204
  latency    order to ack p50 9 ms
  digest     history 000000009d1c0e07   (same seed must print the same digest)

PASS  seed 42
";
        assert_eq!(screen, expected);
    }
}
