//! An idle cluster is nearly silent: long polls and heartbeats only.

use crate::world::World;

#[test]
fn an_idle_cluster_takes_few_steps() {
    let mut world = World::new(1, 3);
    world.create_topic("orders", 12, 3, 2);
    world.run_ms(10_000);
    let before = world.steps;
    world.run_ms(10_000);
    let per_second = (world.steps - before) / 10;
    // Each second: 10 heartbeats and their answers, 12 follower fetches and theirs, and a timer for each.
    assert!(per_second <= 80, "{per_second} steps a second");
}
