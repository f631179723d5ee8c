/* Delay mode on Python 3.11: visits of sites, seen from the frames that frame_eval.c brings.
 *
 * entry, resume, return and yield are before and after the evaluation. A call site of a dosed frame
 * is visited when a Python callee of it begins and the frame stands there. Whether a site calls
 * native code instead is not known beforehand: until Python callees have been seen at all of them,
 * the frame is listened to; so it is where native callables are targets. The calls that native code
 * makes belong to the site of the native call and are no visits.
 */
#include "frame_eval.h"

#if PY_VERSION_HEX < 0x030C0000

#include "target.h"

/* ---- visits ------------------------------------------------------------------------------------ */

/* Whether code is delayed at sites of which some may be native calls. */
static int
listens(PyObject *tracker, PyObject *code)
{
    struct delayer *delayer = (struct delayer *)tracker;
    struct target *target = NULL;
    if (delayer->everywhere) {
        return 1;
    }
    return delayer->with_sites && record_get(code, delayer->serial, (struct record **)&target) == RECORD
        && (target->open_calls > 0 || target->has_natives) && target->is_delayed;
}

/* A native call of such a frame. */
static int
native(PyObject *tracker, const running *frame, int what, PyObject *called)
{
    struct delayer *delayer = (struct delayer *)tracker;
    struct thread *thread = thread_get(delayer->debtors);
    if (thread == NULL) {
        return 0;
    }
    if (what == PyTrace_C_CALL) {
        delayer_call(delayer, (PyObject *)frame->f_code, 2 * running_unit(frame), called, 0);
    }
    thread->native = what == PyTrace_C_CALL;
    return 0;
}

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
        if (site->is_open && !target->has_natives) {
            site->is_open = 0;
            target->open_calls--;
        }
        delayer_site(delayer, (PyObject *)caller->f_code, offset, 0);
    }
}

/* The end of a frame that did not end with an exception: a return or a yield. */
static void
visit_end(struct delayer *delayer, running *frame, PyObject *code)
{
    Py_ssize_t unit = running_unit(frame);
    int opcode = running_opcode(frame, unit);
    if (opcode == RETURN_VALUE || opcode == YIELD_VALUE) {
        delayer_site(delayer, code, 2 * unit, 0);
    }
}

/* Evaluate a frame of a target. */
static PyObject *
run_target(struct delayer *delayer, struct target *target, PyThreadState *tstate, running *frame,
           int throwflag)
{
    PyObject *code = Py_NewRef((PyObject *)frame->f_code);
    PyObject *result;
    if (likely((target->units == 0 && !target->waits) || !target->is_delayed)) {
        result = frame_run(tstate, frame, throwflag, delayer->everywhere);
    }
    else {
        target->record.references++;
        Py_INCREF(delayer);
        result = frame_run(tstate, frame, throwflag, listens((PyObject *)delayer, code));
        if ((PyObject *)delayer == frame_tracker()) {
            delayer_end(delayer, target);
        }
        if (result != NULL && (PyObject *)delayer == frame_tracker()) {
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
    if (likely(known != UNKNOWN)) {
        return delayer_start(delayer, code, frame->f_globals);
    }
    uint8_t was_tracing = frame_hide(tstate);
    enum answer answer = delayer_start(delayer, code, frame->f_globals);
    frame_show(tstate, was_tracing);
    return answer;
}

/* A generator goes on, perhaps with an exception that is thrown in. */
static void
resume(struct delayer *delayer, PyObject *code)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    delayer_resume(delayer, code, 0);
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
    if (frame_resumes(frame, throwflag)) {
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

/* ---- watching ---------------------------------------------------------------------------------- */

/* A frame when something is to be done: it may be a target, or its caller one with call sites. */
static PyObject *
watch_target(struct delayer *delayer, PyThreadState *tstate, running *frame, int throwflag)
{
    struct target *target = NULL;
    PyObject *result = NULL;
    Py_INCREF(delayer);
    if (delayer->with_sites && !throwflag && frame->owner != FRAME_OWNED_BY_GENERATOR) {
        visit_caller(delayer, tstate);
    }
    if (begin(delayer, tstate, frame, throwflag, &target) == FAILED) {
        result = frame_hand_on(tstate, frame, 1); /* unwinds the frame */
    }
    else if (target != NULL) {
        result = run_target(delayer, target, tstate, frame, throwflag);
    }
    else {
        result = frame_run(tstate, frame, throwflag, delayer->everywhere);
    }
    Py_DECREF(delayer);
    return result;
}

static PyObject *
watch(PyObject *tracker, PyThreadState *tstate, running *frame, int throwflag)
{
    struct delayer *delayer = (struct delayer *)tracker;
    struct target *target = NULL;
    if (likely(!delayer->with_sites && !delayer->everywhere && !tstate->cframe->use_tracing)) {
        enum known known =
            record_get((PyObject *)frame->f_code, delayer->serial, (struct record **)&target);
        if (known == NOTHING || (known == RECORD && !target->is_delayed && !target->progress)) {
            return frame_hand_on(tstate, frame, throwflag);
        }
    }
    return watch_target(delayer, tstate, frame, throwflag);
}

const struct frame_watch *
frame_delay_watch(PyObject *tracker)
{
    static const struct frame_watch it = {watch, listens, native};
    return delayer_check(tracker) ? &it : NULL;
}

#endif
