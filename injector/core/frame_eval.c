/* Python 3.11: PEP 523. Every Python frame is evaluated through `evaluate`, which lets the tracker see
 * it begin and end, and hands on to whatever evaluated frames before.
 *
 * Native calls of a frame are seen by a C profile function that is on while that frame's own code runs,
 * and in no other: we say the frame is listened to. (The interpreter hands the flag for that from frame
 * to frame; `frame_run` takes it away from callees.) It makes the frame's bytecode up to three times
 * slower, so it is used where there is no other way.
 *
 * With PEP 523 a Python call takes a piece of the C stack, which a deep recursion would use up: from
 * DEEP frames on, the hook is taken out until the recursion is back.
 */
#include "frame_eval.h"

#if PY_VERSION_HEX < 0x030C0000

#define DEEP 3000

static PyObject *active; /* the tracker; owned; NULL while none is installed */
static const struct frame_watch *watching;
static _PyFrameEvalFunction before; /* who evaluated frames before; set once hooked in */
static int hooked;                  /* whether `evaluate` is hooked in, perhaps below somebody else */

static PyObject *evaluate(PyThreadState *tstate, running *frame, int throwflag);

/* ---- handing on -------------------------------------------------------------------------------- */

static PyObject *
hand_on_deep(PyThreadState *tstate, running *frame, int throwflag)
{
    PyInterpreterState *interpreter = tstate->interp;
    int unhooked = _PyInterpreterState_GetEvalFrameFunc(interpreter) == evaluate;
    if (unhooked) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, before);
        hooked = 0;
    }
    PyObject *result = before(tstate, frame, throwflag);
    if (unhooked && !hooked && active != NULL
        && _PyInterpreterState_GetEvalFrameFunc(interpreter) == before) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
        hooked = 1;
    }
    return result;
}

PyObject *
frame_hand_on(PyThreadState *tstate, running *frame, int throwflag)
{
    return unlikely(tstate->recursion_limit - tstate->recursion_remaining > DEEP)
             ? hand_on_deep(tstate, frame, throwflag)
             : before(tstate, frame, throwflag);
}

/* ---- listening --------------------------------------------------------------------------------- */

/* Stop, in a profile function or where the frame's flag is cleared too. */
static inline void
leave_alone(PyThreadState *tstate)
{
    tstate->c_profilefunc = NULL;
}

/* The profile function of frames that are listened to. */
static int
listener(PyObject *Py_UNUSED(none), PyFrameObject *object, int what, PyObject *called)
{
    if (what != PyTrace_C_CALL && what != PyTrace_C_RETURN && what != PyTrace_C_EXCEPTION) {
        return 0;
    }
    PyObject *tracker = Py_XNewRef(active);
    const running *frame = object->f_frame;
    int goes_on = tracker != NULL && watching->listens(tracker, (PyObject *)frame->f_code);
    int answer = 0;
    if (goes_on || (tracker != NULL && what != PyTrace_C_CALL)) {
        answer = watching->native(tracker, frame, what, called);
    }
    if (!goes_on) {
        leave_alone(PyThreadState_Get()); /* the interpreter sets the flag by that */
    }
    Py_XDECREF(tracker);
    return answer;
}

/* Whether nobody else's profiler or tracer is at work in the thread. */
static inline int
unwatched(const PyThreadState *tstate)
{
    return tstate->c_tracefunc == NULL
        && (tstate->c_profilefunc == NULL || tstate->c_profilefunc == listener);
}

/* Let the frame that runs go on as it was begun, whatever its callee or itself was. If the target has
 * set a function of its own, now or before, its flag stays. */
static inline void
restore(PyThreadState *tstate, _PyCFrame *outer, Py_tracefunc function, uint8_t was_tracing)
{
    if (unwatched(tstate) && (function == listener || function == NULL)) {
        tstate->c_profilefunc = function;
        outer->use_tracing = function == NULL ? 0 : was_tracing;
    }
}

