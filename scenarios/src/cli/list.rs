//! `sim list`: what there is.

use sim::report::exit;

pub fn run() -> u8 {
    println!("scenarios");
    for scenario in scenarios::scenarios::ALL {
        println!("  {:<28} {}", scenario.name, scenario.about);
    }
    println!("\nfaults");
    for fault in faults::ALL {
        println!("  {:<28} at a time, or at {}", fault.kind(), fault.marks().join(", "));
    }
    println!("\ninvariants of the log");
    for invariant in sim::invariants::all() {
        println!("  {}", invariant.name());
    }
    println!("\nanomalies of the log");
    for anomaly in sim::checkers::ALL {
        println!("  {}", anomaly.name());
    }
    println!("\ninvariants of the exchange");
    for invariant in scenarios::invariants::ALL {
        println!("  {}", invariant.name());
    }
    exit::PASS
}
