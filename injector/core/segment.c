/* Own time: which state it was in, and which site it belongs to. The rules are in observer.py.
 *
 * The CPU clock is a system call, so it is read only where a segment was long, and now and then: a
 * segment's CPU time is what the clock gained since its last reading, less the time between that
 * reading and the segment, which consisted of short segments, all CPU. Reading it again after
 * STALE_NS at the latest keeps what these short segments may have waited out of the next long one.
 */
#include "observer.h"

#define STALE_NS 500000
#define APART 20          /* CPU time before a wait is something beside it from this part of it on */
#define TINY_NS 1000      /* mean own time below which code is not armed, whatever one call took */
#define SWITCH_NS 5500000 /* a little more than the interpreter's switch interval */

enum { CALLS, GIL_NS, NOGIL_NS, WAIT_NS }; /* of functions and sites: ledger.COUNTERS */
enum { THREAD_GIL_NS = 0, THREAD_NOGIL_NS = 2, THREAD_WAIT_NS = 3 };

struct times {
    int64_t gil, nogil, wait;
};

/* CPU time in a native call that may have been without the GIL: moved when that turns out. */
static void
note_native(const struct observer *self, struct site *site, int64_t cpu)
{
    site->native_ns = (site->forks == self->forks ? site->native_ns : 0) + cpu;
    site->forks = self->forks;
}

/* A segment long enough for the CPU clock. What was neither CPU nor waiting is dropped. */
static struct times
classify(struct observer *self, struct thread *thread, const struct frame *frame, int64_t wall, int64_t now)
{
    struct times times = {0, 0, 0};
    int64_t cpu = -thread->seen_cpu_ns - (frame->start_ns - thread->seen_wall_ns);
    segment_mark(thread, now);
    cpu += thread->seen_cpu_ns;
    cpu = cpu < 0 ? 0 : cpu > wall ? wall : cpu;
    times.gil = cpu;
    if (frame->native && frame->call != NULL) {
        times.wait = wall - cpu;
        if (frame->call->nogil) {
            times.gil = 0;
            times.nogil = cpu;
            times.wait = times.wait < SWITCH_NS ? 0 : times.wait; /* for the GIL, to come back */
        }
        else if (counting(self, now)) {
            note_native(self, frame->callee != NULL ? frame->callee : frame->call, cpu);
        }
    }
    else if (!frame->function->armed && wall - cpu >= SIGNIFICANT_NS) {
        times.wait = wall - cpu; /* nobody knows yet what it was */
    }
    return times;
}

static void
count(struct observer *self, const struct thread *thread, int64_t slot, struct times times)
{
    uint64_t *function = counters_of(self, slot);
    uint64_t *own = counters_of(self, thread->slot);
    function[GIL_NS] += (uint64_t)times.gil;
    own[THREAD_GIL_NS] += (uint64_t)times.gil;
    if (unlikely(times.nogil | times.wait)) {
        function[NOGIL_NS] += (uint64_t)times.nogil;
        function[WAIT_NS] += (uint64_t)times.wait;
        own[THREAD_NOGIL_NS] += (uint64_t)times.nogil;
        own[THREAD_WAIT_NS] += (uint64_t)times.wait;
    }
}

/* Waiting goes to the anchor, or to a later place if the CPU time in between was something beside
 * it, or, where none has been passed yet, to the call that waited. */
static void
charge_wait(struct observer *self, struct thread *thread, struct frame *frame, int64_t wait, int64_t now)
{
    const struct site *site = frame->call;
    if (frame->anchor != NOWHERE) {
        int is_apart = frame->later != NOWHERE && frame->between_ns * APART >= wait;
        int32_t place = is_apart ? frame->later : frame->anchor;
        site = observer_site(self, thread, frame->function, place == RESUMED ? "resume" : "entry", place, -1);
    }
    if (site != NULL && counting(self, now)) {
        counters_of(self, site->slot)[WAIT_NS] += (uint64_t)wait;
    }
    frame->anchor = NOWHERE;
}

/* CPU time of a native callable goes to the place where it is called. What is left is the waiting,
 * which is its caller's: what that waits for, and since when, is in its code. */
