/* Delay mode: debts and their payment. See delayer.h.
 *
 * One debt per thread and state, shared by all targets: a delay too small to be spun exactly is owed
 * and paid together with others.
 */
#include "target.h"
#include "waits.h"

static const double floor_ns[STATES] = {1500.0, 5000.0, 100000.0}; /* tracker.FLOOR_NS */

enum { CALLS, DELAYS, DELAYED_NS, GIL_NS, NOGIL_NS, WAIT_NS, FIRST_NS, LAST_NS }; /* ledger.COUNTERS */
/* ---- paying ------------------------------------------------------------------------------- */

/* Spend what is owed and count it at ``slot``. May let other threads in. */
static void
pay(struct delayer *self, struct target *target, int64_t slot, struct thread *thread, enum state state)
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
        uint64_t *counters = self->counters.base + WIDTH * slot;
        uint64_t now = (uint64_t)moment_ns();
        counters[DELAYS]++;
        counters[DELAYED_NS] += (uint64_t)delivered;
        counters[GIL_NS + state] += (uint64_t)delivered;
        counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : now;
        counters[LAST_NS] = now;
    }
    record_drop(&target->record);
}

/* A callback of a target inside the window: its own cost, and its delay if it has one. The cost is
 * borne by the visit's part, or by another that is delayed. */
