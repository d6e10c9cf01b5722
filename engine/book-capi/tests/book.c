/* Uses the book as a foreign harness would; ends with 0 if every answer was the expected one. */
#include "lockstep_book.h"

#include <stdio.h>
#include <string.h>

static int failures = 0;

static void expect(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        failures++;
    }
}

static lockstep_new_order order(uint64_t id, uint8_t side, uint8_t type, uint8_t tif, int64_t price, int64_t lots) {
    lockstep_new_order made;
    memset(&made, 0, sizeof made);
    made.order_id = id;
    made.account = 7;
    made.side = side;
    made.order_type = type;
    made.time_in_force = tif;
    made.price_ticks = price;
    made.quantity_lots = lots;
    return made;
}

static size_t place(lockstep_book *book, uint64_t id, uint8_t side, uint8_t type, uint8_t tif, int64_t price, int64_t lots) {
    lockstep_new_order made = order(id, side, type, tif, price, lots);
    return lockstep_book_place(book, &made);
}

int main(void) {
    const uint64_t one = (uint64_t)1 << 40, two = (uint64_t)2 << 40;
    lockstep_book_config config = {1000, 1000, 64, 32, 8};
    lockstep_book_config bad = {0, 1000, 64, 32, 8};
    expect(lockstep_book_new(&bad) == NULL && lockstep_book_new(NULL) == NULL, "bounds are checked");
    lockstep_book *book = lockstep_book_new(&config);
    expect(book != NULL, "a book");

    /* The history whose hash is frozen for every implementation. */
    expect(place(book, one | 1, LOCKSTEP_BUY, LOCKSTEP_LIMIT, LOCKSTEP_GTC, 100, 5) == 1, "a bid rests");
    expect(lockstep_book_reports(book)[0].kind == LOCKSTEP_ACCEPTED && lockstep_book_reports(book)[0].account == 7, "and is accepted");
    expect(place(book, two | 1, LOCKSTEP_SELL, LOCKSTEP_LIMIT, LOCKSTEP_GTC, 105, 7) == 1, "an ask rests");
    expect(place(book, one | 2, LOCKSTEP_SELL, LOCKSTEP_LIMIT_MAKER, LOCKSTEP_GTC, 105, 2) == 1, "a post-only ask rests");
    expect(place(book, two | 2, LOCKSTEP_SELL, LOCKSTEP_LIMIT, LOCKSTEP_GTC, 100, 1) == 3, "an ask takes");
    const lockstep_report *reports = lockstep_book_reports(book);
    expect(reports[1].kind == LOCKSTEP_TRADED && reports[1].trade_id == 1 && reports[1].order_id == (one | 1), "from the bid");
    expect(reports[1].price_ticks == 100 && reports[1].lots == 1, "one lot at its price");
    expect(reports[2].kind == LOCKSTEP_ENDED && reports[2].reason == LOCKSTEP_FILLED && reports[2].order_id == (two | 2), "and is filled");

    lockstep_level levels[4];
    expect(lockstep_book_depth(book, LOCKSTEP_SELL, levels, 4) == 1, "one level of asks");
    expect(levels[0].price_ticks == 105 && levels[0].lots == 9 && levels[0].orders == 2, "of two orders");
    expect(lockstep_book_depth(book, LOCKSTEP_BUY, levels, 0) == 0, "no room, no level");

    expect(place(book, one | 2, LOCKSTEP_BUY, LOCKSTEP_LIMIT, LOCKSTEP_GTC, 1, 1) == 1, "a used number is answered");
    expect(lockstep_book_reports(book)[0].kind == LOCKSTEP_REJECTED, "with a reject");
    expect(lockstep_book_reports(book)[0].reason == LOCKSTEP_DUPLICATE_ORDER_ID, "that says why");
    expect(place(book, one | 3, 9, LOCKSTEP_LIMIT, LOCKSTEP_GTC, 1, 1) == 0 && lockstep_book_place(book, NULL) == 0, "no such side, no order: nothing");

    expect(lockstep_book_reduce(book, two | 1, 7, 3) == 1 && lockstep_book_reports(book)[0].kind == LOCKSTEP_REDUCED, "reduce");
    expect(lockstep_book_replace(book, two | 1, 7, 107, 4) == 1 && lockstep_book_reports(book)[0].kind == LOCKSTEP_REPLACED, "replace");
    expect(lockstep_book_reports(book)[0].reason == LOCKSTEP_SELL, "says the side");
    expect(lockstep_book_cancel(book, two | 1, 8) == 1 && lockstep_book_reports(book)[0].reason == LOCKSTEP_UNKNOWN_ORDER, "another's order is unknown");
    expect(lockstep_book_cancel(book, two | 1, 7) == 1 && lockstep_book_reports(book)[0].lots == 4, "cancel");
    printf("%016llx\n", (unsigned long long)lockstep_book_state_hash(book));
    lockstep_book_free(book);
    lockstep_book_free(NULL);
    return failures == 0 ? 0 : 1;
}
