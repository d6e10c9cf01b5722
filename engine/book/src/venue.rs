//! The books of many symbols, and a way through a batch of commands that asks for memory before it needs it.

use crate::Book;
use wire::ids::Symbol;
use wire::slot::{Command, Report};

/// Books by symbol.
///
/// Applying a batch ([`Venue::apply_all`]) changes what applying its commands one by one changes, and reports the same. While the books' working set
/// fits into the cache that is what happens; beyond it, memory is asked for some commands ahead.
#[derive(Debug, Clone)]
pub struct Venue<B> {
    books: Vec<B>,
    /// Of each book.
    symbols: Vec<Symbol>,
    symbols_max: usize,
    /// Open addressing, at most an eighth full, so that how far a symbol is from its place can be predicted: a symbol's word and its book's number. No
    /// symbol is the word 0.
    table: Box<[(u64, u32)]>,
    shift: u32,
    looks_ahead: bool,
    /// Commands until the working set is looked at again.
    patience: usize,
}

/// How many commands ahead a command's own memory is asked for, and how many ahead what follows from it: at some 30 ns a command, a latency of main
/// memory each.
const AHEAD: usize = 16;
const AHEAD_FURTHER: usize = 8;

/// A working set that a core's own cache holds beside everything else.
const WORKING_SET_BYTES: usize = 1 << 20;

/// Commands between two looks at the working set.
const PATIENCE: usize = 4_096;

/// No book.
const UNLISTED: usize = usize::MAX;

impl<B: Book> Venue<B> {
    /// Room for so many symbols (at least one).
    pub fn new(symbols_max: usize) -> Self {
        let entries = (8 * symbols_max).next_power_of_two().max(8);
        Venue {
            books: Vec::with_capacity(symbols_max),
            symbols: Vec::with_capacity(symbols_max),
            symbols_max: symbols_max.max(1),
            table: vec![(0, 0); entries].into(),
            shift: 64 - entries.trailing_zeros(),
            looks_ahead: false,
            patience: 0,
        }
    }

    /// Adds a symbol's book. `false`, and nothing changes, if it has one or there is no room.
    pub fn list(&mut self, symbol: Symbol, book: B) -> bool {
        if self.number(symbol) != UNLISTED || self.books.len() == self.symbols_max {
            return false;
        }
        let word = symbol.word();
        let mut at = self.home(word);
        while self.table[at].0 != 0 {
            at = (at + 1) & (self.table.len() - 1);
        }
        self.table[at] = (word, u32::try_from(self.books.len()).expect("there are fewer than 2^32 symbols"));
        self.books.push(book);
        self.symbols.push(symbol);
        true
    }

    /// The book of a symbol.
    pub fn get(&self, symbol: Symbol) -> Option<&B> {
        self.books.get(self.number(symbol))
    }

    /// The book of a symbol.
    pub fn get_mut(&mut self, symbol: Symbol) -> Option<&mut B> {
        let number = self.number(symbol);
        self.books.get_mut(number)
    }

