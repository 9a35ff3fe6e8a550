/* Finds rows of the base in order, from either end on. */

#include "ends.h"

/* Remember a key, which must not lie in the reader's map when other pages are read. */
bool
edge_set(Edge *edge, Span key, bool inclusive)
{
    if (key.length > LONGEST_PAGE_KEY) {
        return false;
    }
    memcpy(edge->bytes, key.bytes, key.length);
    edge->length = key.length;
    edge->inclusive = inclusive;
    return true;
}

/* The child of a branch in which the search begins; SIZE_MAX if the page is damaged. */
static size_t
child_beyond(BaseReader *self, const uint8_t *page, size_t count, bool last, const Edge *edge)
{
    bool equal;
    size_t place = base_search(self, page, 1, count, (Span){edge->bytes, edge->length}, &equal);
    if (place == SIZE_MAX) {
        return SIZE_MAX;
    }
    return equal && (edge->inclusive || !last) ? place : place - 1;
}

/* Note the key that separates a child from the one that comes after it in this direction. */
static bool
note_next(BaseReader *self, const uint8_t *page, size_t count, size_t child, bool last, Edge *next, bool *has_next)
{
    size_t place = last ? child : child + 1, length;
    if (place == 0 || place == count) {
        return true; /* the child is the last one of its branch: what a branch above has noted holds */
    }
    const uint8_t *node = base_node(self, page, place, &length);
    *has_next = true;
    return node != NULL && edge_set(next, (Span){node + NODE_HEADER, length}, !last);
}

/* The leaf in which keys beyond an edge begin, and the place of the first one there.
 *
 * Without ``last``, keys at or after the edge; with it, keys at or before the edge, from the greatest on. If the leaf
 * has none, the place is SIZE_MAX. ``next`` gets the edge at which the search goes on after this leaf. Returns NULL if a
 * page on the way is not valid.
 */
const uint8_t *
base_leaf_beyond(BaseReader *self, uint64_t root, unsigned depth, bool last, const Edge *edge, size_t *count,
                 size_t *place, Edge *next, bool *has_next)
{
    uint64_t number = root;
    *has_next = false;
    for (unsigned level = 1; level < depth; level++) {
        const uint8_t *page = base_page(self, number, false, count);
        size_t length, child = page == NULL ? SIZE_MAX : child_beyond(self, page, *count, last, edge);
        if (child == SIZE_MAX || !note_next(self, page, *count, child, last, next, has_next)) {
            return NULL;
        }
        const uint8_t *node = base_node(self, page, child, &length);
        if (node == NULL) {
            return NULL;
        }
        number = base_child(node);
    }
    const uint8_t *leaf = base_page(self, number, true, count);
    bool equal;
    size_t found = leaf == NULL ? SIZE_MAX
                                : base_search(self, leaf, 0, *count, (Span){edge->bytes, edge->length}, &equal);
    if (found == SIZE_MAX) {
        return NULL;
    }
    if (last) {
        *place = equal && edge->inclusive ? found : found - 1; /* SIZE_MAX before the first one */
    }
    else {
        *place = found < *count ? found : SIZE_MAX;
    }
    return leaf;
}
