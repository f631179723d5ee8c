/* Delay mode: debts and their payment. See delayer.h.
 *
 * One debt per thread and state, shared by all targets: a delay too small to be spun exactly is owed
 * and paid together with others.
 */
#include "target.h"
#include "waits.h"

#include <string.h>

static const double floor_ns[STATES] = {1500.0, 5000.0, 100000.0}; /* tracker.FLOOR_NS */

enum { CALLS, DELAYS, DELAYED_NS, GIL_NS, NOGIL_NS, WAIT_NS, FIRST_NS, LAST_NS }; /* ledger.COUNTERS */
/* Of a progress point: the process' CPU time, when that was read, the sum of the times of all calls,
 * and the CPU time of the threads that call it, delays taken out. */
enum { CPU_NS = 1, CPU_AT_NS, MOMENTS_NS, OWN_NS };
#define PROGRESS_CPU_NS 50000   /* tracker.PROGRESS_CPU_NS */

/* ---- paying ------------------------------------------------------------------------------- */

/* Spend what is owed and count it. May let other threads in. */
static void
pay(struct delayer *self, struct target *target, struct thread *thread, enum state state)
{
    static int64_t (*const spend[STATES])(int64_t) = {spin_gil, spin_nogil, wait_for};
    target->record.references++;
    double debt = thread->owed[state];
    thread->owed[state] = 0.0; /* so that a switch meanwhile finds nothing to forgive */
    int64_t left = (int64_t)debt - self->pay_ns;
    int64_t delivered = spend[state](left > 0 ? left : 0) + self->pay_ns;
    thread->owed[state] += debt - (double)delivered;
    thread->spun_ns += state == WAIT ? 0 : delivered;
    if (self->counters.base != NULL) {
        uint64_t *counters = self->counters.base + WIDTH * target->slot;
        uint64_t now = (uint64_t)moment_ns();
        counters[DELAYS]++;
        counters[DELAYED_NS] += (uint64_t)delivered;
        counters[GIL_NS + state] += (uint64_t)delivered;
        counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : now;
        counters[LAST_NS] = now;
    }
    record_drop(&target->record);
}

/* A callback of a target inside the window: its own cost, and its delay if it has one. */
static inline void
visited(struct delayer *self, struct target *target, const struct visit *visit, int64_t event_ns)
{
    uint64_t *counters = self->counters.base + WIDTH * target->slot;
    counters[GIL_NS] += (uint64_t)event_ns;
    counters[DELAYED_NS] += (uint64_t)event_ns;
    struct thread *thread = thread_get(self->debtors);
    if (unlikely(thread == NULL)) {
        return; /* no memory: nothing is delayed, and nothing is counted as delayed */
    }
    thread->spun_ns += event_ns;
    if (!visit->present) {
        return;
    }
    int follow = target->waits && waits_follow(visit);
    if (follow) {
        waits_end(thread, target);
    }
    for (enum state state = GIL; state < STATES; state++) {
        double ns = visit->ns[state];
        if (ns > 0.0) {
            ns = follow && state == WAIT ? waits_expect(thread, visit) : ns;
            ns = ns * target->dose[state] - (state == GIL ? (double)event_ns : 0.0);
            double debt = thread->owed[state] += ns > 0.0 ? ns : 0.0;
            if (unlikely(debt >= floor_ns[state] || (target->fixed && debt > 0.0))) {
                pay(self, target, thread, state);
            }
        }
    }
    if (follow) {
        waits_begin(thread, visit, target);
    }
}

/* An activation begins: one that ended with an exception has left its wait open. */
static inline void
begin(struct delayer *self, const struct target *target)
{
    struct thread *thread = target->waits ? thread_get(self->debtors) : NULL;
    if (thread != NULL) {
        waits_drop(thread, target);
    }
}

void
delayer_end(struct delayer *self, const struct target *target)
{
    struct thread *thread = target->waits ? thread_get(self->debtors) : NULL;
    if (thread != NULL) {
        waits_end(thread, target);
    }
}

/* ---- events ------------------------------------------------------------------------------- */

static inline void
use_slot(struct delayer *self, int64_t slot)
{
    if (slot > 0) {
        self->lowest = self->lowest == 0 || slot < self->lowest ? slot : self->lowest;
        self->highest = slot > self->highest ? slot : self->highest;
    }
}