PyObject *
frame_run(PyThreadState *tstate, running *frame, int throwflag, int listen)
{
    _PyCFrame *outer = tstate->cframe;
    uint8_t was_tracing = outer->use_tracing;
    Py_tracefunc function = tstate->c_profilefunc;
    int caller_listens = was_tracing && function == listener && tstate->c_tracefunc == NULL;
    listen = listen && unwatched(tstate);
    if (likely(!listen && !caller_listens)) {
        PyObject *result = frame_hand_on(tstate, frame, throwflag);
        if (unlikely(tstate->c_profilefunc == listener)) { /* since the frame began */
            restore(tstate, outer, function, was_tracing);
        }
        return result;
    }
    struct thread *thread = thread_mine == NULL ? thread_make() : thread_mine;
    int native = thread == NULL ? 0 : thread->native;
    if (thread != NULL) {
        thread->native = 0;
    }
    if (listen) {
        tstate->c_profilefunc = listener;
    }
    outer->use_tracing = listen ? 255 : 0; /* the new frame takes it over when it begins */
    PyObject *result = frame_hand_on(tstate, frame, throwflag);
    restore(tstate, outer, function, was_tracing);
    if (thread != NULL) {
        thread->native = native;
    }
    return result;
}

void
frame_listen(PyThreadState *tstate)
{
    if (unwatched(tstate)) {
        tstate->c_profilefunc = listener;
        tstate->cframe->use_tracing = 255;
    }
}

/* A callee has ended: what is wanted of the frame that called it may have changed since it began. */
static inline void
attend(PyThreadState *tstate, const running *frame)
{
    if (frame != NULL && active != NULL && watching->listens(active, (PyObject *)frame->f_code)) {
        frame_listen(tstate);
    }
    else if (unlikely(tstate->cframe->use_tracing) && tstate->c_profilefunc == listener
             && tstate->c_tracefunc == NULL) {
        leave_alone(tstate);
        tstate->cframe->use_tracing = 0;
    }
}

/* ---- the hook ---------------------------------------------------------------------------------- */

static PyObject *
evaluate(PyThreadState *tstate, running *frame, int throwflag)
{
    if (unlikely(active == NULL || tstate->tracing)) {
        return frame_hand_on(tstate, frame, throwflag);
    }
    if ((frame->f_code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR))
        && frame->owner != FRAME_OWNED_BY_GENERATOR) {
        return frame_run(tstate, frame, throwflag, 0); /* makes the generator, and runs nothing of it */
    }
    const running *caller = tstate->cframe->current_frame;
    PyObject *result = watching->watch(active, tstate, frame, throwflag);
    attend(tstate, caller);
    return result;
}

PyObject *
frame_tracker(void)
{
    return active;
}

/* ---- installing -------------------------------------------------------------------------------- */

PyObject *
frame_eval_install(PyObject *Py_UNUSED(module), PyObject *tracker)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    const struct frame_watch *watch = frame_delay_watch(tracker);
    watch = watch == NULL ? frame_observe_watch(tracker) : watch;
    if (watch == NULL) {
        PyErr_Format(PyExc_TypeError, "a Delayer or an Observer of the compiled core is needed, not %.100s",
                     Py_TYPE(tracker)->tp_name);
        return NULL;
    }
    Py_XSETREF(active, Py_NewRef(tracker));
    watching = watch;
    if (!hooked) {
        before = _PyInterpreterState_GetEvalFrameFunc(interpreter);
        _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
        hooked = 1;
    }
    Py_RETURN_NONE;
}

PyObject *
frame_eval_uninstall(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    Py_CLEAR(active);
    /* Somebody may have hooked in after us and hands on to us: then we stay, and hand on. */
    if (hooked && _PyInterpreterState_GetEvalFrameFunc(interpreter) == evaluate) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, before);
        hooked = 0;
    }
    Py_RETURN_NONE;
}

#endif
