/* Delay mode on Python 3.11: PEP 523. Every Python frame is evaluated through `evaluate`, which
 * delays and hands on to whatever evaluated frames before.
 *
 * entry, resume, return and yield are before and after the evaluation. A call site of a dosed frame
 * is visited when a Python callee of it begins and the frame stands there. Whether a site calls
 * native code instead is not known beforehand: until Python callees have been seen at all of them,
 * the frame, and only it, is run with a C profile function, which is told of native calls. (The
 * interpreter hands the flag for that from frame to frame; `run` takes it away from callees.) That
 * slows the frame's own bytecode down, so it ends as soon as it is not needed. The calls that native
 * code makes belong to the site of the native call and are no visits.
 *
 * With PEP 523 a Python call takes a piece of the C stack, which a deep recursion would use up: from
 * DEEP frames on, the hook is taken out until the recursion is back.
 */
#include "backends311.h"
#include "frames311.h"

#if PY_VERSION_HEX < 0x030C0000

#include "target.h"

#define DEEP 3000

static struct delayer *active; /* owned; NULL while not installed */
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

static inline PyObject *
hand_on(PyThreadState *tstate, running *frame, int throwflag)
{
    return unlikely(tstate->recursion_limit - tstate->recursion_remaining > DEEP)
             ? hand_on_deep(tstate, frame, throwflag)
             : before(tstate, frame, throwflag);
}

/* ---- native calls of one frame --------------------------------------------------------------- */

/* The profile function of frames whose native calls are sites. */
static int
on_native_call(PyObject *Py_UNUSED(none), PyFrameObject *object, int what, PyObject *Py_UNUSED(arg))
{
    struct delayer *delayer = active;
    struct thread *thread = delayer == NULL ? NULL : thread_get(delayer->debtors);
    if (thread == NULL) {
        return 0;
    }
    if (what == PyTrace_C_CALL) {
        running *frame = object->f_frame;
        Py_ssize_t unit = running_unit(frame);
        delayer_site(delayer, (PyObject *)frame->f_code, 2 * unit);
        thread->native = 1;
    }
    else if (what == PyTrace_C_RETURN || what == PyTrace_C_EXCEPTION) {
        thread->native = 0;
    }
    return 0;
}

/* Evaluate a frame, with its native calls told to on_native_call or not. */
static PyObject *
run(PyThreadState *tstate, running *frame, int throwflag, int listen)
{
    _PyCFrame *outer = tstate->cframe;
    uint8_t was_tracing = outer->use_tracing;
    Py_tracefunc function = tstate->c_profilefunc;
    int caller_listens = was_tracing && function == on_native_call;
    listen = listen && tstate->c_tracefunc == NULL && (function == NULL || function == on_native_call);
    if (likely(!listen && !caller_listens)) {
        return hand_on(tstate, frame, throwflag);
    }
    struct thread *thread = thread_mine == NULL ? thread_make() : thread_mine;
    int native = thread == NULL ? 0 : thread->native;
    if (thread != NULL) {
        thread->native = 0;
    }
    if (listen) {
        tstate->c_profilefunc = on_native_call;
    }
    outer->use_tracing = listen ? 255 : 0; /* the new frame takes it over when it begins */
    PyObject *result = hand_on(tstate, frame, throwflag);
    if (tstate->c_profilefunc == on_native_call && tstate->c_tracefunc == NULL) {
        tstate->c_profilefunc = function;
        outer->use_tracing = was_tracing;
    } /* else the target has set a function of its own meanwhile: its flag stays */
    if (thread != NULL) {
        thread->native = native;
    }
    return result;
}

/* ---- visits ------------------------------------------------------------------------------------ */

/* A Python function begins: the call site of its caller, if it is one. */
static void
visit_caller(struct delayer *delayer, PyThreadState *tstate)
{
    running *caller = tstate->cframe->current_frame;
    struct target *target = NULL;
    if (caller == NULL || (thread_mine != NULL && thread_mine->native)
        || record_get((PyObject *)caller->f_code, delayer->serial, (struct record **)&target) != RECORD
        || target->units == 0) {
        return;
    }
    Py_ssize_t offset = 2 * running_unit(caller);
    struct visit *site = target_site(target, offset);
    if (site != NULL && site->is_call) {
        if (site->is_open) {
            site->is_open = 0;
            target->open_calls--;
        }
        delayer_site(delayer, (PyObject *)caller->f_code, offset);
    }
}

/* The end of a frame that did not end with an exception: a return or a yield. */
static void
visit_end(struct delayer *delayer, running *frame, PyObject *code)
{
    Py_ssize_t unit = running_unit(frame);
    int opcode = running_opcode(frame, unit);
    if (opcode == RETURN_VALUE || opcode == YIELD_VALUE) {
        delayer_site(delayer, code, 2 * unit);
    }
}

