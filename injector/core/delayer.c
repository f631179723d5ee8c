/* The type Delayer: methods as sys.monitoring calls them. What they do is in delays.c. */
#include "target.h"

/* ---- methods, as sys.monitoring calls them -------------------------------------------------- */

/* Whether the interpreter has to make an int of it for each event. */
static inline int
is_wide(Py_ssize_t offset)
{
    return offset > SMALL_INT;
}

static PyObject *
start(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 1);
    return event_end(object, known ? delayer_start(self, args[0], NULL) : KEEP, self->disable);
}

static PyObject *
resume(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    enum answer answer = known ? delayer_resume(self, args[0], is_wide(offset_of(args[1]))) : KEEP;
    return event_end(object, answer, self->disable);
}

static PyObject *
throw(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    enum answer answer = known ? delayer_resume(self, args[0], is_wide(offset_of(args[1]))) : KEEP;
    return event_end(object, answer, NULL);
}

static PyObject *
site(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 2)) {
        Py_ssize_t offset = offset_of(args[1]);
        answer = delayer_site(self, args[0], offset, is_wide(offset));
    }
    return event_end(object, answer, self->disable);
}

static PyObject *
call(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 3)) {
        Py_ssize_t offset = offset_of(args[1]);
        answer = delayer_call(self, args[0], offset, args[2], is_wide(offset));
    }
    return event_end(object, answer, self->disable);
}

static PyObject *
line(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    return event_end(object, known ? delayer_line(self, args[0], offset_of(args[1])) : KEEP, self->disable);
}

static PyObject *
jump(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 3)) {
        Py_ssize_t offset = offset_of(args[1]), destination = offset_of(args[2]);
        int wide = is_wide(offset) + is_wide(destination);
        answer = destination < offset ? delayer_site(self, args[0], offset, wide) : DISABLE;
    }
    return event_end(object, answer, self->disable);
}

/* PY_YIELD and PY_RETURN: the end of a wait, where one is measured, and a site. */
static PyObject *
leave(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    struct target *target = NULL;
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 2)) {
        int known = record_get(args[0], self->serial, (struct record **)&target) == RECORD;
        int waits = known && target->waits;
        if (waits) {
            delayer_end(self, target);
        }
        Py_ssize_t offset = offset_of(args[1]);
        answer = delayer_site(self, args[0], offset, is_wide(offset));
        answer = answer == DISABLE && waits ? KEEP : answer;
    }
    return event_end(object, answer, self->disable);
}

static PyObject *
meet(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct delayer *self = (struct delayer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 1);
    return event_end(object, known ? delayer_meet(self, args[0]) : KEEP, self->disable);
}

static PyObject *
switch_(PyObject *object, PyObject *changes)
{
    PyObject *pairs = PySequence_Fast(changes, "the changes are a list of (code, part, dose)");
    if (pairs == NULL) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PySequence_Fast_GET_SIZE(pairs); at++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(pairs, at), *code;
        Py_ssize_t part;
        double dose[STATES];
        if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "O!n(ddd)", &PyCode_Type, &code, &part, &dose[GIL],
                                                        &dose[NOGIL], &dose[WAIT])) {
            PyErr_Format(PyExc_TypeError, "a change is (code, part, (gil, nogil, wait)), not %R", pair);
            Py_DECREF(pairs);
            return NULL;
        }
        delayer_switch((struct delayer *)object, code, part, dose);
    }
    Py_DECREF(pairs);
    delayer_forgive((struct delayer *)object);
    Py_RETURN_NONE;
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
    static char *names[] = {"counters", "resolve",  "on_error", "disable",   "window",
                            "event_ns", "native", "everywhere", NULL};
    struct delayer *self = (struct delayer *)object;
    PyObject *counters, *resolve, *on_error, *disable, *window, *event_ns, *native = Py_None;
    long long entry_ns, site_ns, wide_ns, pay_ns, line_ns = -1;
    int everywhere = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO!|Op:Delayer", names, &counters, &resolve,
                                     &on_error, &disable, &window, &PyTuple_Type, &event_ns, &native,
                                     &everywhere)
        || !PyArg_ParseTuple(event_ns, "LLLL|L", &entry_ns, &site_ns, &wide_ns, &pay_ns, &line_ns)
        || window_read(&self->window, window) < 0 || counters_hold(&self->counters, counters) < 0) {
        return -1;
    }
    self->entry_ns = entry_ns > 0 ? entry_ns : 0;
    self->pay_ns = pay_ns > 0 ? pay_ns : 0;
    self->site_ns = site_ns > 0 ? site_ns : 0;
    self->line_ns = line_ns >= 0 ? line_ns : self->site_ns;
    self->wide_ns = wide_ns > 0 ? wide_ns : 0;
    self->serial = record_serial();
    self->debtors = self->serial;
    Py_XSETREF(self->resolve, Py_NewRef(resolve));
    Py_XSETREF(self->on_error, Py_NewRef(on_error));
    Py_XSETREF(self->disable, Py_NewRef(disable));
    natives_clear(&self->natives);
    self->natives.resolve = native == Py_None ? NULL : Py_NewRef(native);
    self->everywhere = everywhere && self->natives.resolve != NULL;
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
    Py_VISIT(self->natives.resolve);
    return 0;
}

static int
clear(PyObject *object)
{
    struct delayer *self = (struct delayer *)object;
    Py_CLEAR(self->resolve);
    Py_CLEAR(self->on_error);
    Py_CLEAR(self->disable);
    Py_CLEAR(self->natives.resolve);
    return 0;
}

static void
dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    natives_clear(&((struct delayer *)object)->natives);
    counters_release(&((struct delayer *)object)->counters);
    type->tp_free(object);
    Py_DECREF(type);
}

#define FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, doc}

static PyMethodDef methods[] = {
    FAST("start", start, "PY_START: a call."),
    FAST("resume", resume, "PY_RESUME: the resume visit."),
    FAST("throw", throw, "PY_THROW: a resume too."),
    FAST("call", call, "CALL: the site's visits."),
    FAST("line", line, "LINE: the line's visits."),
    FAST("jump", jump, "JUMP: as call, and only backwards."),
    FAST("yield_", leave, "PY_YIELD: as call."),
    FAST("return_", leave, "PY_RETURN: as call."),
    FAST("meet", meet, "PY_START where targets are watched one by one: asks what the code is."),
    {"switch", switch_, METH_O, "Other doses for some code from now on; no debts."},
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
