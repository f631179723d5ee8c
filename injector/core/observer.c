/* The type Observer: methods as sys.monitoring calls them, and what is asked from outside. */
#include "observer.h"

#include "backends311.h"

/* ---- events ---------------------------------------------------------------------------------- */

static PyObject *
start(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 1);
    return event_end(object, known ? observer_enter(self, args[0], NULL, ENTRY, -1) : KEEP, self->disable);
}

static PyObject *
resume(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    enum answer answer =
        known ? observer_enter(self, args[0], NULL, RESUMED, (int32_t)offset_of(args[1])) : KEEP;
    return event_end(object, answer, self->disable);
}

static PyObject *
throw(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    enum answer answer =
        known ? observer_enter(self, args[0], NULL, RESUMED, (int32_t)offset_of(args[1])) : KEEP;
    return event_end(object, answer, NULL);
}

static PyObject *
call(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 3)) {
        enum callee callee = native_is_python(args[2]) ? PYTHON_CODE : NATIVE_CODE;
        answer = observer_call(self, args[0], (int32_t)offset_of(args[1]), callee, args[2]);
    }
    return event_end(object, answer, self->disable);
}

static PyObject *
native_return(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 1);
    return event_end(object, known ? observer_native_return(self, args[0]) : KEEP, NULL);
}

static PyObject *
jump(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    enum answer answer = KEEP;
    if (event_known(&self->counters, args, count, 3)) {
        answer = observer_jump(self, args[0], (int32_t)offset_of(args[1]), (int32_t)offset_of(args[2]));
    }
    return event_end(object, answer, self->disable);
}

static PyObject *
line(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    return event_end(object, known ? observer_line(self, args[0], (int32_t)offset_of(args[1])) : KEEP,
                     self->disable);
}

static PyObject *
yield_(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    return event_end(object, known ? observer_leave(self, args[0], "yield", (int32_t)offset_of(args[1])) : KEEP, self->disable);
}

static PyObject *
return_(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 2);
    return event_end(object, known ? observer_leave(self, args[0], "return", (int32_t)offset_of(args[1])) : KEEP, self->disable);
}

static PyObject *
unwind(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)Py_NewRef(object);
    int known = event_known(&self->counters, args, count, 1);
    return event_end(object, known ? observer_leave(self, args[0], NULL, NOWHERE) : KEEP, NULL);
}

/* ---- asked from outside ------------------------------------------------------------------------ */

/* (CPU clock id, code, ns of the running segment, offset of the native call or -1); NULL with an
 * exception. */
static PyObject *
look_at(const struct thread *thread, const struct frame *frame, PyObject *code, int64_t now)
{
    int native = frame->native && frame->call != NULL;
    return Py_BuildValue("(iOLi)", thread->has_clock ? (int)thread->clock : 0, code,
                         (long long)(now - frame->start_ns), native ? (int)frame->call->offset : -1);
}

static PyObject *
look(PyObject *object, PyObject *Py_UNUSED(none))
{
    struct observer *self = (struct observer *)object;
    int64_t now = moment_ns();
#if PY_VERSION_HEX < 0x030C0000
    frame_observe_cover();
#endif
    PyObject *looks = PyList_New(0);
    for (struct thread *thread = threads_first(); thread != NULL && looks != NULL; thread = thread->next) {
        const struct frame *frame = stack_top(thread);
        if (frame == NULL || frame->start_ns == 0 || thread->owner != self->serial || atomic_load(&thread->gone)) {
            continue;
        }
        PyObject *code = Py_XNewRef((PyObject *)frame->function->record.code);
        PyObject *entry = code == NULL ? NULL : look_at(thread, frame, code, now);
        if (code != NULL && (entry == NULL || PyList_Append(looks, entry) < 0)) {
            Py_CLEAR(looks);
        }
        Py_XDECREF(entry);
        Py_XDECREF(code);
    }
    return looks;
}

/* What is known of ``code``, borrowed from it; NULL if nothing. */
static struct function *
known_function(struct observer *self, PyObject *code)
{
    struct record *record = NULL;
    return PyCode_Check(code) && record_get(code, self->serial, &record) == RECORD ? (struct function *)record
                                                                                   : NULL;
}