static struct times
charge_callee(struct observer *self, const struct thread *thread, const struct site *callee,
              struct times times, int64_t now)
{
    struct times left = {0, 0, times.wait};
    if (counting(self, now)) {
        uint64_t *counters = counters_of(self, callee->slot);
        times.wait = 0;
        count(self, thread, callee->native, times);
        counters[GIL_NS] += (uint64_t)times.gil;
        counters[NOGIL_NS] += (uint64_t)times.nogil;
    }
    return left;
}

/* Arm code that is worth it: see the rules. */
static void
consider_arming(struct observer *self, struct thread *thread, struct frame *frame, int64_t own)
{
    struct function *function = frame->function;
    function->own_ns += own;
    if (unlikely(frame->own_ns >= SIGNIFICANT_NS) && function->own_ns >= TINY_NS * function->activations) {
        observer_arm(self, thread, function);
    }
}

/* A short segment of a function's own, as they come by the million: all of it is CPU. */
static inline void
close_short(struct observer *self, struct thread *thread, struct frame *frame, int64_t wall, int64_t now)
{
    frame->own_ns += wall;
    if (counting(self, now)) {
        counters_of(self, frame->function->slot)[GIL_NS] += (uint64_t)wall;
        counters_of(self, thread->slot)[THREAD_GIL_NS] += (uint64_t)wall;
    }
    if (frame->function->armed) {
        frame->pend_gil_ns += wall;
        frame->since_ns += wall;
    }
    else {
        consider_arming(self, thread, frame, wall);
    }
}

int64_t
segment_close(struct observer *self, struct thread *thread, struct frame *frame, int64_t now)
{
    int64_t wall = now > frame->start_ns ? now - frame->start_ns : 0;
    if (likely(wall < SIGNIFICANT_NS)) {
        if (unlikely(now - thread->seen_wall_ns > STALE_NS)) {
            segment_mark(thread, now);
        }
        if (likely(frame->callee == NULL)) {
            close_short(self, thread, frame, wall, now);
            return wall;
        }
    }
    struct times times = {wall, 0, 0};
    if (wall >= SIGNIFICANT_NS) {
        times = classify(self, thread, frame, wall, now);
    }
    if (unlikely(frame->callee != NULL)) {
        times = charge_callee(self, thread, frame->callee, times, now);
    }
    frame->own_ns += times.gil + times.nogil + times.wait;
    if (counting(self, now)) {
        count(self, thread, frame->function->slot, times);
    }
    if (frame->function->armed) {
        frame->pend_gil_ns += times.gil;
        frame->pend_nogil_ns += times.nogil;
        frame->since_ns += times.gil + times.nogil;
        if (unlikely(times.wait)) {
            charge_wait(self, thread, frame, times.wait, now);
        }
    }
    else {
        consider_arming(self, thread, frame, times.gil + times.nogil + times.wait);
    }
    return wall;
}

void
segment_charge(struct observer *self, struct frame *frame, const struct site *site, int64_t now)
{
    if (site != NULL && counting(self, now)) {
        uint64_t *counters = counters_of(self, site->slot);
        counters[GIL_NS] += (uint64_t)frame->pend_gil_ns;
        counters[NOGIL_NS] += (uint64_t)frame->pend_nogil_ns;
    }
    frame->pend_gil_ns = 0;
    frame->pend_nogil_ns = 0;
}

/* Move CPU time of a slot, no more than there is. */
static void
move_to_nogil(uint64_t *counters, int64_t ns)
{
    uint64_t moved = (uint64_t)ns < counters[GIL_NS] ? (uint64_t)ns : counters[GIL_NS];
    counters[GIL_NS] -= moved;
    counters[NOGIL_NS] += moved;
}

void
segment_recount(struct observer *self, const struct function *function, struct site *site)
{
    if (site->forks == self->forks) { /* else it was the parent's */
        move_to_nogil(counters_of(self, site->slot), site->native_ns);
        move_to_nogil(counters_of(self, site->native ? site->native : function->slot), site->native_ns);
    }
    site->native_ns = 0;
    if (site->callees != NULL) {
        segment_recount(self, function, site->callees);
    }
}