static struct record *
make(void *tracker, PyObject *code, PyObject *spec)
{
    struct delayer *self = tracker;
    struct target *target = target_new(&self->counters, self->serial, code, spec);
    if (target == NULL) {
        return NULL;
    }
    self->with_sites += target->units > 0 && target->is_delayed;
    use_slot(self, target->slot);
    use_slot(self, target->progress);
    return &target->record;
}

/* What a code object is that is seen for the first time; NOTHING also where that is not to be found
 * out, which has been reported then. UNKNOWN with an exception that is the target's. */
static enum known
meet(struct delayer *self, PyObject *code, PyObject *globals, struct target **found)
{
    record_begin_asking();
    enum known known = record_get(code, self->serial, (struct record **)found);
    if (known == UNKNOWN && self->resolve != NULL) { /* else cleared: the interpreter is going down */
        if (record_ask(self->resolve, self->serial, code, globals, make, self) == 0) {
            known = record_get(code, self->serial, (struct record **)found);
        }
        else if (core_failed(self->on_error) != FAILED) {
            known = NOTHING;
            if (record_set((PyCodeObject *)code, self->serial, NULL) < 0) { /* not asked again */
                PyErr_Clear();
            }
        }
    }
    else if (known == UNKNOWN) {
        known = NOTHING;
    }
    record_end_asking();
    return known;
}

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

static void
progress(struct delayer *self, int64_t slot)
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

enum answer
delayer_start(struct delayer *self, PyObject *code, PyObject *globals)
{
    static const struct visit none;
    struct target *target = NULL;
    enum known known = record_get(code, self->serial, (struct record **)&target);
    if (unlikely(known == UNKNOWN)) {
        known = meet(self, code, globals, &target);
    }
    if (known != RECORD) {
        return known == NOTHING ? DISABLE : FAILED;
    }
    begin(self, target);
    if (!window_is_open(&self->window)) {
        return KEEP;
    }
    if (unlikely(target->progress)) {
        progress(self, target->progress);
    }
    if (target->slot && target->is_delayed) {
        self->counters.base[WIDTH * target->slot + CALLS]++;
        int due = likely(target->every == 1) || ++target->seen % target->every == 0;
        /* A progress point's callback comes also while nothing is delayed. */
        int64_t event_ns = target->progress ? 0 : self->entry_ns;
        visited(self, target, due ? &target->entry : &none, event_ns);
    }
    if (unlikely(counters_switching(&self->counters))) { /* last: what is borrowed may go meanwhile */
        counters_give_way(&self->counters);
    }
    return KEEP;
}

enum answer
delayer_resume(struct delayer *self, PyObject *code, int wide)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD
        || !target->resume.present) {
        return DISABLE;
    }
    begin(self, target);
    if (target->slot && target->is_delayed && window_is_open(&self->window)) {
        visited(self, target, &target->resume, self->entry_ns + wide * self->wide_ns);
    }
    return KEEP;
}

enum answer
delayer_site(struct delayer *self, PyObject *code, Py_ssize_t offset, int wide)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD) {
        return DISABLE;
    }
    const struct visit *site = target_site(target, offset);
    if (site == NULL) {
        return DISABLE;
    }
    if (target->slot && target->is_delayed && window_is_open(&self->window)) {
        visited(self, target, site, self->site_ns + wide * self->wide_ns);
    }
    return KEEP;
}

/* ---- switching ------------------------------------------------------------------------------ */

enum answer
delayer_meet(struct delayer *self, PyObject *code)
{
    struct target *target = NULL;
    enum known known = record_get(code, self->serial, (struct record **)&target);
    return known == UNKNOWN && meet(self, code, NULL, &target) == UNKNOWN ? FAILED : DISABLE;
}

void
delayer_switch(struct delayer *self, PyObject *code, const double *dose)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD) {
        return;
    }
    int was_delayed = target->is_delayed;
    target_multiply(target, dose);
    if (target->units > 0) {
        self->with_sites += target->is_delayed - was_delayed;
    }
}

void
delayer_forgive(struct delayer *self)
{
    for (struct thread *thread = threads_first(); thread != NULL; thread = thread->next) {
        if (thread->owner == self->debtors) {
            for (enum state state = GIL; state < STATES; state++) {
                thread->owed[state] = 0.0;
            }
            waits_drop(thread, NULL);
        }
    }
}