static inline void
visited(struct delayer *self, struct target *target, const struct visit *visit, int64_t event_ns)
{
    const struct part *part = &target->parts[visit->part];
    const struct part *bearer = likely(part->is_delayed) ? part : &target->parts[target->bearer];
    uint64_t *counters = self->counters.base + WIDTH * bearer->slot;
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
    if (unlikely(bearer != part)) {
        if (target->waits && waits_follow(visit)) {
            waits_end(thread, target);
        }
        return;
    }
    int64_t slot = part->slot;
    counters[CALLS] += visit->is_counted;
    int follow = target->waits && waits_follow(visit);
    if (follow) {
        waits_end(thread, target);
    }
    for (enum state state = GIL; state < STATES; state++) {
        double ns = visit->ns[state];
        if (ns > 0.0) {
            ns = follow && state == WAIT ? waits_expect(thread, visit) : ns;
            ns = ns * part->dose[state] - (state == GIL ? (double)event_ns : 0.0);
            double debt = thread->owed[state] += ns > 0.0 ? ns : 0.0;
            if (unlikely(debt >= floor_ns[state] || (target->fixed && debt > 0.0))) {
                pay(self, target, slot, thread, state);
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
    for (int at = 0; at < target->count; at++) {
        use_slot(self, target->parts[at].slot);
    }
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

/* A call of the function, or of the native callable, that the target is. */
static void
called(struct delayer *self, struct target *target, int64_t event_ns)
{
    static const struct visit none;
    self->counters.base[WIDTH * target->parts[0].slot + CALLS]++;
    int due = likely(target->every == 1) || ++target->seen % target->every == 0;
    visited(self, target, due ? &target->entry : &none, event_ns);
}

enum answer
delayer_start(struct delayer *self, PyObject *code, PyObject *globals)
{
    struct target *target = NULL;
    enum known known = record_get(code, self->serial, (struct record **)&target);
    if (unlikely(known == UNKNOWN)) {
        known = meet(self, code, globals, &target);
    }
    if (known != RECORD) {
        return known == NOTHING ? DISABLE : FAILED;
    }
    if (target->parts[0].slot == 0 && target->progress == 0 && !target->waits) {
        return DISABLE; /* only what it calls, or lines in it, are targets */
    }
    begin(self, target);
    if (!window_is_open(&self->window)) {
        return KEEP;
    }
    if (unlikely(target->progress)) {
        delayer_progress(self, target->progress);
    }
    if (target->parts[0].is_delayed) {
        /* A progress point's callback comes also while nothing is delayed. */
        called(self, target, target->progress ? 0 : self->entry_ns);
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
    if (target->parts[0].is_delayed && window_is_open(&self->window)) {
        visited(self, target, &target->resume, self->entry_ns + wide * self->wide_ns);
    }
    return KEEP;
}

/* Whether a place is of no use while other parts of the code are delayed. */
static int
is_idle(const struct target *target, const struct visit *visit)
{
    for (; visit != NULL; visit = target_visit(target, visit->next)) {
        if (target->parts[visit->part].is_delayed || waits_follow(visit)) {
            return 0;
        }
    }
    return 1;
}

/* All visits of a place that are for a call of the native callable ``number``, or for any. */
static enum answer
visit_all(struct delayer *self, struct target *target, const struct visit *visit, int64_t number,
          int64_t event_ns)
{
    if (!target->is_delayed || !window_is_open(&self->window)) {
        return KEEP;
    }
    if (likely(visit->next == 0 && target->parts[visit->part].native == 0
               && target->parts[visit->part].is_delayed)) {
        visited(self, target, visit, event_ns);
        return KEEP;
    }
    enum answer answer = is_idle(target, visit) ? DISABLE : KEEP;
    target->record.references++;
    for (; visit != NULL; visit = target_visit(target, visit->next)) {
        int64_t native = target->parts[visit->part].native;
        if (native == 0 || native == number) {
            visited(self, target, visit, event_ns);
            event_ns = 0;
        }
    }
    record_drop(&target->record);
    return answer;
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
    return visit_all(self, target, site, 0, self->site_ns + wide * self->wide_ns);
}

enum answer
delayer_line(struct delayer *self, PyObject *code, Py_ssize_t line)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD) {
        return DISABLE;
    }
    const struct visit *site = target_line(target, line);
    if (site == NULL) {
        return DISABLE;
    }
    return visit_all(self, target, site, 0, self->line_ns + (line > SMALL_INT) * self->wide_ns);
}

/* What is called, where it is native: its number, or the target that it is wherever it is called (a
 * reference). FAILED with an exception that is the target's. */
static enum answer
find_native(struct delayer *self, PyObject *called, struct native *found)
{
    *found = (struct native){0};
    if (self->natives.resolve == NULL || native_is_python(called)
        || natives_find(&self->natives, called, make, self, found) == 0) {
        return KEEP;
    }
    *found = (struct native){0};
    return core_failed(self->on_error);
}

enum answer
delayer_call(struct delayer *self, PyObject *code, Py_ssize_t offset, PyObject *callable, int wide)
{
    struct target *target = NULL;
    struct native native = {0};
    enum known known = record_get(code, self->serial, (struct record **)&target);
    if (unlikely(known == UNKNOWN && self->everywhere)) {
        known = meet(self, code, NULL, &target);
    }
    if (known != RECORD) {
        return known == UNKNOWN && self->everywhere ? FAILED : DISABLE;
    }
    const struct visit *site = target_site(target, offset);
    if (site == NULL && !self->everywhere) {
        return DISABLE;
    }
    int64_t event_ns = self->site_ns + wide * self->wide_ns;
    if (self->everywhere || target->has_natives) {
        target->record.references++;
        enum answer answer = find_native(self, callable, &native);
        if (native.record != NULL) {
            struct target *other = (struct target *)native.record;
            if (other->parts[0].is_delayed && window_is_open(&self->window)) {
                called(self, other, event_ns);
            }
            record_drop(native.record);
        }
        if (site != NULL && answer == KEEP) {
            answer = visit_all(self, target, site, native.number, event_ns);
            answer = answer == DISABLE && self->everywhere ? KEEP : answer;
        }
        record_drop(&target->record);
        return answer;
    }
    return visit_all(self, target, site, 0, event_ns);
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
delayer_switch(struct delayer *self, PyObject *code, Py_ssize_t part, const double *dose)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD || part < 0
        || part >= target->count) {
        return;
    }
    int was_delayed = target->is_delayed;
    target_multiply(target, part, dose);
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
