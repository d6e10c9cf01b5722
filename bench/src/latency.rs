//! # Latency engineering guide
//!
//! What was tried here and what it bought, each measured by a case of this crate. Host of every figure: AMD EPYC, 2 virtual cores, 24 GiB, Linux 6.18, no
//! isolated cores, other programs computing at the same time (load 6 to 22); medians of at least 7 rounds. Read them as ratios. What could not be
//! measured here (isolated cores, huge pages, `mlock`, interrupt steering, another governor) is not advised here.
//!
//! ## Measure before you believe
//!
//! * **Interleave in microseconds, not in minutes.** The way between two virtual cores changes under the measurement: a raw cache line's round trip was
//!   80, 135, 200, 500 and 900 ns within minutes. Links measured one after the other gave ratios from 0.4 to 1.8 for the same code; taken within one turn
//!   of all links (bursts of 50) the ratio repeats within 5 %. `ring` and `pipeline` do that.
//! * **Pin, and check that you did.** A thread that is pinned sees one core only, and so does every thread that it starts: asking for "core 1" there
//!   fails silently, both threads share a core, and a round trip costs 4,300 ns instead of 170. [`crate::measure::pin`] asks for the cores once.
//! * **One reading of the clock costs 25 to 30 ns** here: never around a single hop.
//! * **Times cannot gate a build on a shared machine; instructions can.** `cargo xtask bench instructions` repeats to the last digit at any load. With several
//!   codegen units an unrelated change moved a count by 4 %; with one it does not.
//!
//! ## Between cores
//!
//! * **Count the lines that cross.** A ring with a cursor moves two lines one after the other (cursor, slot), a slot that carries its own news moves one.
//!   Round trip against a raw line, cores far apart: line ring 1.11, the same stages over the disruptor crate 1.8, the crate alone 1.9, rtrb 1.75, crossbeam's
//!   `ArrayQueue` 1.6 to 2.0. Near: 1.1 to 1.25, 1.3, 1.5, 1.3, 1.7.
//! * **Throughput wants the opposite.** Behind a cursor the reader leaves alone what is being written. Batches of 16, cores far apart: cursor 22 to 25 M/s,
//!   line ring 12; near: 250 against 80. Take the line ring where the next event is waited for, the cursor where a queue stands.
//! * **Batches**: publishing 16 at once instead of one by one: 7 to 22 M/s (cursor, far), 36 to 245 M/s (near).
//! * **What did not help**: publishing a batch last slot first, and looking at 16 slots at once (line ring): slower when the cores are far apart (4 to 6 M/s
//!   instead of 6 to 25), because the reader takes away more lines that are still being written.
//! * **Words must be moved as words.** The first version of the line ring turned 64 bytes into words byte by byte and cost 708 instructions an event; as
//!   chunks 236; without `skip` on the iterators 96. Nothing of that was visible in the source's shape: count instructions.
//!
//! ## Waiting
//!
//! * **Spin longer than the other side's longest step, then yield.** With 2,000 looks (2 to 4 µs) before a yield, a pipeline whose partner pauses 500 µs
//!   gave its core away in nearly every turn and cost 3,200 ns a command; with 200,000 looks 200 to 320 ns. On a machine whose cores others use, a
//!   yield costs a whole slice of somebody else.
//! * **Never spin with more threads than cores.** Bursts must be shorter than a scheduler's slice (about 3 ms here), or their figures are the scheduler's.
//!
//! ## Archives
//!
//! * A checked read of a command costs about 170 instructions, writing an archive about 150 (`slot_get`, `slot_put`): with 1.3 reports a command that is
//!   40 to 50 ns on top of the book on the busy machine, half of what the whole way through two rings adds. It is the next thing to make cheaper: a third
//!   of the read is the symbol's six letters (`is_symbol`).
//! * One codegen unit instead of sixteen: `slot_put` 148 to 69 instructions, `slot_get` 172 to 114; archives add 31 to 37 ns a command instead of 56, the whole
//!   way through rings with cursor 78 to 94 instead of 112 (same minutes, same machine, in turn).
//!
//! ## What each step bought
//!
//! Load 13 to 27, both cores shared; medians, minimum to maximum behind them. Nothing here was measured on isolated cores or with huge pages: the host has
//! none to give (`isolated` is empty, `HugePages_Total` is 0, transparent ones are `madvise`), so nothing is claimed of them.
//!
//! | step | before | after | measured by |
//! |---|---|---|---|
//! | line ring instead of a cursor, round trip | 927 ns (889 to 989) | 568 ns (559 to 569); raw line 510 | `ring`, cores far apart |
//! | batches of 16 instead of single messages, cursor | 7.1 M/s (6.8 to 7.2) | 101 M/s (25 to 103) | `ring` |
//! | cursor instead of the line ring under a standing queue, on top of the book | 44.2 ns (43.6 to 44.2) | 33.5 ns (33.3 to 34.0) | `pipeline --quick`, load 13 |
//! | turns of 256 commands instead of 1,000 | 23,486 ns (19,797 to 29,557): the scheduler's | 33.5 ns (33.3 to 34.0): the ring's | `pipeline`, rings with cursor |
//!
//! The last row changes no code but the measurement: with others on both cores a turn must be much shorter than the time for which both threads run at
//! once. And a turn must not fit one step of the reader: a ring whose slots carry their own news hands over whatever comes while it reads, and a figure
//! that begins behind the first step then counts the disturbed turns only (27,000 ns where 44 were true).
//!
//! ## Where the time goes
//!
//! Instructions, by callgrind over `instructions`, built as the gate builds it (`valgrind --tool=callgrind --toggle-collect='*instructions::counted*'`).
//!
//! `book_10k`, 161 instructions a command, about 26 to 32 ns:
//!
//! | share | where |
//! |---|---|
//! | 20 % | `orders.rs`: the order in its id's line: find, take out, put in |
//! | 14 % | commands that need care (1,515 of 20,000: they trade, or something of them is rare) |
//! | 9 % | `taking.rs`: the sweep of 3,030 takers |
//! | 7 % | replaces (995) |
//! | 6 % | `origins.rs`: rising numbers of an origin |
//! | 44 % | dispatch, prices and the window, reports, levels |
//!
//! `state_hash` at the end is 28 % of that piece's count, so that the tolerance of 1 % there is 1.4 % of a command.
//!
//! `pipeline`, 606 instructions a command: the book 27 %, reading the command's archive 17 % (half of it `is_symbol`), publishing reports 10 %, writing reports'
//! archives and the handler most of the rest. In time: archives 24.5 ns of the 33.5 that come on top of the book, both rings 9. The goal of 6 ns is missed by
//! the archives before a ring is touched; it needs a slot that is read in place.
