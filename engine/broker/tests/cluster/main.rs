//! A cluster of cores in memory: one test per row of Kafka's behaviour, and random runs over many seeds.
#![allow(clippy::disallowed_methods)]

mod client;
mod disk;
mod invariants;
mod random;
mod rng;
mod rows;
mod world;
