//! # Latency engineering guide
//!
//! What was tried here and what it bought, each measured by a case of this crate. Host of every figure: AMD EPYC, 2 virtual cores, 24 GiB, Linux 6.18, no
//! isolated cores, other programs computing at the same time (load 6 to 22); medians of at least 7 rounds. Read them as ratios. What could not be
//! measured here (isolated cores, `mlock`, interrupt steering, another governor) is not advised here.
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
//! * Reading and writing archives added 24.5 ns a command when this guide was begun, 6.3 as words, and 0.3 to 2.7 now. What paid: the archive is seven
//!   words and moves as words (rkyv's own way goes through bytes, and waits for stores that cannot be forwarded); version and length are one comparison, a
//!   symbol's six letters are checked at once; and a book writes its reports where they go ([`book::Reports`], [`book::Slots`]): where it says `Accepted`, the
//!   kind is known, and the slot is five stores. Gathering reports first and turning each into a slot afterwards asked every one for its kind again, and
//!   copied it twice. Every read is still checked: there was nothing left that trust would have bought.
//! * One codegen unit instead of sixteen: `slot_put` 148 to 69 instructions, `slot_get` 172 to 114; with words 31 and 73.
//!
//! ## The compiler
//!
//! * **Who calls a closure twice calls it.** A loop for each of two types was one source text and two callers, so that the whole stage stood behind a call; one
//!   loop over both: 24 instructions a command less.
//! * **A reference keeps a value in memory.** An order that was handed by reference to the seldom branch was written to the stack by every command.
//! * **A coin's throw stays a branch unless one insists.** The compiler turned the choice between two places of a line back into a branch in one loop and
//!   not in another: 0.25 mispredictions a command. `select_unpredictable` says what is meant.
//! * **Read a command once.** Looking over 256 commands for the next symbol before doing the first cost 2 ns a command; the same comparison within the loop nothing
//!   that can be measured.
//!
//! ## What each step bought
//!
//! Load 13 to 27, both cores shared; medians, minimum to maximum behind them. Nothing here was measured on isolated cores or with reserved huge pages:
//! the host has none to give (`isolated` is empty, `HugePages_Total` is 0; transparent ones are `madvise`), so nothing is claimed of them.
//!
//! | step | before | after | measured by |
//! |---|---|---|---|
//! | line ring instead of a cursor, round trip | 927 ns (889 to 989) | 568 ns (559 to 569); raw line 510 | `ring`, cores far apart |
//! | batches of 16 instead of single messages, cursor | 7.1 M/s (6.8 to 7.2) | 101 M/s (25 to 103) | `ring` |
//! | cursor instead of the line ring under a standing queue, on top of the book | 44.2 ns (43.6 to 44.2) | 33.5 ns (33.3 to 34.0) | `pipeline --quick`, load 13 |
//! | turns of 256 commands instead of 1,000 | 23,486 ns (19,797 to 29,557): the scheduler's | 33.5 ns (33.3 to 34.0): the ring's | `pipeline`, rings with cursor |
//!
//! The following at load 5 to 8, on one core: the smallest of 12 to 15 runs for each stretch of 1,024 commands, mean over the stretches; two to six such figures
//! each, before and after in turn.
//!
//! | step | before | after | measured on |
//! |---|---|---|---|
//! | reports written as slots, slots of words: what archives add | 6.3 ns (27.4 − 21.1) | 0.3 ns (20.7 − 20.4) | 1k live, no ring |
//! | rings with cursor, on top of the book (before: earlier, load 13; after: load 18, cores near) | 33.5 ns | 10.4 to 11.0 ns (9.8 to 11.3) | `pipeline --quick` |
//! | resting and the step compiled into the loop, a symbol looked up once a run, a place freed by an id that is known | 25.3 ns | 22.9 ns | 10k live, through [`book::Venue`] |
//! | no branch between two places of a line, no order on the stack, symbols compared as they lie | 23.3 ns | 21.9 ns | the same |
//! | a loop for a run of one symbol's commands | 22.0 ns | 20.1 ns (1k live: 22.0 to 20.1) | the same |
//! | a table of symbols an eighth full instead of half (load 18) | 56.8 ns | 53.3 ns | 64 symbols, 120k live |
//! | looking 16 and 8 commands ahead instead of 8 and 4 (load 18) | 57.6 ns | 56.3 ns | the same |
//!
//! The following at load 4 to 14, interleaved process by process, the smallest for each stretch over 4 to 16 runs; other hours, so that only the pairs compare.
//!
//! | step | before | after | measured on |
//! |---|---|---|---|
//! | origins index an array of 8 bytes each, instead of a hashed table of 16 | 54.4 ns | 52.7 ns (10k live: 19.1 to 18.9) | 64 symbols, 120k live |
//! | asking for memory without a branch on the kind; commands of all kinds lie alike in memory | 51.6 ns; 2.8 mispredictions | 46.6 ns; 1.2 | the same |
//! | what every command needs in a book's first lines of the cache, books in lines of their own | 49.6 ns, in the next hour 46.2 | 46.7, 44.9 | the same |
//! | huge pages, asked for as `cargo xtask bench` does (`GLIBC_TUNABLES`, printed) | 48.6 to 52.7 ns | 39.3 to 43.5 ns | the same |
//! | a run's loop counts no commands | 19.8 ns | 19.5 ns | 10k live, through [`book::Venue`] |
//! | taking an order out of its level without a branch | 43.8 ns (10k live: 19.6) | 42.5 ns (20.4; 1k live: 19.7 to 18.1) | 64 symbols, 120k live |
//! | an order in its id's line is known to be there when it goes | 21.5 ns (1k live: 18.5) | 20.6 ns (19.0) | 10k live |
//! | all of these, load 10 | 56.1 ns; with huge pages 50.2 | 52.7; 43.5 | 64 symbols, 120k live |
//! | | 21.9 ns | 20.1 ns | 10k live |
//! | | 21.3 ns | 18.2 ns | 1k live |
//!
//! Without a branch means: where a kind needs less than another, what it needs anyway is asked for twice (`select_unpredictable` between two addresses). It paid
//! only when every field lay at one place, or one of two: as long as `Place` had its own layout the compiler made branches of the selection again (three
//! attempts, 52 to 55 ns), and fetching what a kind does not need made it slower too.
//!
//! Huge pages pay only when they are there: the sheet of `book` says how many MiB there were. One run in eight or so got none, for a reason we did not find. The
//! program starts itself again with `glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296` in `GLIBC_TUNABLES`, unless somebody sets that variable, also to
//! nothing; an exchange gets them by the same setting. `madvise` on each table, which is smaller than a huge page, gave none, and no gain; collapsing what lay
//! there already (`MADV_COLLAPSE`) half of it (48.3 to 42.9 where the setting gave 37.5). One symbol: 20.1 to 20.0 ns, nothing.
//!
//! What did not help, and is not in the code: looking 24 and 12, 12 and 6, 16 and 6, 32 and 12 commands ahead (46.4 to 49.4 ns where 16 and 8 gave 46.5); reading a
//! level in the second stage for every kind (47.9 instead of 46.5); a table of orders three quarters as large (10k: 20.2 to 22.0 ns, 64 symbols 56.3 to 60: fuller
//! lines cost more than nearer memory saves); asking for the ring's slots before reading them (cores near: nothing; far: 42.8 to 41.0 ns on top); steps of 64
//! commands and reports published by 64 instead of 16 (near: nothing; far: 42.8 to 36.5).
//!
//! The last row changes no code but the measurement: with others on both cores a turn must be much shorter than the time for which both threads run at
//! once. And a turn must not fit one step of the reader: a ring whose slots carry their own news hands over whatever comes while it reads, and a figure
//! that begins behind the first step then counts the disturbed turns only (27,000 ns where 44 were true).
//!
//! ## Where the time goes
//!
//! Instructions, by callgrind over `instructions`, built as the gate builds it (`valgrind --tool=callgrind --toggle-collect='*instructions::counted*'`).
//!
//! `book_10k`, 166 instructions a command in a bare loop, 169 through the venue with the trades' hash (177 when that was begun); 1,000 live orders cost less
//! time than 10,000 (18.2 to 20.1 ns), because their levels are short and the branches that were guessed there are gone. Before the last two steps of the table,
//! when it was 153 (the gate's count less what `state_hash` takes in the end):
//!
//! | instructions | where |
//! |---|---|
//! | 32 | `mod.rs`: range, bests, room, linking (some 8 more since it has no branch) |
//! | 30 | `orders.rs`: the order in its id's line: find, take out, put in |
//! | 10 | `origins.rs`: rising numbers of an origin (15 before) |
//! | 13 | `taking.rs`: the sweep of 3,030 takers of 20,000 commands |
//! | 12 | replaces (995) |
//! | 8 | `window.rs`, `ladder.rs`: the level of a price |
//! | 8 | commands that need care |
//! | 6 | the dispatch to four kinds |
//! | 4 | lines that are full: `claim_behind`, `find_behind`, `unpass`; in samples of time 8 % |
//! | 25 | writing reports, the loop, and what of the standard library stands in all of these |
//!
//! Beside that 0.94 mispredictions a command (callgrind's model; 1.07 before): 0.54 at the dispatch, whose kinds are drawn at random, 0.4 at conditions, half of
//! them in lines that are full and in sweeps. At an estimated 15 to 18 cycles each they are 4 ns of the 20. The goal of 18 is missed by 2 ns, of which 1.3 are the
//! venue's. What remains there is the compiler's: the loop of a run keeps the book in memory, not in a register, and which change of source brings it back could not
//! be foreseen (the same cancel, 162 to 171 instructions). `state_hash` at the end is a quarter of that piece's count.
//!
//! 64 symbols: 298 instructions, 129 of them the look-ahead, 6.7 lines a command that a cache of 32 KB has not (its order, two neighbours or the level and its last
//! order, the origin; one and a half are the book's own), 1.0 mispredictions (2.3 before: a command's kind was guessed three times). The goal of 35 is missed by 5 ns
//! with huge pages and 12 to 18 without. It wants fewer lines for an order: a level that keeps its orders together. That was not tried.
//!
//! Single commands: the smallest of eight runs for each command has its p99.9 at 110 ns on the calm flow and at 180 on the plain one, one reading of the clock
//! (25 ns) included; p50 is 40. What is slow are takers that meet 4 to 6 orders on the calm flow (105 to 125 ns) and 5 to 16 on the plain one (160 to 270): 10 ns
//! for each order. A single run at load 7 says 210 to 340: the book keeps the goal of 300 with room, and what comes on top is
//! the machine's.
//!
//! `pipeline`, 393 instructions a command on one thread, both ends of both rings included (503 before). On two threads what is
//! left on top of the book, 10 ns with near cores, is the lines that cross: one command in, 1.3 reports out, each fetched from the other core's cache. The same
//! program said 10.4 and, a minute later when the host had moved a core, 42, with archives at 0.6 in both: beyond the archives this figure is mostly the distance of the cores.
//! The goal of 6 is missed by that; it wants smaller reports, of which several share a line.
