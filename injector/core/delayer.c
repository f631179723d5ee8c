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

/* Spend what is owed and count it. May let other threads in. */
static void
pay(struct delayer *self, struct target *target, struct thread *thread, enum state state)
{
    static int64_t (*const spend[STATES])(int64_t) = {spin_gil, spin_nogil, wait_for};
    target->record.references++;
    int64_t delivered = spend[state]((int64_t)thread->owed[state]);
    thread->owed[state] -= (double)delivered;
    if (self->counters.base != NULL) {
        uint64_t *counters = self->counters.base + WIDTH * target->slot;
        uint64_t now = (uint64_t)now_ns();
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
    if (!visit->present) {
        return;
    }
    struct thread *thread = thread_get(self->debtors);
    if (unlikely(thread == NULL)) {
        return; /* no memory: nothing is delayed, and nothing is counted as delayed */
    }
    int follow = target->waits && waits_follow(visit);
    if (follow) {
        waits_end(thread, target);
    }
    for (enum state state = GIL; state < STATES; state++) {
        double ns = visit->ns[state];
        if (ns > 0.0) {
            ns = follow && state == WAIT ? waits_expect(thread, visit) : ns;
            double debt = thread->owed[state] += ns;
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

/* Ask what a code object is and remember it. -1 with an exception. */
static int
ask(struct delayer *self, PyObject *code, PyObject *globals)
{
    int failed = -1;
    struct target *target = NULL;
    struct record *record = NULL;
    PyObject *spec = PyObject_CallFunctionObjArgs(self->resolve, code, globals == NULL ? Py_None : globals,
                                                  NULL);
    if (spec == NULL) {
        return -1;
    }
    if (record_get(code, self->serial, &record) != UNKNOWN) {
        failed = 0; /* another thread was faster: this one's turn came before its time */
    }
    else if (spec == Py_None) {
        failed = record_set((PyCodeObject *)code, self->serial, NULL);
    }
    else {
        target = target_new(&self->counters, self->serial, code, spec);
        failed = target == NULL ? -1 : record_set((PyCodeObject *)code, self->serial, &target->record);
        if (target != NULL && failed) {
            record_drop(&target->record);
        }
        else if (target != NULL) {
            self->has_sites |= target->units > 0;
        }
    }
    Py_DECREF(spec);
    return failed;
}

/* What a code object is that is seen for the first time; NOTHING also where that is not to be found
 * out, which has been reported then. UNKNOWN with an exception that is the target's. */
static enum known
meet(struct delayer *self, PyObject *code, PyObject *globals, struct target **found)
{
    record_begin_asking();
    enum known known = record_get(code, self->serial, (struct record **)found);
    if (known == UNKNOWN && self->resolve != NULL) { /* else cleared: the interpreter is going down */
        if (ask(self, code, globals) == 0) {
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

static void
progress(struct delayer *self, int64_t slot)
{
    uint64_t *counters = self->counters.base + WIDTH * slot;
    uint64_t now = (uint64_t)now_ns();
    counters[CALLS]++;
    counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : now;
    counters[LAST_NS] = now;
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
    if (target->slot) {
        self->counters.base[WIDTH * target->slot + CALLS]++;
        int due = likely(target->every == 1) || ++target->seen % target->every == 0;
        visited(self, target, due ? &target->entry : &none, self->entry_ns);
    }
    return KEEP;
}

enum answer
delayer_resume(struct delayer *self, PyObject *code)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD
        || !target->resume.present) {
        return DISABLE;
    }
    begin(self, target);
    if (target->slot && window_is_open(&self->window)) {
        visited(self, target, &target->resume, self->entry_ns);
    }
    return KEEP;
}

enum answer
delayer_site(struct delayer *self, PyObject *code, Py_ssize_t offset)
{
    struct target *target = NULL;
    if (record_get(code, self->serial, (struct record **)&target) != RECORD) {
        return DISABLE;
    }
    const struct visit *site = target_site(target, offset);
    if (site == NULL) {
        return DISABLE;
    }
    if (target->slot && window_is_open(&self->window)) {
        visited(self, target, site, self->site_ns);
    }
    return KEEP;
}

/* ---- methods, as sys.monitoring calls them -------------------------------------------------- */

/* A tracker that was never filled counts nothing. */
static inline int
usable(const struct delayer *self, PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted)
{
    return likely(count >= wanted && self->counters.base != NULL && PyCode_Check(args[0]));
}

/* The events hold a reference: another thread may drop the last one while they call into Python or
 * spend their delay. */
static inline struct delayer *
hold(PyObject *object)
{
    return (struct delayer *)Py_NewRef(object);
}

/* The end of a method: lets go of ``self``; a new reference to its result, NULL with an exception.
 * ``can_disable``: whether the event can be switched off. */
static inline PyObject *
finish(struct delayer *self, enum answer answer, int can_disable)
{
    PyObject *result = NULL;
    if (likely(answer == KEEP) || (answer == DISABLE && (!can_disable || self->disable == NULL))) {
        result = Py_NewRef(Py_None);
    }
    else if (answer == DISABLE) {
        result = Py_NewRef(self->disable);
    }
    Py_DECREF(self);
    return result;
}

static PyObject *
start(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    return finish(self, usable(self, args, count, 1) ? delayer_start(self, args[0], NULL) : KEEP, 1);
}

static PyObject *
resume(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    return finish(self, usable(self, args, count, 1) ? delayer_resume(self, args[0]) : KEEP, 1);
}

static PyObject *
throw(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    return finish(self, usable(self, args, count, 1) ? delayer_resume(self, args[0]) : KEEP, 0);
}

static PyObject *
site(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    int known = usable(self, args, count, 2);
    return finish(self, known ? delayer_site(self, args[0], offset_of(args[1])) : KEEP, 1);
}

static PyObject *
jump(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    enum answer answer = KEEP;
    if (usable(self, args, count, 3)) {
        Py_ssize_t offset = offset_of(args[1]);
        answer = offset_of(args[2]) < offset ? delayer_site(self, args[0], offset) : DISABLE;
    }
    return finish(self, answer, 1);
}

/* PY_YIELD and PY_RETURN: the end of a wait, where one is measured, and a site. */
static PyObject *
leave(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = hold(object);
    struct target *target = NULL;
    enum answer answer = KEEP;
    if (usable(self, args, count, 2)) {
        int known = record_get(args[0], self->serial, (struct record **)&target) == RECORD;
        int waits = known && target->waits;
        if (waits) {
            delayer_end(self, target);
        }
        answer = delayer_site(self, args[0], offset_of(args[1]));
        answer = answer == DISABLE && waits ? KEEP : answer;
    }
    return finish(self, answer, 1);
}

static PyObject *
forked(PyObject *object, PyObject *counters)
{
    struct delayer *self = (struct delayer *)object;
    threads_forked();
    record_end_asking(); /* whoever was, was the parent's */
    self->debtors = record_serial();
    if (counters_hold(&self->counters, counters) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- the type ------------------------------------------------------------------------------- */

static int
init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"counters", "resolve", "on_error", "disable", "window", "event_ns", NULL};
    struct delayer *self = (struct delayer *)object;
    PyObject *counters, *resolve, *on_error, *disable, *window;
    long long entry_ns, site_ns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO(LL):Delayer", names, &counters, &resolve,
                                     &on_error, &disable, &window, &entry_ns, &site_ns)
        || window_read(&self->window, window) < 0 || counters_hold(&self->counters, counters) < 0) {
        return -1;
    }
    self->entry_ns = entry_ns > 0 ? entry_ns : 0;
    self->site_ns = site_ns > 0 ? site_ns : 0;
    self->serial = record_serial();
    self->debtors = self->serial;
    Py_XSETREF(self->resolve, Py_NewRef(resolve));
    Py_XSETREF(self->on_error, Py_NewRef(on_error));
    Py_XSETREF(self->disable, Py_NewRef(disable));
    return 0;
}

static int
traverse(PyObject *object, visitproc visit, void *arg)
{
    struct delayer *self = (struct delayer *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->resolve);
    Py_VISIT(self->on_error);
    Py_VISIT(self->disable);
    return 0;
}

static int
clear(PyObject *object)
{
    struct delayer *self = (struct delayer *)object;
    Py_CLEAR(self->resolve);
    Py_CLEAR(self->on_error);
    Py_CLEAR(self->disable);
    return 0;
}

static void
dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    counters_release(&((struct delayer *)object)->counters);
    type->tp_free(object);
    Py_DECREF(type);
}

#define FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, doc}

static PyMethodDef methods[] = {
    FAST("start", start, "PY_START: a call."),
    FAST("resume", resume, "PY_RESUME: the resume visit."),
    FAST("throw", throw, "PY_THROW: a resume too."),
    FAST("call", site, "CALL: the site's visit."),
    FAST("jump", jump, "JUMP: as call, and only backwards."),
    FAST("yield_", leave, "PY_YIELD: as call."),
    FAST("return_", leave, "PY_RETURN: as call."),
    {"forked", forked, METH_O, "In a forked child: other counters from now on, no debts."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Delays the targets that resolve names, and counts what it delivered."},
    {Py_tp_init, init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec delayer_spec = {
    .name = "_core.Delayer",
    .basicsize = sizeof(struct delayer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int
delayer_check(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == dealloc;
}
