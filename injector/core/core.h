/* The compiled half of the injector: what its files share.
 *
 * The idea: the callbacks of sys.monitoring run once per event of the target, so they are the
 * injector's whole cost. Each does its work in a few nanoseconds: one lookup in the code object's
 * own extra slot, one in thread-local storage, a few additions into the ledger's mapped memory.
 *
 * Invariants
 *   - Everything here runs with the GIL held, except the spinning and sleeping in spin.c and the
 *     end-of-thread hook in thread.c, which sets one atomic flag. Builds without GIL are refused.
 *   - Whatever may run Python code or release the GIL may let another thread in: pointers kept
 *     across such a call are counted (struct record) or belong to this thread (struct thread).
 *   - Times are nanoseconds. Clock: CLOCK_MONOTONIC, the same as time.monotonic_ns().
 *   - Functions that can fail return -1 or NULL with an exception set, 0 or a value otherwise.
 *     An exception of ours never reaches the target: see core_failed.
 *   - One process, one interpreter: what is static is shared by all trackers of the process.
 */
#ifndef SPEEDBUMP_CORE_H
#define SPEEDBUMP_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#if PY_VERSION_HEX < 0x030B0000
#error "the injector needs Python 3.11 or later"
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* How time is spent: the numbers of the states in every interface, and the order of counters. */
enum state { GIL = 0, NOGIL = 1, WAIT = 2, STATES = 3 };

/* What a callback answers. DISABLE becomes what the tracker was given as ``disable``. */
enum answer { FAILED = -1, KEEP = 0, DISABLE = 1 };

/* ---- clocks ------------------------------------------------------------------------------- */

static inline int64_t
clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What tests make of the clocks: with ``is_set`` they say this. */
struct test_clock {
    int is_set;
    int64_t wall_ns, cpu_ns;
};

extern struct test_clock test_clock; /* module.c */

/* Monotonic time. Some 20 ns. */
static inline int64_t
now_ns(void)
{
    return unlikely(test_clock.is_set) ? test_clock.wall_ns : clock_ns(CLOCK_MONOTONIC);
}

#if defined(__x86_64__) && defined(__linux__)
#define TICKS
#include <x86intrin.h>

/* The processor's counter. */
static inline uint64_t
ticks_read(void)
{
    return __rdtsc();
}
#endif

/* clock.c: between two looks at the clock. ``trusted`` 0: not in use. Under the GIL. */
struct ticks {
    uint64_t set;     /* the counter when it was set, */
    int64_t set_ns;   /* by a clock that said this */
    uint64_t trusted; /* for so many ticks */
    uint64_t ns_32;   /* a tick in ns, times 2**32 */
};

extern struct ticks ticks;

void ticks_init(void);

/* Read the clock, and set the counter by it. */
int64_t ticks_set(void);

/* Monotonic time for events, which come by the million: some 10 ns. GIL held. */
static inline int64_t
moment_ns(void)
{
#ifdef TICKS
    uint64_t passed = ticks_read() - ticks.set;
    if (likely(passed < ticks.trusted)) {
        return ticks.set_ns + (int64_t)((passed * ticks.ns_32) >> 32);
    }
    return ticks_set();
#else
    return now_ns();
#endif
}

