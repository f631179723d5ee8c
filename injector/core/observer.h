/* Discover mode. The contract is injector/tracker.py's Observer; how time is cut into segments,
 * which state and which site it goes to, is told in the Python twin, injector/observer.py. */
#ifndef SPEEDBUMP_OBSERVER_H
#define SPEEDBUMP_OBSERVER_H

#include "edges.h"
#include "natives.h"
#include "stack.h"

#define SIGNIFICANT_NS 20000 /* tracker.SIGNIFICANT_NS */

/* What is called. Plain native code computes and touches nothing but its arguments, so that no place
 * before, after or between its calls is better than another. Known on 3.11 only. */
enum callee { PYTHON_CODE, PLAIN_CODE, NATIVE_CODE };

/* One place of armed code. Owned by its function. */
struct site {
    struct site *next;
    struct site *callees; /* of calls: the same place as one of each native callable called there */
    int64_t slot;
    int64_t native;      /* of such a one: the slot of the native callable; else 0 */
    int32_t offset;      /* or ENTRY, RESUMED, LINES - line */
    int32_t destination; /* of a back-edge, else -1 */
    int nogil;           /* its native call computes without the GIL */
    uint32_t forks;      /* as of how many forks is */
    int64_t native_ns;   /* CPU time inside its native calls that has been counted as gil */
    int64_t span_ns;     /* of back-edges and native calls: time between visits, summed, */
    int64_t visits;      /* over so many */
    int64_t last_ns;     /* of native calls: the last visit */
    int64_t long_calls;  /* native calls that were of weight */
    int python;          /* a call that was seen to call Python: never given up */
};

/* What is known of one code object. */
struct function {
    struct record record;
    int64_t slot;
    int64_t progress;    /* slot of the progress point; 0 it is not */
    int armed;           /* whether its calls and back-edges are watched, */
    int armed_first;     /* or are to be from the start */
    int64_t activations; /* calls so far, inside the window or not, */
    int64_t own_ns;      /* and own time; no longer kept once armed */
    int64_t caller;      /* slot of the function that called last, */
    int64_t edge;        /* and where its calls of this one are counted */
    struct site *sites;  /* all of them */
    struct site *entry, *resume;
    Py_ssize_t units;    /* code units that by_unit covers */
    struct site **by_unit; /* by offset / 2; owned */
    Py_ssize_t lines;    /* lines from the first of the code on that by_line covers */
    struct site **by_line; /* owned */
};

struct observer {
    PyObject_HEAD
    uint64_t serial;
    struct counters counters;
    int64_t spare;      /* slot for what has none: the last one, ledger.SPARE */
    int64_t open_ns, close_ns; /* the window; never 0 for close */
    uint32_t forks;     /* how often this process is a child */
    struct edges edges;
    struct natives natives; /* their numbers are slots */
    int lines;          /* whether lines are told */
    PyObject *resolve, *name_site, *name_edge, *name_thread, *arm;
    PyObject *on_error, *disable;
};

static inline uint64_t *
counters_of(struct observer *self, int64_t slot)
{
    return self->counters.base + WIDTH * slot;
}

static inline int
counting(const struct observer *self, int64_t now)
{
    return self->open_ns <= now && now < self->close_ns;
}

/* ---- function.c: code objects and their sites ------------------------------------------------- */

/* From an ObserveSpec tuple, one reference; NULL with an exception. */
struct function *function_new(const struct observer *self, PyObject *code, PyObject *spec);

/* The site at an offset (or ENTRY, RESUMED, LINES - line) if it has been named, else NULL. */
struct site *function_site(const struct function *function, int32_t offset);

/* Add a site. If there is one at the offset, that. NULL without memory (no exception). */
struct site *function_add(struct function *function, int32_t offset, int32_t destination, int64_t slot);

/* ---- naming.c: asking Python for slots ---------------------------------------------------------- */

/* Each calls back into Python, where the GIL may be released. What is raised there is dealt with:
 * the injector's own is reported and answered with the spare slot; the target's waits in ``thread``
 * until the end of the event. */
/* What ``code`` is: RECORD with a new reference, NOTHING, or UNKNOWN when an exception of the
 * target's came first. ``globals`` may be NULL. */
struct function *observer_meet(struct observer *self, struct thread *thread, PyObject *code,
                               PyObject *globals, enum known *known);

/* The site at ``offset`` of a function that somebody else keeps alive; NULL without memory. */
struct site *observer_site(struct observer *self, struct thread *thread, struct function *function,
                           const char *at, int32_t offset, int32_t destination);

/* A call site as a place of the native callable that is called there, NULL if that is no target (or
 * there is no memory). */
struct site *observer_callee(struct observer *self, struct thread *thread, struct function *function,
                             struct site *call, PyObject *called);

/* Where calls from one slot to another are counted. */
int64_t observer_edge(struct observer *self, struct thread *thread, int64_t caller, int64_t callee);

/* Find the thread's slot; ``function`` is the slot of its first function. */
void observer_name_thread(struct observer *self, struct thread *thread, int64_t function);

/* Have the code's calls and back-edges watched, if they are not yet. */
void observer_arm(struct observer *self, struct thread *thread, struct function *function);

/* ---- segment.c: own time ------------------------------------------------------------------------- */

/* End the running segment of ``frame`` at ``now``; returns its length. May arm the function. */
int64_t segment_close(struct observer *self, struct thread *thread, struct frame *frame, int64_t now);

/* Its native call is known to compute without the GIL: what it was counted as before is moved. */
void segment_recount(struct observer *self, const struct function *function, struct site *site);

/* Give the CPU time that has gathered in ``frame`` to ``site``, which may be NULL. */
void segment_charge(struct observer *self, struct frame *frame, const struct site *site, int64_t now);

/* Read the CPU clock: from ``now`` on, CPU time is measured against this. */
static inline void
segment_mark(struct thread *thread, int64_t now)
{
    thread->seen_cpu_ns = cpu_ns();
    thread->seen_wall_ns = now;
}

/* ---- density.c: what is too dense to be watched --------------------------------------------------- */

/* At a visit: whether a call, hardly ever of weight, is given up. ``site`` may be NULL. */
int density_gives_up_call(struct observer *self, struct site *site, int native, int64_t now);

/* At a visit, ``wall`` after what came before: whether a back-edge is. What it was charged goes to one
 * around it. */
int density_gives_up_edge(struct observer *self, struct function *function, struct site *site, int64_t wall);

/* ---- events.c: what the backends call ---------------------------------------------------------- */

/* ``offset``: where it goes on, -1 where that is not told. */
enum answer observer_enter(struct observer *self, PyObject *code, PyObject *globals, enum place place,
                           int32_t offset);
enum answer observer_leave(struct observer *self, PyObject *code, const char *at, int32_t offset);
/* ``called`` is native code, or NULL where that is not told. */
enum answer observer_call(struct observer *self, PyObject *code, int32_t offset, enum callee callee,
                          PyObject *called);
enum answer observer_line(struct observer *self, PyObject *code, int32_t line);
enum answer observer_native_return(struct observer *self, PyObject *code);
enum answer observer_jump(struct observer *self, PyObject *code, int32_t offset, int32_t destination);

/* ---- observer.c: the type ------------------------------------------------------------------------ */

int observer_check(PyObject *object);

extern PyType_Spec observer_spec;

#endif
