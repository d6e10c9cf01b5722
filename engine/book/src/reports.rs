//! Where a book says what happened.

use wire::slot::{Report, Slot};

/// Takes reports in order. A book knows which report it writes where it writes it, so that a kind of its own costs a few stores and no question: reports
/// that were gathered first, and then written into slots one by one, asked each for its kind again.
pub trait Reports {
    /// Takes one.
    fn push(&mut self, report: Report);
}

impl Reports for Vec<Report> {
    #[inline(always)]
    fn push(&mut self, report: Report) {
        Vec::push(self, report);
    }
}

/// Reports as they cross a ring: in slots, each with its command's tag.
#[derive(Debug)]
pub struct Slots<'a> {
    /// Where they are appended.
    pub slots: &'a mut Vec<Slot<Report>>,
    /// Of the command.
    pub tag: u32,
}

impl Reports for Slots<'_> {
    #[inline(always)]
    fn push(&mut self, report: Report) {
        self.slots.push(Slot::new(self.tag, &report));
    }
}
