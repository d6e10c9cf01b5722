//! A book that starts small: for hosts of many books, of which few become large.

use super::Fast;
use crate::BookConfig;
use wire::order::Side;

/// Orders, and levels, that a growing book starts with: 75 KiB.
const ROOM_AT_START: usize = 256;

impl Fast {
    /// An empty book with little room, which doubles when it is full and less than the bounds: same reports, same bounds, same state hash as
    /// [`Fast::new`]. The command that finds it full pays for moving every order (half a million: 0.15 s, and for so long both books are there); nothing
    /// else allocates. Panics if a bound is below 1.
    pub fn growing(config: BookConfig) -> Self {
        Self::growing_from(config, ROOM_AT_START)
    }

    pub(super) fn growing_from(config: BookConfig, room_at_start: usize) -> Self {
        let room = BookConfig { orders_max: config.orders_max.min(room_at_start), levels_max: config.levels_max.min(room_at_start), ..config };
        Self::with_room(config, &room, Self::window_for(&room))
    }

    /// Makes room for one more order and one more level, unless a bound forbids it; says whether orders were moved.
    #[inline]
    pub(super) fn grow_if_full(&mut self) -> bool {
        let BookConfig { orders_max, levels_max, .. } = self.bounds;
        let (needs_orders, needs_levels) = (self.orders.count() >= self.orders_room, self.ladder.is_full());
        let grows = needs_orders && self.orders_room < orders_max || needs_levels && self.ladder.room() < levels_max;
        if grows {
            self.grow(needs_orders, needs_levels);
        }
        grows
    }

    /// Into a book of twice the room, in priority.
    #[cold]
    fn grow(&mut self, needs_orders: bool, needs_levels: bool) {
        let doubled = |room: usize, doubles: bool, bound: usize| if doubles { room.saturating_mul(2).min(bound) } else { room };
        let orders_max = doubled(self.orders_room, needs_orders, self.bounds.orders_max);
        let levels_max = doubled(self.ladder.room(), needs_levels, self.bounds.levels_max);
        let room = BookConfig { orders_max, levels_max, ..self.bounds };
        let mut larger = Self::with_room(self.bounds, &room, Self::window_for(&room));
        for side in [Side::Buy, Side::Sell] {
            for order in self.best_first(side).flat_map(|price| self.queue(price)) {
                let place = larger.orders.claim(order.id);
                larger.rest(side, place, order);
            }
        }
        std::mem::swap(&mut larger.origins, &mut self.origins);
        larger.last_trade_id = self.last_trade_id;
        *self = larger;
    }
}
