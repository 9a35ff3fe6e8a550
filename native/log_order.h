/* The keys of a segment of the log in order, in the memory of one process. */

#ifndef COSHELF_LOG_ORDER_H
#define COSHELF_LOG_ORDER_H

#include "log.h"

typedef struct {
    uint64_t epoch;   /* of the segment that it belongs to; odd: of none */
    uint64_t end;     /* the head up to which it has the keys */
    uint32_t *places; /* for each key its first record, divided by 8, in the order of the keys */
    size_t count;
    size_t room;
} LogOrder;

enum log_order_result { ORDER_DONE, ORDER_CHANGED, ORDER_NO_MEMORY };

int log_compare(const uint8_t *left, size_t left_length, const uint8_t *right, size_t right_length);
enum log_order_result log_order_refresh(LogOrder *order, const LogMap *log, unsigned segment, uint64_t epoch,
                                        uint64_t head);
/* How many keys are less than a key. */
size_t log_order_search(const LogOrder *order, const LogMap *log, unsigned segment, const uint8_t *key, size_t length);
bool log_order_key(const LogOrder *order, const LogMap *log, unsigned segment, size_t place, const uint8_t **bytes,
                   size_t *length);
void log_order_free(LogOrder *order);

#endif
