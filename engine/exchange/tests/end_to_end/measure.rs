//! `exchange measure` on both kinds of disk: one keeps the order of all that is written, the other must sync each file before it acknowledges.

use crate::process::exchange;

#[test]
fn the_log_is_measured_on_one_journal_and_on_plain_files() {
    let place = tempfile::tempdir().expect("a folder");
    for kind in [&[][..], &["--plain"]] {
        let mut measure = exchange("measure");
        measure.arg("--dir").arg(place.path()).args(["--partitions", "2", "--rounds", "1", "--seconds", "1", "--rate", "50"]).args(kind);
        let output = measure.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{kind:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("embedded, 2 partitions")).collect();
        let figures = |line: &&str| line.split_whitespace().skip(3).all(|word| word.parse::<f64>().is_ok());
        assert!(lines.len() == 2 && lines.iter().all(figures), "{kind:?}: {said}");
    }
}
