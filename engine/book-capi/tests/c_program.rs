//! A C program drives the book through the header and the static library, and ends in the state in which the same history ends here.
#![allow(clippy::disallowed_methods, reason = "looks for the library that cargo built")]

use book::{Book, BookConfig, Naive};
use std::path::{Path, PathBuf};
use std::process::Command;
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot;

/// The newest static library beside this test or in the folder above it.
fn library() -> PathBuf {
    let deps = std::env::current_exe().expect("a test has a path").parent().expect("it lies in a folder").to_owned();
    let folders = [deps.clone(), deps.parent().expect("deps lies in a folder").to_owned()];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("it exists")).map(|entry| entry.expect("it can be read").path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("liblockstep_book") && name.ends_with(".a")
    };
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).expect("it exists");
    files.filter(is_library).max_by_key(changed).expect("cargo builds the package's library before its tests")
}

/// The C program's commands, on the slow obvious book.
fn expected_state() -> u64 {
    let symbol = Symbol(*b"BTCUSD");
    let account = AccountId(7);
    let place = |id, side, order_type, price_ticks, quantity_lots| slot::Command::Place {
        symbol,
        side,
        order_type,
        time_in_force: TimeInForce::Gtc,
        order_id: OrderId(id),
        account,
        price_ticks,
        quantity_lots,
    };
    let commands = [
        place(1 << 40 | 1, Side::Buy, OrderType::Limit, 100, 5),
        place(2 << 40 | 1, Side::Sell, OrderType::Limit, 105, 7),
        place(1 << 40 | 2, Side::Sell, OrderType::LimitMaker, 105, 2),
        place(2 << 40 | 2, Side::Sell, OrderType::Limit, 100, 1),
        slot::Command::Cancel { symbol, order_id: OrderId(2 << 40 | 1), account },
    ];
    let mut naive = Naive::new(BookConfig { price_ticks_max: 1_000, quantity_lots_max: 1_000, orders_max: 64, levels_max: 32, origins_max: 8 });
    let mut reports = Vec::new();
    for command in &commands {
        naive.apply(command, &mut reports);
    }
    naive.state_hash()
}

#[test]
fn a_c_program_uses_the_book() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book_c");
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/book.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .expect("a C compiler `cc` is installed");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = Command::new(&program).output().expect("the program was just built");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), format!("{:016x}", expected_state()));
}
