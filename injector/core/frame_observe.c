/* Discover mode on Python 3.11: the frames that frame_eval.c brings, handed to the Observer in the
 * words of sys.monitoring.
 *
 * Code is listened to once it is armed. Calls of Python functions are not told to their caller: the
 * CALL of an armed caller is made up when its callee begins. Not told at all are back-edges.
 */
#include "frame_eval.h"

#if PY_VERSION_HEX < 0x030C0000

#include "observer.h"

/* Whether the Observer has asked for the CALL events of this code. */
static int
armed(PyObject *tracker, PyObject *code)
{
    struct record *record = NULL;
    return record_get(code, ((struct observer *)tracker)->serial, &record) == RECORD
        && ((struct function *)record)->armed;
}

/* ---- plain native code ------------------------------------------------------------------------- */

static int
is_one_of(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

static int
is_plain_function(const char *module, const char *name)
{
    static const char *const modules[] = {"math", "cmath", "_operator", "_heapq", "_bisect", "_struct", NULL};
    static const char *const builtins[] = {"abs", "all", "any", "ascii", "bin", "callable", "chr", "divmod",
                                           "format", "hash", "hex", "id", "isinstance", "issubclass", "iter",
                                           "len", "max", "min", "oct", "ord", "pow", "repr", "round",
                                           "sorted", "sum", NULL};
    static const char *const clocks[] = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
                                         "process_time", "process_time_ns", "thread_time",
                                         "thread_time_ns", "time", "time_ns", NULL};
    return is_one_of(module, modules) || (strcmp(module, "builtins") == 0 && is_one_of(name, builtins))
        || (strcmp(module, "time") == 0 && is_one_of(name, clocks));
}

/* Whether a native function is plain code: see enum callee. */
static int
is_plain(PyObject *called)
{
    PyObject *self = PyCFunction_Check(called) ? PyCFunction_GET_SELF(called) : NULL;
    if (self == NULL) {
        return 0;
    }
    if (PyModule_Check(self)) {
        const char *module = PyModule_GetName(self);
        if (module == NULL) {
            PyErr_Clear();
            return 0;
        }
        return is_plain_function(module, ((PyCFunctionObject *)called)->m_ml->ml_name);
    }
    return PyList_CheckExact(self) || PyDict_CheckExact(self) || PyUnicode_CheckExact(self)
        || PyTuple_CheckExact(self) || PyAnySet_CheckExact(self) || PyBytes_CheckExact(self)
        || PyByteArray_CheckExact(self) || PyLong_CheckExact(self) || PyFloat_CheckExact(self)
        || PyComplex_CheckExact(self) || PyBool_Check(self);
}

/* ---- events ------------------------------------------------------------------------------------ */

/* A native call of an armed frame. */
static int
native(PyObject *tracker, const running *frame, int what, PyObject *called)
{
    struct observer *self = (struct observer *)tracker;
    PyObject *code = (PyObject *)frame->f_code;
    enum answer answer = what != PyTrace_C_CALL
                           ? observer_native_return(self, code)
                           : observer_call(self, code, (int32_t)(2 * running_unit(frame)),
                                           is_plain(called) ? PLAIN_CODE : NATIVE_CODE, called);
    return answer == FAILED ? -1 : 0;
}

/* The CALL of the frame that called the one that begins now, if it is armed. */
static enum answer
made_up_call(struct observer *self, const running *caller)
{
    struct thread *thread = thread_mine;
    struct frame *top = thread == NULL || thread->owner != self->serial ? NULL : stack_top(thread);
    if (caller == NULL || top == NULL || !top->function->armed || (top->native && top->call != NULL)
        || top->function->record.code != caller->f_code) {
        return KEEP;
    }
    Py_ssize_t unit = running_unit(caller);
    return opcode_is_call(running_opcode(caller, unit))
             ? observer_call(self, (PyObject *)caller->f_code, (int32_t)(2 * unit), PYTHON_CODE, NULL)
             : KEEP;
}

/* An exception of the target's that is on its way while we are told of a frame. */
struct passing {
    PyObject *type, *error, *traceback;
};

/* Send it on, unless another has come up meanwhile: that takes its place. */
static void
pass_on(struct passing *passing, enum answer answer)
{
    if (answer == FAILED) {
        Py_XDECREF(passing->type);
        Py_XDECREF(passing->error);
        Py_XDECREF(passing->traceback);
    }
    else {
        PyErr_Restore(passing->type, passing->error, passing->traceback);
    }
}

/* A frame begins or goes on, perhaps with an exception that is thrown in. */
static enum answer
begin(struct observer *self, PyThreadState *tstate, running *frame, int throwflag)
{
    struct passing thrown;
    PyErr_Fetch(&thrown.type, &thrown.error, &thrown.traceback);
    enum answer answer = made_up_call(self, tstate->cframe->current_frame);
    if (answer != FAILED) {
        answer = observer_enter(self, (PyObject *)frame->f_code, frame->f_globals,
                                frame_resumes(frame, throwflag) ? RESUMED : ENTRY, -1);
    }
    pass_on(&thrown, answer);
    return answer;
}

/* It has ended, with ``result`` or an exception. Returns what it ends with. */
static PyObject *
end(struct observer *self, const running *frame, PyObject *code, PyObject *result)
{
    Py_ssize_t unit = result == NULL ? 0 : running_unit(frame);
    const char *at = result == NULL ? NULL : running_opcode(frame, unit) == YIELD_VALUE ? "yield" : "return";
    struct passing leaving;
    PyErr_Fetch(&leaving.type, &leaving.error, &leaving.traceback);
    enum answer answer = observer_leave(self, code, at, (int32_t)(2 * unit));
    if (answer == FAILED) {
        Py_CLEAR(result);
    }
    pass_on(&leaving, answer);
    return result;
}

/* ---- watching ---------------------------------------------------------------------------------- */

static PyObject *
watch(PyObject *tracker, PyThreadState *tstate, running *frame, int throwflag)
{
    struct observer *self = (struct observer *)tracker;
    PyObject *code = Py_NewRef((PyObject *)frame->f_code);
    Py_INCREF(self);
    uint8_t was_tracing = frame_hide(tstate);
    enum answer answer = begin(self, tstate, frame, throwflag);
    frame_show(tstate, was_tracing);
    PyObject *result = answer == FAILED ? frame_hand_on(tstate, frame, 1) /* unwinds the frame */
                                        : frame_run(tstate, frame, throwflag, armed(tracker, code));
    if (answer == KEEP && tracker == frame_tracker()) {
        was_tracing = frame_hide(tstate);
        result = end(self, frame, code, result);
        frame_show(tstate, was_tracing);
    }
    Py_DECREF(self);
    Py_DECREF(code);
    return result;
}

void
frame_observe_cover(void)
{
    PyObject *tracker = frame_tracker();
    if (tracker == NULL || frame_observe_watch(tracker) == NULL) {
        return;
    }
    PyThreadState *tstate = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; tstate != NULL; tstate = PyThreadState_Next(tstate)) {
        const running *frame = tstate->tracing || tstate->cframe == NULL ? NULL : tstate->cframe->current_frame;
        if (frame != NULL && armed(tracker, (PyObject *)frame->f_code)) {
            frame_listen(tstate);
        }
    }
}

const struct frame_watch *
frame_observe_watch(PyObject *tracker)
{
    static const struct frame_watch it = {watch, armed, native};
    return observer_check(tracker) ? &it : NULL;
}

#endif
