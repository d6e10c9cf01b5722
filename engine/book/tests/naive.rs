//! The naive book against every case, and against ten thousand random histories.

mod state_machine;

use book::Naive;

#[test]
fn conformance() {
    book::conformance::conformance(Naive::new);
}

#[test]
fn random_histories() {
    state_machine::random_histories(Naive::new);
}
