//! End to end: register, create, elect, produce with acks = all, replicate, fetch, restart.

use crate::client::{ALL, batch};
use crate::world::World;
use broker::Tp;

#[test]
fn records_are_replicated_and_survive_a_restart_of_every_node() {
    let mut world = World::new(1, 3);
    let tp = Tp { topic: world.create_topic("orders", 1, 3, 2), partition: 0 };
    for nth in 0..10 {
        assert_eq!(world.produce(tp, &batch(&[&format!("{nth}")]), ALL), Ok(nth));
    }
    for node in 0..=3 {
        world.kill(node);
    }
    for node in 0..=3 {
        world.start(node);
    }
    world.run_ms(3_000);
    world.await_full_isr(tp, 3);
    world.run_ms(600);
    let read = world.read_all(tp);
    assert_eq!(read, (0..10).map(|nth| (nth, nth.to_string())).collect::<Vec<_>>());
}
