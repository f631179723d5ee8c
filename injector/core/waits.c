#include "waits.h"

#define LEAST_NS 5000.0     /* waits.LEAST_NS */
#define WAITED_NS 20000     /* tracker.SIGNIFICANT_NS */
#define FORGET 0.25         /* waits.FORGET */
#define LONGEST 8.0         /* waits.LONGEST */
#define OUTCOMES 16         /* of the last four visits */

/* The visits of one kind so far. */
struct seen {
    double mean_ns;         /* of those that waited, recent ones counting more */
    uint32_t visits, streak; /* streak: how many of the last ones waited */
};

/* One site in one thread. */
struct history {
    const struct visit *visit; /* only compared: it may be gone */
    unsigned last;             /* which of the last four waited, newest in the lowest bit */
    struct seen all, after[OUTCOMES];
};

struct waits {
    struct history *histories; /* owned */
    int count, room;
    int running;               /* index of the history of the wait that is measured, -1 none */
    const struct target *target;
    int64_t wall_ns, cpu_ns;
};

int
waits_follow(const struct visit *visit)
{
    return visit->share > 0.0 && visit->ns[WAIT] >= LEAST_NS;
}

/* What is known of a site; NULL without memory. */
static struct history *
history_of(struct thread *thread, const struct visit *visit)
{
    struct waits *waits = thread->waits;
    if (waits == NULL) {
        waits = thread->waits = PyMem_RawCalloc(1, sizeof(*waits));
        if (waits == NULL) {
            return NULL;
        }
        waits->running = -1;
    }
    for (int at = 0; at < waits->count; at++) {
        if (waits->histories[at].visit == visit) {
            return &waits->histories[at];
        }
    }
    if (waits->count == waits->room) {
        int room = waits->room ? 2 * waits->room : 8;
        struct history *histories = PyMem_RawRealloc(waits->histories, (size_t)room * sizeof(*histories));
        if (histories == NULL) {
            return NULL;
        }
        waits->histories = histories;
        waits->room = room;
    }
    struct history *history = &waits->histories[waits->count++];
    *history = (struct history){.visit = visit};
    return history;
}

double
waits_expect(struct thread *thread, const struct visit *visit)
{
    const struct history *history = history_of(thread, visit);
    if (history == NULL || history->all.visits < 2) {
        return visit->ns[WAIT];
    }
    const struct seen *like_this = &history->after[history->last];
    uint32_t needed = 2;
    if (like_this->visits < 2) {
        like_this = &history->all;
        needed = history->all.visits < 4 ? history->all.visits : 4;
    }
    double ns = like_this->streak >= needed ? visit->share * like_this->mean_ns : 0.0;
    return ns < LONGEST * visit->ns[WAIT] ? ns : LONGEST * visit->ns[WAIT];
}

void
waits_begin(struct thread *thread, const struct visit *visit, const struct target *target)
{
    const struct history *history = history_of(thread, visit);
    if (history != NULL) {
        struct waits *waits = thread->waits;
        waits->running = (int)(history - waits->histories);
        waits->target = target;
        waits->wall_ns = now_ns();
        waits->cpu_ns = cpu_ns();
    }
}

static void
learn(struct seen *seen, int64_t ns)
{
    seen->visits += seen->visits < UINT32_MAX;
    if (ns < WAITED_NS) {
        seen->streak = 0;
    }
    else {
        seen->mean_ns += (seen->mean_ns == 0.0 ? 1.0 : FORGET) * ((double)ns - seen->mean_ns);
        seen->streak += seen->streak < UINT32_MAX;
    }
}

void
waits_end(struct thread *thread, const struct target *target)
{
    struct waits *waits = thread->waits;
    if (waits != NULL && waits->running >= 0 && waits->target == target) {
        struct history *history = &waits->histories[waits->running];
        int64_t ns = now_ns() - waits->wall_ns - (cpu_ns() - waits->cpu_ns);
        learn(&history->after[history->last], ns);
        learn(&history->all, ns);
        history->last = (history->last << 1 | (ns >= WAITED_NS)) % OUTCOMES;
        waits->running = -1;
    }
}

void
waits_drop(struct thread *thread, const struct target *target)
{
    struct waits *waits = thread->waits;
    if (waits != NULL && (target == NULL || waits->target == target)) {
        waits->running = -1;
    }
}

void
waits_clear(struct thread *thread)
{
    if (thread->waits != NULL) {
        thread->waits->count = 0;
        thread->waits->running = -1;
    }
}
