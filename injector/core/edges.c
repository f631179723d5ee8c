/* Open addressing with linear probing; never more than half full; nothing is ever removed. */
#include "edges.h"

#define FIRST_ROOM 256

static uint64_t
key_of(int64_t caller, int64_t callee)
{
    return (uint64_t)caller << 32 | (uint64_t)callee;
}

/* Where ``key`` is, or where it would go. The table must have room. */
static struct edge *
place_of(const struct edges *edges, uint64_t key)
{
    size_t at = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (edges->room - 1);
    while (edges->table[at].key != 0 && edges->table[at].key != key) {
        at = (at + 1) & (edges->room - 1);
    }
    return &edges->table[at];
}

int64_t
edges_find(const struct edges *edges, int64_t caller, int64_t callee)
{
    return edges->room ? place_of(edges, key_of(caller, callee))->slot : 0;
}

static int
grow(struct edges *edges)
{
    struct edges fresh = {NULL, edges->room ? 2 * edges->room : FIRST_ROOM, edges->used};
    fresh.table = PyMem_RawCalloc(fresh.room, sizeof(*fresh.table));
    if (fresh.table == NULL) {
        return -1;
    }
    for (size_t at = 0; at < edges->room; at++) {
        if (edges->table[at].key != 0) {
            *place_of(&fresh, edges->table[at].key) = edges->table[at];
        }
    }
    PyMem_RawFree(edges->table);
    *edges = fresh;
    return 0;
}

int
edges_add(struct edges *edges, int64_t caller, int64_t callee, int64_t slot)
{
    if (2 * (edges->used + 1) > edges->room && grow(edges) < 0) {
        return -1;
    }
    struct edge *place = place_of(edges, key_of(caller, callee));
    edges->used += place->key == 0;
    *place = (struct edge){key_of(caller, callee), slot};
    return 0;
}

void
edges_clear(struct edges *edges)
{
    PyMem_RawFree(edges->table);
    *edges = (struct edges){NULL, 0, 0};
}
