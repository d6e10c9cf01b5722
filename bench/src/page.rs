//! `target/bench/index.html`: every case that was measured, its screen, and its latencies over the percentiles. One file, no network.

use anyhow::{Context, Result};
use bench::Record;
use plotly::common::{DashType, Line, Mode};
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Plot, Scatter};
use std::fs;
use std::path::{Path, PathBuf};

/// Percentiles that are named on the axis: 1 / (1 - quantile), and as people write them.
const TICKS: [(f64, &str); 7] = [(1.0, "0"), (2.0, "50"), (10.0, "90"), (100.0, "99"), (1e3, "99.9"), (1e4, "99.99"), (1e5, "99.999")];

/// Writes the page of all records below `folder`; the baseline is drawn dashed, beside the case that it is of. Answers where the page lies.
pub fn write(folder: &Path, baseline: Option<&Record>) -> Result<PathBuf> {
    let mut records = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path().join("result.json");
        // A record of another build's format is of no use here, and no fault.
        records.extend(path.exists().then(|| Record::read(&path)).and_then(Result::ok));
    }
    records.sort_by(|a, b| a.case.cmp(&b.case));
    let links: String = records.iter().map(|record| format!("<a href=\"#{0}\">{0}</a>\n", record.case)).collect();
    let sections: String = records.iter().map(|record| section(record, baseline.filter(|baseline| baseline.case == record.case))).collect();
    let path = folder.join("index.html");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Lockstep bench</title>\n<style>{STYLE}</style>\n{}\n</head>\n<body>\n<h1>Lockstep \
         bench</h1>\n<nav>{links}</nav>\n{sections}</body>\n</html>\n",
        script()
    );
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    Ok(path)
}

const STYLE: &str = "body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#222}nav a{margin-right:1rem}\
                     pre{background:#f6f6f4;padding:1rem;overflow-x:auto;font-size:.8rem;line-height:1.35}.plot{height:34rem}";

/// The plotter itself. The second script of the package sets formulas, of which there are none.
fn script() -> String {
    let scripts = Plot::offline_js_sources();
    scripts.split_inclusive("</script>").next().unwrap_or_default().to_owned()
}

fn section(record: &Record, baseline: Option<&Record>) -> String {
    let screen = record.screen.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let plot = if record.distributions.is_empty() { String::new() } else { percentiles(record, baseline) };
    format!("<h2 id=\"{0}\">{0} <small>{1}</small></h2>\n<pre>{screen}</pre>\n{plot}\n", record.case, record.commit)
}

/// Latency against how rare it is, both by powers of ten: a tail that is only the machine's runs along the hiccup's line.
fn percentiles(record: &Record, baseline: Option<&Record>) -> String {
    let mut plot = Plot::new();
    let lines = record.distributions.iter().map(|of| (of, of.name.clone(), DashType::Solid));
    let before =
        baseline.into_iter().flat_map(|baseline| baseline.distributions.iter().map(|of| (of, format!("{}, {}", of.name, baseline.commit), DashType::Dash)));
    for (distribution, name, dash) in lines.chain(before) {
        let (above, ns) = distribution.steps.iter().copied().unzip();
        plot.add_trace(Scatter::new(above, ns).name(name).mode(Mode::Lines).line(Line::new().dash(dash)));
    }
    let (places, names): (Vec<f64>, Vec<&str>) = TICKS.into_iter().unzip();
    let rare = Axis::new().title("percentile").type_(AxisType::Log).tick_values(places).tick_text(names);
    let late = Axis::new().title("nanoseconds").type_(AxisType::Log).exponent_format(plotly::common::ExponentFormat::SI);
    plot.set_layout(Layout::new().x_axis(rare).y_axis(late));
    format!("<div class=\"plot\">{}</div>", plot.to_inline_html(Some(&format!("plot-{}", record.case))))
}
