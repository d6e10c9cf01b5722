//! One row of `kafka.md` A, one test; rows of one kind share a file.

mod a01_a04_storage;
mod a06_fsync_always;
mod a07_a11_high_watermark;
mod a12_a15_epochs;
mod a16_a23_cluster;
mod a18_eligible_leaders;
mod a22_reassignment;
mod a28_a32_idempotence;
mod a33_a35_sessions;
mod a42_transactions_v2;
mod a43_a44_transactions;
mod a64_a68_retention;
mod a69_quotas;
mod b10_b20_producers;
mod idle;
mod offsets;
mod quorum;
mod thin_path;
