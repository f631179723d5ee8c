/* What frame_eval.c offers to those that watch frames on 3.11: frame_delay.c and frame_observe.c. */
#ifndef SPEEDBUMP_FRAME_EVAL_H
#define SPEEDBUMP_FRAME_EVAL_H

#include "backends311.h"
#include "frames311.h"

#if PY_VERSION_HEX < 0x030C0000

/* Evaluates any frame but one that only makes a generator, for the tracker that is installed. */
typedef PyObject *(*frame_watcher)(PyObject *tracker, PyThreadState *tstate, running *frame, int throwflag);

/* Who watches for a tracker: evaluates its frames; says whether the native calls of code are to be told
 * by now; is told of them (as a profile function; 0, or -1 with an exception of the target's). */
struct frame_watch {
    frame_watcher watch;
    int (*listens)(PyObject *tracker, PyObject *code);
    int (*native)(PyObject *tracker, const running *frame, int what, PyObject *called);
};

/* NULL if the tracker is not theirs. */
const struct frame_watch *frame_delay_watch(PyObject *tracker);
const struct frame_watch *frame_observe_watch(PyObject *tracker);

/* The tracker that is installed, borrowed; NULL if none is. */
PyObject *frame_tracker(void);

/* Evaluate a frame. A new reference; NULL with an exception. */
PyObject *frame_hand_on(PyThreadState *tstate, running *frame, int throwflag);

/* The same, with its native calls told or not. */
PyObject *frame_run(PyThreadState *tstate, running *frame, int throwflag, int listen);

/* Tell the native calls of the frame that runs in a thread from now on, unless a profiler of the target's
 * is at work there. */
void frame_listen(PyThreadState *tstate);

/* Whether a frame goes on instead of beginning. */
static inline int
frame_resumes(const running *frame, int throwflag)
{
    return throwflag || (frame->owner == FRAME_OWNED_BY_GENERATOR
                         && running_opcode(frame, running_unit(frame)) != RETURN_GENERATOR);
}

/* Between these two, Python code that we call is hidden from profilers, the target's and our own. */
static inline uint8_t
frame_hide(PyThreadState *tstate)
{
    uint8_t was_tracing = tstate->cframe->use_tracing;
    PyThreadState_EnterTracing(tstate);
    return was_tracing;
}

static inline void
frame_show(PyThreadState *tstate, uint8_t was_tracing)
{
    PyThreadState_LeaveTracing(tstate);
    tstate->cframe->use_tracing = was_tracing;
}

#endif
#endif
