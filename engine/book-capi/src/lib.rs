//! The fast book for programs in other languages; `include/lockstep_book.h` is its documentation.
//!
//! Every pointer that comes in is the caller's promise, which the header states: a book is one that `lockstep_book_new` gave and that was not freed, and
//! nobody else uses it meanwhile; an order, a configuration and room for levels are valid for the call. NULL is refused where the header says so,
//! and for a book it is a broken promise that ends the program with a message.

mod layout;

use book::{Book, BookConfig, Fast, Level};
use layout::{CConfig, CLevel, CNewOrder, CReport};
use wire::ids::{AccountId, OrderId};
use wire::slot::Report;

/// A book and what it said last.
pub struct CBook {
    book: Fast,
    reports: Vec<Report>,
    said: Vec<CReport>,
}

/// Reports for which there is room from the start: a command that takes from more than half as many orders makes it larger.
const REPORTS: usize = 4_096;

impl CBook {
    fn say(&mut self, command: impl FnOnce(&mut Fast, &mut Vec<Report>)) -> usize {
        self.reports.clear();
        command(&mut self.book, &mut self.reports);
        self.said.clear();
        self.said.extend(self.reports.iter().map(CReport::of));
        self.said.len()
    }
}

/// SAFETY: `book` is as the module says, so that it is the only reference.
unsafe fn of<'a>(book: *mut CBook) -> &'a mut CBook {
    unsafe { book.as_mut() }.expect("a book that lockstep_book_new gave is not NULL")
}

/// See the header.
///
/// # Safety
/// `config` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_new(config: *const CConfig) -> *mut CBook {
    // SAFETY: the caller's promise.
    let Some(config) = (unsafe { config.as_ref() }).and_then(|config| BookConfig::try_from(*config).ok()) else {
        return std::ptr::null_mut();
    };
    Box::into_raw(Box::new(CBook { book: Fast::new(config), reports: Vec::with_capacity(REPORTS), said: Vec::with_capacity(REPORTS) }))
}

/// See the header.
///
/// # Safety
/// `book` is NULL or as the module says, and never used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_free(book: *mut CBook) {
    if !book.is_null() {
        // SAFETY: it came from `Box::into_raw`, and the caller promises that this is the first and last time.
        drop(unsafe { Box::from_raw(book) });
    }
}

/// See the header.
///
/// # Safety
/// `book` is as the module says; `order` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_place(book: *mut CBook, order: *const CNewOrder) -> usize {
    // SAFETY: the caller's promises.
    let (book, order) = unsafe { (of(book), order.as_ref()) };
    match order.and_then(CNewOrder::checked) {
        Some(order) => book.say(|book, out| book.place(&order, out)),
        None => book.say(|_, _| ()),
    }
}

/// See the header.
///
/// # Safety
/// `book` is as the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_cancel(book: *mut CBook, order_id: u64, account: u64) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(book) }.say(|book, out| book.cancel(OrderId(order_id), AccountId(account), out))
}

/// See the header.
///
/// # Safety
/// `book` is as the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_reduce(book: *mut CBook, order_id: u64, account: u64, lots: i64) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(book) }.say(|book, out| book.reduce(OrderId(order_id), AccountId(account), lots, out))
}

/// See the header.
///
/// # Safety
/// `book` is as the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_replace(book: *mut CBook, order_id: u64, account: u64, price_ticks: i64, quantity_lots: i64) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(book) }.say(|book, out| book.replace(OrderId(order_id), AccountId(account), price_ticks, quantity_lots, out))
}

/// See the header.
///
/// # Safety
/// `book` is as the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_reports(book: *const CBook) -> *const CReport {
    // SAFETY: the caller's promise; it is only read.
    unsafe { book.as_ref() }.expect("a book that lockstep_book_new gave is not NULL").said.as_ptr()
}

/// See the header.
///
/// # Safety
/// `book` is as the module says; `levels` has room for `max`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_depth(book: *const CBook, side: u8, levels: *mut CLevel, max: usize) -> usize {
    // SAFETY: the caller's promise; it is only read.
    let book = unsafe { book.as_ref() }.expect("a book that lockstep_book_new gave is not NULL");
    let Some(side) = layout::side(side) else { return 0 };
    let mut found: Vec<Level> = Vec::new();
    book.book.depth(side, max, &mut found);
    for (at, level) in found.iter().enumerate() {
        // SAFETY: `at` is below `max`, for which the caller promises room; what stood there is not read.
        unsafe { levels.add(at).write(CLevel::of(level)) };
    }
    found.len()
}

/// See the header.
///
/// # Safety
/// `book` is as the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_book_state_hash(book: *const CBook) -> u64 {
    // SAFETY: the caller's promise; it is only read.
    unsafe { book.as_ref() }.expect("a book that lockstep_book_new gave is not NULL").book.state_hash()
}