/* CPU time of this thread. A system call: 100-300 ns, so only for stretches that are worth it. */
static inline int64_t
cpu_ns(void)
{
    return unlikely(test_clock.is_set) ? test_clock.cpu_ns : clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- window.c: when to count --------------------------------------------------------------- */

struct window {
    int64_t open_ns;  /* monotonic; 0 = open from the start */
    int64_t close_ns; /* monotonic; 0 = never closes */
};

/* Read a (open_ns, close_ns) tuple. */
int window_read(struct window *window, PyObject *tuple);

/* Whether the window is open at this moment; for windows that have a bound. */
int window_look(struct window *window);

static inline int
window_is_open(struct window *window)
{
    return likely((window->open_ns | window->close_ns) == 0) || window_look(window);
}

/* ---- counters.c: the ledger's memory ------------------------------------------------------- */

#define WIDTH 8 /* counters per slot */

struct counters {
    Py_buffer view; /* owned while view.obj is set */
    uint64_t *base; /* slot i is base[WIDTH * i ...] */
    int64_t slots;
};

/* Take hold of a writable memoryview of unsigned 64-bit integers; lets go of the one before. */
int counters_hold(struct counters *counters, PyObject *view);
void counters_release(struct counters *counters);

/* What of the process itself is in slot 0; see ledger.COUNTERS. */
enum { EPOCH = 3, WANTED, TAKEN, SWITCH, EAR };

/* Let the ear have the GIL until it has followed the switch that it was woken for. */
void counters_give_way(const struct counters *counters);

/* Be the ear until the pipe is written to, then 1; 0 if nobody is left to write: that counts as a
   switch, as nobody else can say so. It is said before the GIL is asked for. */
int counters_listen(const struct counters *counters, int pipe);

/* Whether there is one. */
static inline int
counters_switching(const struct counters *counters)
{
    return counters->base[SWITCH] > counters->base[EPOCH];
}

/* The slot number in ``number``, 0 where it is none or out of range; -1 if it is no number. */
int64_t counters_slot(const struct counters *counters, PyObject *number);

/* ---- events ---------------------------------------------------------------------------------- */

/* How every method that sys.monitoring calls begins and ends. It holds a reference to its object
 * meanwhile: another thread may drop the last one while it calls into Python or spends a delay. */

/* Whether there is a code object and what else is ``wanted``. A tracker that was never filled
 * counts nothing. */
static inline int
event_known(const struct counters *counters, PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted)
{
    return likely(count >= wanted && counters->base != NULL && PyCode_Check(args[0]));
}

/* Lets go of ``self``; a new reference to the result, NULL with an exception. ``disable`` is NULL
 * where the event cannot be switched off. */
static inline PyObject *
event_end(PyObject *self, enum answer answer, PyObject *disable)
{
    PyObject *result = NULL;
    if (likely(answer == KEEP) || (answer == DISABLE && disable == NULL)) {
        result = Py_NewRef(Py_None);
    }
    else if (answer == DISABLE) {
        result = Py_NewRef(disable);
    }
    Py_DECREF(self);
    return result;
}

/* ---- spin.c: spending time ------------------------------------------------------------------ */

/* Each takes the ns to spend, returns the ns spent in that state. GIL held on entry and on return;
 * spin_nogil and wait_for release it meanwhile, spin_gil each time the switch interval has passed. */
int64_t spin_gil(int64_t ns);
int64_t spin_nogil(int64_t ns);
int64_t wait_for(int64_t ns);

/* Sleep without the GIL until ``*low`` has reached ``*high``, ``most_ns`` at most; whether it has. */
int wait_until_reached(const uint64_t *low, const uint64_t *high, int64_t most_ns);

/* ---- errors.c ------------------------------------------------------------------------------- */

/* Remember the injector's folder, from the module's __file__. */
int errors_init(PyObject *module);

/* Call with an exception set. One of the injector's own goes to ``on_error`` and is cleared: KEEP.
 * One that a signal handler raised meanwhile is the target's, and stays set: FAILED. */
enum answer core_failed(PyObject *on_error);

struct thread;

/* Take the exception that is set out of the way, until thread_raise sets it again. */
void thread_keep_exception(struct thread *thread);
void thread_raise(struct thread *thread);

/* ---- record.c: what is known of a code object ----------------------------------------------- */

/* Head of what a tracker keeps about one code object. Counted: one reference is the code object's
 * own, others are those of visits and stack entries in progress. */
struct record {
    uint64_t owner;               /* serial of the tracker that made it */
    PyCodeObject *code;           /* borrowed; NULL once the code object is gone */
    uint32_t references;
    void (*destroy)(struct record *);
};

extern Py_ssize_t record_index; /* of the code objects' extra slot */

/* Ask the interpreter for the extra slot, once per process. */
int record_init(void);

/* A number no tracker has had. */
uint64_t record_serial(void);

/* Let ``record`` (whose reference passes to the code object) be what ``owner`` knows of ``code``;
 * NULL: that the code is none of its business. */
int record_set(PyCodeObject *code, uint64_t owner, struct record *record);

/* What a tracker makes of what its ``resolve`` answered: one reference; NULL with an exception. */
typedef struct record *(*record_maker)(void *tracker, PyObject *code, PyObject *spec);

/* Ask ``resolve`` what a code object is and remember it. -1 with an exception. */
int record_ask(PyObject *resolve, uint64_t owner, PyObject *code, PyObject *globals, record_maker make,
               void *tracker);

/* Take turns at asking what code is, so that each is asked once. Between the two calls Python code may
 * run; the first may let other threads in, so look again what is known after it. */
void record_begin_asking(void);
void record_end_asking(void);

static inline void
record_drop(struct record *record)
{
    if (--record->references == 0) {
        record->destroy(record);
    }
}

enum known { UNKNOWN, NOTHING, RECORD };

/* What ``owner`` knows of ``code``. RECORD: ``*found`` is borrowed from the code object. */
static inline enum known
record_get(PyObject *code, uint64_t owner, struct record **found)
{
    void *extra = NULL;
#if PY_VERSION_HEX >= 0x030C0000
    int failed = PyUnstable_Code_GetExtra(code, record_index, &extra);
#else
    int failed = _PyCode_GetExtra(code, record_index, &extra);
#endif
    if (unlikely(failed)) {
        PyErr_Clear();
        return UNKNOWN;
    }
    if (unlikely((uintptr_t)extra & 1)) {
        return (uint64_t)((uintptr_t)extra >> 1) == owner ? NOTHING : UNKNOWN;
    }
    struct record *record = extra;
    if (unlikely(record == NULL || record->owner != owner)) {
        return UNKNOWN;
    }
    *found = record;
    return RECORD;
}

/* ---- thread.c: what is known of a thread ----------------------------------------------------- */

struct frame; /* stack.h */
struct waits; /* waits.c */

struct thread {
    struct thread *next;
    atomic_int gone;       /* set at the end of the thread, by it, perhaps without the GIL */
    uint64_t owner;        /* serial of the tracker whose values these are */
    double owed[STATES];   /* the delayer's debts in ns; negative after an overshoot */
    int64_t spun_ns;       /* what its delays took of its CPU time */
    int64_t unit_at_ns;    /* when its own CPU time was read at a progress point; 0 not yet, */
    int64_t unit_own_ns;   /* and what that was, delays taken out */
    struct waits *waits;   /* what its waits have been; owned, NULL none yet */
    clockid_t clock;       /* CPU clock of the thread, for others to read */
    int has_clock;
    /* the observer's: */
    struct frame *frames;
    int depth, room;
    int64_t slot;          /* where the thread itself is counted, 0 not yet known */
    int64_t seen_wall_ns;  /* when the CPU clock was last read, */
    int64_t seen_cpu_ns;   /* and what it said */
    int asked;             /* whether this event has called back into Python */
    int native;            /* 3.11: whether the frame that is listened to is in a native call */
    PyObject *raised;      /* exception of the target's that came up during this event; owned */
};

#ifdef __GLIBC__ /* it keeps room for this in late-loaded modules; saves a call per event */
#define CHEAP_TLS __attribute__((tls_model("initial-exec")))
#else
#define CHEAP_TLS
#endif

extern _Thread_local struct thread *thread_mine CHEAP_TLS;

int thread_init(void);

/* The calling thread's, made or recycled at its first call; NULL when memory is out (no exception). */
struct thread *thread_make(void);

/* Make the values of a thread ``owner``'s: no debts, an empty stack. */
void thread_claim(struct thread *thread, uint64_t owner);

/* In a forked child: no thread but the calling one exists any more. */
void threads_forked(void);

/* All threads that ever called, in no order; skip those with ``gone``. */
struct thread *threads_first(void);

static inline struct thread *
thread_get(uint64_t owner)
{
    struct thread *thread = thread_mine;
    if (unlikely(thread == NULL)) {
        thread = thread_make();
        if (thread == NULL) {
            return NULL;
        }
    }
    if (unlikely(thread->owner != owner)) {
        thread_claim(thread, owner);
    }
    return thread;
}

/* The largest number that is there already when the interpreter is to tell it: tracker.SMALL_INT. */
#define SMALL_INT 256

/* ---- trackers --------------------------------------------------------------------------------- */

/* A byte offset as sys.monitoring passes it; -1 where it is no number. Sets no exception. */
static inline Py_ssize_t
offset_of(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (likely(PyLong_CheckExact(number) && PyUnstable_Long_IsCompact((PyLongObject *)number))) {
        return PyUnstable_Long_CompactValue((PyLongObject *)number);
    }
#endif
    Py_ssize_t value = PyLong_Check(number) ? PyLong_AsSsize_t(number) : -1;
    if (value == -1) {
        PyErr_Clear();
    }
    return value;
}


#endif
