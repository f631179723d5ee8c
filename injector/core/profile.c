/* Discover mode on Python 3.11: a C profile function in every thread, whose events are handed to the
 * Observer in the words of sys.monitoring.
 *
 * A profile function is told ``call`` when a function begins and when a generator goes on, ``return``
 * when either ends; which it was is read from the instruction the frame stands on. Not told are
 * back-edges, and calls of Python functions by their caller: the CALL of an armed caller is made up
 * when its callee begins.
 */
#include "backends311.h"
#include "frames311.h"

#if PY_VERSION_HEX < 0x030C0000

#include "observer.h"

static struct observer *observing; /* owned; NULL while not installed */

/* ---- events -------------------------------------------------------------------------------------- */

/* The CALL of the frame that called this one, if it is armed. */
static enum answer
made_up_call(struct observer *self, const running *frame)
{
    const running *caller = frame->previous;
    struct thread *thread = thread_mine;
    struct frame *top = thread == NULL || thread->owner != self->serial ? NULL : stack_top(thread);
    while (caller != NULL && _PyFrame_IsIncomplete((running *)caller)) {
        caller = caller->previous;
    }
    if (caller == NULL || top == NULL || !top->function->armed || (top->native && top->call != NULL)
        || top->function->record.code != caller->f_code) {
        return KEEP;
    }
    Py_ssize_t unit = running_unit(caller);
    return opcode_is_call(running_opcode(caller, unit))
             ? observer_call(self, (PyObject *)caller->f_code, (int32_t)(2 * unit), 0)
             : KEEP;
}

/* A frame begins or goes on. */
static enum answer
on_call(struct observer *self, const running *frame, Py_ssize_t unit)
{
    int opcode = running_opcode(frame, unit);
    int begins = (opcode == RESUME || opcode == RESUME_QUICK)
              && (_Py_OPARG(_PyCode_CODE(frame->f_code)[unit]) & 3) == 0;
    enum answer answer = made_up_call(self, frame);
    return answer == FAILED ? FAILED : observer_enter(self, (PyObject *)frame->f_code, frame->f_globals,
                                                      begins ? ENTRY : RESUMED);
}

/* Whether the Observer has asked for CALL events of this code. */
static int
armed(struct observer *self, PyObject *code)
{
    struct record *record = NULL;
    return record_get(code, self->serial, &record) == RECORD && ((struct function *)record)->armed;
}

static int
on_event(PyObject *Py_UNUSED(none), PyFrameObject *object, int what, PyObject *arg)
{
    struct observer *self = observing;
    const running *frame = object->f_frame;
    PyObject *code = (PyObject *)frame->f_code;
    enum answer answer = KEEP;
    if (self == NULL) {
        return 0;
    }
    Py_INCREF(self);
    Py_ssize_t unit = running_unit(frame);
    int32_t offset = (int32_t)(2 * unit);
    if (what == PyTrace_CALL) {
        answer = on_call(self, frame, unit);
    }
    else if (what == PyTrace_RETURN) {
        const char *at = arg == NULL ? NULL : running_opcode(frame, unit) == YIELD_VALUE ? "yield" : "return";
        answer = observer_leave(self, code, at, offset);
    }
    else if (what == PyTrace_C_CALL && armed(self, code)) {
        answer = observer_call(self, code, offset, 1);
    }
    else if ((what == PyTrace_C_RETURN || what == PyTrace_C_EXCEPTION) && armed(self, code)) {
        answer = observer_native_return(self, code);
    }
    Py_DECREF(self);
    return answer == FAILED ? -1 : 0;
}

/* ---- installing ---------------------------------------------------------------------------------- */

void
profile_cover(void)
{
    PyThreadState *thread = observing == NULL ? NULL : PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_profilefunc == NULL && thread->cframe != NULL
            && _PyEval_SetProfile(thread, on_event, Py_None) < 0) {
            PyErr_Clear(); /* an audit hook objects: that thread is not observed */
        }
    }
}

PyObject *
profile_install(PyObject *Py_UNUSED(module), PyObject *object)
{
    PyThreadState *thread = PyThreadState_Get();
    if (!observer_check(object)) {
        PyErr_Format(PyExc_TypeError, "an Observer of the compiled core is needed, not %.100s",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    if (thread->c_profilefunc != NULL && thread->c_profilefunc != on_event) {
        PyErr_SetString(PyExc_RuntimeError, "another profiler is at work in this thread");
        return NULL;
    }
    Py_XSETREF(observing, (struct observer *)Py_NewRef(object));
    profile_cover();
    Py_RETURN_NONE;
}

PyObject *
profile_uninstall(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_profilefunc == on_event && _PyEval_SetProfile(thread, NULL, NULL) < 0) {
            PyErr_Clear(); /* it stays, and does nothing */
        }
    }
    Py_CLEAR(observing);
    Py_RETURN_NONE;
}

PyObject *
profile_thread(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    int failed = 0;
    if (observing == NULL) {
        PyEval_SetProfile(NULL, NULL);
    }
    else {
        PyEval_SetProfile(on_event, Py_None);
        if (count > 1 && PyFrame_Check(args[0]) && PyUnicode_Check(args[1])
            && PyUnicode_CompareWithASCIIString(args[1], "call") == 0) {
            failed = on_event(NULL, (PyFrameObject *)args[0], PyTrace_CALL, NULL);
        }
    }
    return Py_XNewRef(failed ? NULL : Py_None);
}

#endif
