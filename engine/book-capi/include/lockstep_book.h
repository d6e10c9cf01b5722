/* The order book of one symbol: price-time priority, integers only, nothing allocated after lockstep_book_new.
 *
 * A command answers how many reports it led to; lockstep_book_reports points at them until the next command. Prices are ticks from 1 up, quantities
 * lots from 1 up. One thread at a time may use a book; another book is another book. Rules, order of reports and reasons: engine/book/src/book.rs.
 * Enumerations are those of the wire (engine/wire/src/order.rs); their numbers never change.
 */
#ifndef LOCKSTEP_BOOK_H
#define LOCKSTEP_BOOK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lockstep_book lockstep_book;

/* All bounds are at least 1 and are reached by rejects, never by growing. An order id is origin << 40 | number; numbers of one origin rise. */
typedef struct {
    int64_t price_ticks_max;
    int64_t quantity_lots_max;
    uint64_t orders_max;  /* resting, at most 2^29 */
    uint64_t levels_max;  /* price levels, both sides together, below 2^31 */
    uint64_t origins_max; /* at most 2^24 */
} lockstep_book_config;

enum { LOCKSTEP_BUY = 0, LOCKSTEP_SELL = 1 };
enum { LOCKSTEP_LIMIT = 0, LOCKSTEP_MARKET = 1, LOCKSTEP_LIMIT_MAKER = 2 };
enum { LOCKSTEP_GTC = 0, LOCKSTEP_IOC = 1, LOCKSTEP_FOK = 2 };

typedef struct {
    uint64_t order_id;
    uint64_t account;
    int64_t price_ticks; /* of a market order: nothing trades at a worse one */
    int64_t quantity_lots;
    uint8_t side;
    uint8_t order_type;
    uint8_t time_in_force;
    uint8_t zero[5];
} lockstep_new_order;

enum {
    LOCKSTEP_ACCEPTED = 1,
    LOCKSTEP_REJECTED = 2,       /* reason, lots: ordered */
    LOCKSTEP_TRADED = 3,         /* order_id, account: of the resting order; trade_id, price_ticks, lots */
    LOCKSTEP_ENDED = 4,          /* reason, lots: not filled */
    LOCKSTEP_REDUCED = 5,        /* lots: by how many */
    LOCKSTEP_REPLACED = 6,       /* price_ticks, lots: released; reason: side */
    LOCKSTEP_CANCEL_REJECTED = 7 /* reason; of a cancel, reduce or replace */
};

/* RejectReason of LOCKSTEP_REJECTED */
enum {
    LOCKSTEP_DUPLICATE_ORDER_ID = 2,
    LOCKSTEP_PRICE_OUT_OF_RANGE = 3,
    LOCKSTEP_QUANTITY_OUT_OF_RANGE = 4,
    LOCKSTEP_OVERFLOW = 5,
    LOCKSTEP_WOULD_TAKE = 6,
    LOCKSTEP_CANNOT_FILL = 7,
    LOCKSTEP_BOOK_FULL = 8
};

/* EndReason of LOCKSTEP_ENDED */
enum { LOCKSTEP_FILLED = 1, LOCKSTEP_CANCELLED = 2, LOCKSTEP_EXPIRED = 3 };

/* CancelReason of LOCKSTEP_CANCEL_REJECTED */
enum { LOCKSTEP_UNKNOWN_ORDER = 1, LOCKSTEP_OUT_OF_RANGE = 2, LOCKSTEP_NO_LEVEL = 3, LOCKSTEP_REPLACED_WOULD_TAKE = 4 };

typedef struct {
    uint32_t kind;
    uint32_t reason;
    uint64_t order_id;
    uint64_t account;
    uint64_t trade_id;
    int64_t price_ticks;
    int64_t lots;
} lockstep_report;

typedef struct {
    int64_t price_ticks;
    int64_t lots;
    uint32_t orders;
    uint32_t zero;
} lockstep_level;

/* NULL if a bound is out of range, or config is NULL. Freed by lockstep_book_free, once. */
lockstep_book *lockstep_book_new(const lockstep_book_config *config);
void lockstep_book_free(lockstep_book *book);

/* Answers 0 if an enumeration has no such value or order is NULL: then nothing happened. Every other command has at least one report. */
size_t lockstep_book_place(lockstep_book *book, const lockstep_new_order *order);
size_t lockstep_book_cancel(lockstep_book *book, uint64_t order_id, uint64_t account);
size_t lockstep_book_reduce(lockstep_book *book, uint64_t order_id, uint64_t account, int64_t lots);
size_t lockstep_book_replace(lockstep_book *book, uint64_t order_id, uint64_t account, int64_t price_ticks, int64_t quantity_lots);

/* Of the last command; valid until the next one. */
const lockstep_report *lockstep_book_reports(const lockstep_book *book);

/* Writes the best levels of a side, best first, at most max of them; answers how many. */
size_t lockstep_book_depth(const lockstep_book *book, uint8_t side, lockstep_level *levels, size_t max);

/* Equal for equal histories, whoever computes it: engine/book/src/hash.rs. */
uint64_t lockstep_book_state_hash(const lockstep_book *book);

#ifdef __cplusplus
}
#endif

#endif