static PyObject *
arm(PyObject *object, PyObject *code)
{
    struct observer *self = (struct observer *)object;
    struct function *function = known_function(self, code);
    struct thread *thread = function == NULL ? NULL : thread_get(self->serial);
    if (thread != NULL) {
        observer_arm(self, thread, function);
        thread->asked = 0;
        if (thread->raised != NULL) {
            thread_raise(thread);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
released(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct observer *self = (struct observer *)object;
    struct function *function = count < 2 ? NULL : known_function(self, args[0]);
    struct site *site = function == NULL ? NULL : function_site(function, (int32_t)offset_of(args[1]));
    if (site != NULL && !site->nogil) {
        site->nogil = 1;
        segment_recount(self, function, site);
    }
    Py_RETURN_NONE;
}

/* The calling thread's frames begin anew in the child; what ran before was the parent's. */
static void
begin_anew(struct observer *self, struct thread *thread)
{
    int64_t now = moment_ns();
    segment_mark(thread, now);
    for (int at = 0; at < thread->depth; at++) {
        struct frame *frame = &thread->frames[at];
        frame->own_ns = frame->pend_gil_ns = frame->pend_nogil_ns = 0;
        frame->start_ns = now;
    }
    if (thread->depth) {
        observer_name_thread(self, thread, thread->frames[0].function->slot);
        thread->asked = 0;
    }
    else {
        thread->slot = 0;
    }
}

static PyObject *
forked(PyObject *object, PyObject *counters)
{
    struct observer *self = (struct observer *)object;
    threads_forked();
    record_end_asking(); /* whoever was, was the parent's */
    if (counters_hold(&self->counters, counters) < 0) {
        return NULL;
    }
    self->spare = self->counters.slots - 1;
    self->forks++;
    struct thread *thread = thread_mine;
    if (thread != NULL && thread->owner == self->serial) {
        begin_anew(self, thread);
        if (thread->raised != NULL) {
            thread_raise(thread);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* ---- the type ------------------------------------------------------------------------------------ */

static int
init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"counters", "resolve", "site",    "edge",   "thread",
                            "arm",      "on_error", "disable", "window", "native", "lines", NULL};
    struct observer *self = (struct observer *)object;
    PyObject *counters, *resolve, *site, *edge, *thread, *arm, *on_error, *disable, *bounds, *native = Py_None;
    struct window window;
    int lines = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOOO|Op:Observer", names, &counters, &resolve, &site,
                                     &edge, &thread, &arm, &on_error, &disable, &bounds, &native, &lines)
        || window_read(&window, bounds) < 0 || counters_hold(&self->counters, counters) < 0) {
        return -1;
    }
    self->open_ns = window.open_ns;
    self->close_ns = window.close_ns ? window.close_ns : INT64_MAX;
    self->spare = self->counters.slots - 1;
    self->serial = record_serial();
    edges_clear(&self->edges);
    Py_XSETREF(self->resolve, Py_NewRef(resolve));
    Py_XSETREF(self->name_site, Py_NewRef(site));
    Py_XSETREF(self->name_edge, Py_NewRef(edge));
    Py_XSETREF(self->name_thread, Py_NewRef(thread));
    Py_XSETREF(self->arm, arm == Py_None ? NULL : Py_NewRef(arm));
    Py_XSETREF(self->on_error, Py_NewRef(on_error));
    Py_XSETREF(self->disable, Py_NewRef(disable));
    natives_clear(&self->natives);
    self->natives.resolve = native == Py_None ? NULL : Py_NewRef(native);
    self->lines = lines;
    return 0;
}

static int
traverse(PyObject *object, visitproc visit, void *arg)
{
    struct observer *self = (struct observer *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->resolve);
    Py_VISIT(self->name_site);
    Py_VISIT(self->name_edge);
    Py_VISIT(self->name_thread);
    Py_VISIT(self->arm);
    Py_VISIT(self->on_error);
    Py_VISIT(self->disable);
    Py_VISIT(self->natives.resolve);
    return 0;
}

static int
clear(PyObject *object)
{
    struct observer *self = (struct observer *)object;
    Py_CLEAR(self->resolve);
    Py_CLEAR(self->name_site);
    Py_CLEAR(self->name_edge);
    Py_CLEAR(self->name_thread);
    Py_CLEAR(self->arm);
    Py_CLEAR(self->on_error);
    Py_CLEAR(self->disable);
    Py_CLEAR(self->natives.resolve);
    return 0;
}

static void
dealloc(PyObject *object)
{
    struct observer *self = (struct observer *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    counters_release(&self->counters);
    edges_clear(&self->edges);
    natives_clear(&self->natives);
    type->tp_free(object);
    Py_DECREF(type);
}

#define FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, doc}

static PyMethodDef methods[] = {
    FAST("start", start, "PY_START: push, count the call."),
    FAST("resume", resume, "PY_RESUME: push; no call."),
    FAST("throw", throw, "PY_THROW: push; no call."),
    FAST("call", call, "CALL, on armed code."),
    FAST("native_return", native_return, "C_RETURN and C_RAISE, on armed code."),
    FAST("jump", jump, "JUMP, on armed code."),
    FAST("line", line, "LINE, on armed code."),
    FAST("yield_", yield_, "PY_YIELD: pop."),
    FAST("return_", return_, "PY_RETURN: pop."),
    FAST("unwind", unwind, "PY_UNWIND: pop."),
    {"look", look, METH_NOARGS, "What every thread with a frame is doing now."},
    {"arm", arm, METH_O, "Arm code from outside."},
    FAST("released", released, "The native call at this place computes without the GIL."),
    {"forked", forked, METH_O, "In a forked child: other counters, this thread's stack only."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Counts calls and own time by state and site, of everything resolve names."},
    {Py_tp_init, init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec observer_spec = {
    .name = "_core.Observer",
    .basicsize = sizeof(struct observer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int
observer_check(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == dealloc;
}