    /// All books, in the order of listing.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &B)> {
        self.symbols.iter().copied().zip(&self.books)
    }

    /// Applies commands in order and hands over what each said. `unlisted` says it for a symbol without a book.
    pub fn apply_all(
        &mut self,
        commands: &[Command],
        reports: &mut Vec<Report>,
        unlisted: impl Fn(&Command) -> Report,
        mut said: impl FnMut(&Command, &[Report]),
    ) {
        self.patience = self.patience.saturating_sub(commands.len());
        if self.patience == 0 {
            self.patience = PATIENCE;
            self.looks_ahead = self.books.iter().map(Book::working_set_bytes).sum::<usize>() > WORKING_SET_BYTES;
        }
        if !self.looks_ahead {
            let mut left = commands;
            while let Some(first) = left.first() {
                let number = self.number(symbol_of(first));
                left = run(self.books.get_mut(number), left, reports, &unlisted, &mut said);
            }
            return;
        }
        // Each command's book is looked up once, when it comes into sight.
        let mut numbers = [UNLISTED; AHEAD];
        for (at, command) in commands.iter().take(AHEAD).enumerate() {
            numbers[at] = self.sight(command);
        }
        for (at, command) in commands.iter().enumerate() {
            let number = numbers[at % AHEAD];
            if let Some(soon) = commands.get(at + AHEAD_FURTHER)
                && let Some(book) = self.books.get(numbers[(at + AHEAD_FURTHER) % AHEAD])
            {
                book.prefetch_further(soon);
            }
            if let Some(later) = commands.get(at + AHEAD) {
                numbers[at % AHEAD] = self.sight(later);
            }
            step(self.books.get_mut(number), command, reports, &unlisted, &mut said);
        }
    }

    /// A command comes into sight: which book it is for.
    #[inline]
    fn sight(&self, command: &Command) -> usize {
        let number = self.number(symbol_of(command));
        if let Some(book) = self.books.get(number) {
            book.prefetch(command);
        }
        number
    }

    #[inline]
    fn number(&self, symbol: Symbol) -> usize {
        let word = symbol.word();
        let mut at = self.home(word);
        loop {
            let (here, number) = self.table[at];
            if here == word {
                return number as usize;
            }
            if here == 0 {
                return UNLISTED;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    #[inline]
    fn home(&self, word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

/// Does the commands up to the first of another symbol than the first one's; gives back those from there on. In a loop of its own, so that the book is
/// in a register throughout.
#[inline(never)]
fn run<'a, B: Book>(
    mut book: Option<&mut B>,
    commands: &'a [Command],
    reports: &mut Vec<Report>,
    unlisted: &impl Fn(&Command) -> Report,
    said: &mut impl FnMut(&Command, &[Report]),
) -> &'a [Command] {
    let symbol = symbol_of(&commands[0]);
    let mut left = commands.iter();
    loop {
        let from_here = left.as_slice();
        match left.next() {
            Some(command) if symbol_of(command) == symbol => step(book.as_deref_mut(), command, reports, unlisted, said),
            _ => return from_here,
        }
    }
}

/// Does a command and hands over what it said.
#[inline(always)]
fn step<B: Book>(
    book: Option<&mut B>,
    command: &Command,
    reports: &mut Vec<Report>,
    unlisted: &impl Fn(&Command) -> Report,
    said: &mut impl FnMut(&Command, &[Report]),
) {
    reports.clear();
    match book {
        Some(book) => book.apply(command, reports),
        None => reports.push(unlisted(command)),
    }
    said(command, reports);
}

#[inline]
fn symbol_of(command: &Command) -> Symbol {
    match *command {
        Command::Place { symbol, .. } | Command::Cancel { symbol, .. } | Command::Reduce { symbol, .. } | Command::Replace { symbol, .. } => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BookConfig, Fast, Naive};
    use wire::ids::{AccountId, OrderId};
    use wire::order::{CancelReason, OrderType, Side, TimeInForce};

    const CONFIG: BookConfig = BookConfig { price_ticks_max: 1_000, quantity_lots_max: 100, orders_max: 50, levels_max: 50, origins_max: 4 };

    fn symbol(n: u64) -> Symbol {
        Symbol::parse(&format!("SYM{n:03}")).expect("six letters and digits")
    }

    /// Commands for 40 listed symbols and some others.
    fn commands() -> Vec<Command> {
        let mut state = 1_u64;
        let mut next = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % bound
        };
        let command = |number: u64| {
            let (symbol, account) = (symbol(next(44)), AccountId(1));
            let (side, price_ticks) = (if next(2) == 0 { Side::Buy } else { Side::Sell }, next(20) as i64 + 1);
            match next(3) {
                0 => Command::Cancel { symbol, order_id: OrderId(number.saturating_sub(next(300)).max(1)), account },
                _ => Command::Place {
                    symbol,
                    side,
                    order_type: OrderType::Limit,
                    time_in_force: TimeInForce::Gtc,
                    order_id: OrderId(number),
                    account,
                    price_ticks,
                    quantity_lots: 3,
                },
            }
        };
        (1..5_000).map(command).collect()
    }

    fn unlisted(command: &Command) -> Report {
        let (Command::Place { order_id, account, .. } | Command::Cancel { order_id, account, .. }) = *command else { unreachable!("only these are made") };
        Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account }
    }

    fn told<B: Book>(book: impl Fn() -> B, batch: usize, looks_ahead: bool) -> (Vec<Vec<Report>>, Vec<u64>) {
        let mut venue = Venue::new(40);
        for n in 0..40 {
            assert!(venue.list(symbol(n), book()));
            assert!(!venue.list(symbol(n), book()), "it is listed");
        }
        let (mut told, mut reports) = (Vec::new(), Vec::new());
        for batch in commands().chunks(batch) {
            (venue.looks_ahead, venue.patience) = (looks_ahead, usize::MAX);
            venue.apply_all(batch, &mut reports, unlisted, |_, reports| told.push(reports.to_vec()));
        }
        (told, venue.iter().map(|(_, book)| book.state_hash()).collect())
    }

    #[test]
    fn neither_batches_nor_looking_ahead_show() {
        let expected = told(|| Naive::new(CONFIG), 1, false);
        assert_eq!(expected.0.len(), 4_999, "every command was answered");
        for (batch, looks_ahead) in [(1, true), (3, true), (8, false), (64, true), (5_000, true)] {
            assert!(told(|| Fast::new(CONFIG), batch, looks_ahead) == expected, "batches of {batch}, looks ahead: {looks_ahead}");
        }
    }

    #[test]
    fn a_full_venue_lists_no_more() {
        let mut venue = Venue::new(1);
        assert!(venue.list(symbol(1), Naive::new(CONFIG)));
        assert!(!venue.list(symbol(2), Naive::new(CONFIG)));
        assert!(venue.get(symbol(2)).is_none() && venue.get(symbol(1)).is_some());
    }
}
