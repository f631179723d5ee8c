/* Places that are visited so often that watching them costs more than it tells are given up. */
#include "observer.h"

#define DENSE_NS 1000
#define DENSE_VISITS 1024
/* A back-edge this frequent, this often seen, is given up for one around it; so is a call, */
#define LONG 256 /* unless one of so many takes long: any may, if another thread comes in between */
#define PAUSE_NS 100000 /* a longer one between two visits is not the loop's */
#define SHORT_CALLS 8
#define SHORT_NS 50000000 /* own time of a call that need not be cut by its loops */

enum { CALLS, GIL_NS, NOGIL_NS, WAIT_NS, GIVEN_UP }; /* of functions and sites: ledger.COUNTERS */

/* Whether a call is so dense, and hardly ever of weight, that watching it costs more than it tells. */
int
density_gives_up_call(struct observer *self, struct site *site, int native, int64_t now)
{
    if (site == NULL || site->python) {
        return 0;
    }
    if (!native) {
        site->python = 1;
        return 0;
    }
    int64_t apart = now - site->last_ns;
    site->span_ns += apart < PAUSE_NS ? apart : PAUSE_NS;
    site->last_ns = now;
    if (likely(++site->visits % DENSE_VISITS != 0) || site->span_ns >= DENSE_NS * site->visits
        || site->long_calls * LONG >= site->visits) {
        return 0;
    }
    for (const struct site *same = site; same != NULL; same = same->callees) {
        counters_of(self, same->slot)[GIVEN_UP] = 1;
    }
    return 1;
}

/* Whether a back-edge is too dense to be a site; what it was charged goes to one around it. */
static int
give_up(struct observer *self, struct function *function, struct site *site)
{
    struct site *outer = site->span_ns >= DENSE_NS * site->visits ? NULL : function->sites;
    while (outer != NULL && !(outer->offset > site->offset && outer->destination >= 0
                              && outer->destination <= site->destination)) {
        outer = outer->next;
    }
    uint64_t *from = counters_of(self, site->slot), *of = counters_of(self, function->slot);
    if (outer == NULL) {
        /* No loop around it; but a function that is called often and is short has its return. */
        return site->span_ns < DENSE_NS * site->visits && of[CALLS] >= SHORT_CALLS
               && of[GIL_NS] < of[CALLS] * SHORT_NS && (from[GIVEN_UP] = 1);
    }
    uint64_t *to = counters_of(self, outer->slot);
    for (int counter = GIL_NS; counter <= WAIT_NS; counter++) {
        to[counter] += from[counter];
        from[counter] = 0;
    }
    from[GIVEN_UP] = 1;
    return 1;
}

int
density_gives_up_edge(struct observer *self, struct function *function, struct site *site, int64_t wall)
{
    site->span_ns += wall;
    /* Where lines are told, an edge around it may be in another. */
    return unlikely(++site->visits % DENSE_VISITS == 0) && !self->lines && give_up(self, function, site);
}
