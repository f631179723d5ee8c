/* Which function calls which: a table from (caller slot, callee slot) to the edge's slot. */
#ifndef SPEEDBUMP_EDGES_H
#define SPEEDBUMP_EDGES_H

#include "core.h"

struct edge {
    uint64_t key; /* caller slot << 32 | callee slot; 0 free */
    int64_t slot;
};

struct edges {
    struct edge *table; /* owned; open addressing */
    size_t room;        /* a power of two, or 0 */
    size_t used;
};

/* The edge's slot, 0 if it is not in the table. */
int64_t edges_find(const struct edges *edges, int64_t caller, int64_t callee);

/* Add one that is not there. -1 without memory (no exception). */
int edges_add(struct edges *edges, int64_t caller, int64_t callee, int64_t slot);

void edges_clear(struct edges *edges);

#endif
