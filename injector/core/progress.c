/* Delay mode: what is noted when the progress point is called, and the still that is taken then. */
#include "delayer.h"

#include <string.h>

enum { CALLS, FIRST_NS = 6, LAST_NS }; /* ledger.COUNTERS */
/* Of a progress point: the process' CPU time, when that was read, the sum of the times of all calls,
 * and the CPU time of the threads that call it, delays taken out. */
enum { CPU_NS = 1, CPU_AT_NS, MOMENTS_NS, OWN_NS };
#define PROGRESS_CPU_NS 50000   /* tracker.PROGRESS_CPU_NS */

/* Copy the counters to the second half: as they are now, inside a call of the progress point. */
static void
take_still(struct delayer *self, uint64_t number)
{
    uint64_t *base = self->counters.base, *still = base + WIDTH * (self->counters.slots / 2);
    size_t slots = (size_t)(self->highest - self->lowest + 1);
    if (self->lowest > 0 && self->highest < self->counters.slots / 2) {
        memcpy(still + WIDTH * self->lowest, base + WIDTH * self->lowest, slots * WIDTH * sizeof *base);
        __atomic_store_n(base + TAKEN, number, __ATOMIC_RELEASE);
    }
}

/* The CPU time of this thread since it did the last unit. */
static void
count_own(struct delayer *self, uint64_t *counters, int64_t now, int still)
{
    struct thread *thread = thread_get(self->debtors);
    if (thread == NULL || (!still && now - thread->unit_at_ns <= PROGRESS_CPU_NS)) {
        return;
    }
    int64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread->spun_ns;
    if (thread->unit_at_ns != 0) {
        counters[OWN_NS] += (uint64_t)(own - thread->unit_own_ns);
    }
    thread->unit_at_ns = now;
    thread->unit_own_ns = own;
}

void
delayer_progress(struct delayer *self, int64_t slot)
{
    uint64_t *counters = self->counters.base + WIDTH * slot;
    uint64_t now = (uint64_t)now_ns();
    uint64_t wanted = __atomic_load_n(self->counters.base + WANTED, __ATOMIC_RELAXED);
    int still = wanted != self->counters.base[TAKEN];
    counters[CALLS]++;
    counters[MOMENTS_NS] += now;
    counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : now;
    if (unlikely(still) || now - counters[CPU_AT_NS] > PROGRESS_CPU_NS) {
        counters[CPU_NS] = (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        counters[CPU_AT_NS] = now;
    }
    counters[LAST_NS] = now;
    count_own(self, counters, (int64_t)now, still);
    if (unlikely(still)) {
        take_still(self, wanted);
    }
}