/* Evaluate a frame of a target. */
static PyObject *
run_target(struct delayer *delayer, struct target *target, PyThreadState *tstate, running *frame,
           int throwflag)
{
    PyObject *code = Py_NewRef((PyObject *)frame->f_code);
    PyObject *result;
    if (likely(target->units == 0 && !target->waits)) {
        result = run(tstate, frame, throwflag, 0);
    }
    else {
        target->record.references++;
        Py_INCREF(delayer);
        result = run(tstate, frame, throwflag, target->open_calls > 0);
        if (delayer == active) {
            delayer_end(delayer, target);
        }
        if (result != NULL && delayer == active) {
            visit_end(delayer, frame, code);
        }
        Py_DECREF(delayer);
        record_drop(&target->record);
    }
    Py_DECREF(code);
    return result;
}

/* A call. Code that is new is asked about in Python, which no profiler of the target's may see. */
static enum answer
start(struct delayer *delayer, PyThreadState *tstate, running *frame, enum known known)
{
    PyObject *code = (PyObject *)frame->f_code;
    _PyCFrame *outer = tstate->cframe;
    uint8_t was_tracing = outer->use_tracing;
    if (unlikely(known == UNKNOWN)) {
        PyThreadState_EnterTracing(tstate);
    }
    enum answer answer = delayer_start(delayer, code, frame->f_globals);
    if (unlikely(known == UNKNOWN)) {
        PyThreadState_LeaveTracing(tstate);
        outer->use_tracing = was_tracing;
    }
    return answer;
}

/* A generator goes on, perhaps with an exception that is thrown in. */
static void
resume(struct delayer *delayer, PyObject *code)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    delayer_resume(delayer, code);
    PyErr_Restore(type, error, traceback);
}

/* The event with which a frame begins. FAILED with an exception that is the target's; else
 * ``*target`` is set if it is one. */
static enum answer
begin(struct delayer *delayer, PyThreadState *tstate, running *frame, int throwflag, struct target **target)
{
    PyObject *code = (PyObject *)frame->f_code;
    enum known known = record_get(code, delayer->serial, (struct record **)target);
    enum answer answer = KEEP;
    if (throwflag || (frame->owner == FRAME_OWNED_BY_GENERATOR
                      && running_opcode(frame, running_unit(frame)) != RETURN_GENERATOR)) {
        resume(delayer, code);
    }
    else {
        answer = start(delayer, tstate, frame, known);
    }
    if (record_get(code, delayer->serial, (struct record **)target) != RECORD) {
        *target = NULL;
    }
    return answer;
}

/* ---- the hook ------------------------------------------------------------------------------------ */

/* A frame when something is to be done: it may be a target, or its caller one with call sites. */
static PyObject *
evaluate_watched(struct delayer *delayer, PyThreadState *tstate, running *frame, int throwflag)
{
    struct target *target = NULL;
    PyObject *result = NULL;
    Py_INCREF(delayer);
    if (delayer->has_sites && !throwflag && frame->owner != FRAME_OWNED_BY_GENERATOR) {
        visit_caller(delayer, tstate);
    }
    if (begin(delayer, tstate, frame, throwflag, &target) == FAILED) {
        result = hand_on(tstate, frame, 1); /* unwinds the frame */
    }
    else if (target != NULL) {
        result = run_target(delayer, target, tstate, frame, throwflag);
    }
    else {
        result = run(tstate, frame, throwflag, 0);
    }
    Py_DECREF(delayer);
    return result;
}

static PyObject *
evaluate(PyThreadState *tstate, running *frame, int throwflag)
{
    struct delayer *delayer = active;
    struct record *record;
    PyCodeObject *code = frame->f_code;
    if (unlikely(delayer == NULL || tstate->tracing)) {
        return hand_on(tstate, frame, throwflag);
    }
    if ((code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR))
        && frame->owner != FRAME_OWNED_BY_GENERATOR) {
        return run(tstate, frame, throwflag, 0); /* makes the generator, and runs nothing of it */
    }
    if (likely(!delayer->has_sites && record_get((PyObject *)code, delayer->serial, &record) == NOTHING)) {
        return hand_on(tstate, frame, throwflag);
    }
    return evaluate_watched(delayer, tstate, frame, throwflag);
}

/* ---- installing ---------------------------------------------------------------------------------- */

PyObject *
frame_eval_install(PyObject *Py_UNUSED(module), PyObject *object)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (!delayer_check(object)) {
        PyErr_Format(PyExc_TypeError, "a Delayer of the compiled core is needed, not %.100s",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    Py_XSETREF(active, (struct delayer *)Py_NewRef(object));
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
