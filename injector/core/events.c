/* What happens on the shadow stack at each event. Each reads the clock once, when it comes; what
 * the event itself takes falls into the segment that follows, and the reader takes it off by count.
 */
#include "observer.h"

#define LAST_LINE 1000000

enum { CALLS, GIL_NS, NOGIL_NS, WAIT_NS, CALLEES, EVENTS, FIRST_NS, LAST_NS }; /* ledger.COUNTERS */
enum { NATIVE = EVENTS };      /* of sites: an enum callee */
enum { MOMENTS_NS = WAIT_NS }; /* of a progress point */

/* The end of an event: the running segment begins, and what the target raised goes on its way. */
static enum answer
done(struct thread *thread, int64_t now, enum answer answer)
{
    struct frame *frame = stack_top(thread);
    if (unlikely(thread->asked)) {
        thread->asked = 0;
        now = moment_ns(); /* naming took its time, which is nobody's */
    }
    if (likely(frame != NULL)) {
        frame->start_ns = now;
    }
    if (unlikely(thread->raised != NULL)) {
        thread_raise(thread);
        answer = FAILED;
    }
    return answer;
}

/* The calling thread's frame of ``code``; frames above it, whose end was not seen, are dropped. NULL
 * if there is none, and then nothing has changed. */
static struct frame *
find(struct thread *thread, PyObject *code, int64_t now)
{
    int at = thread->depth - 1;
    while (at >= 0 && (PyObject *)thread->frames[at].function->record.code != code) {
        at--;
    }
    if (at < 0) {
        return NULL;
    }
    struct frame *frame = &thread->frames[at];
    if (unlikely(at < thread->depth - 1)) {
        while (thread->depth > at + 1) {
            stack_pop(thread);
        }
        frame->start_ns = now;
        segment_mark(thread, now);
    }
    return frame;
}

static void
count_start(struct observer *self, const struct function *function, int64_t now)
{
    uint64_t *counters = counters_of(self, function->slot);
    counters[CALLS]++;
    counters[LAST_NS] = (uint64_t)now;
    if (unlikely(counters[FIRST_NS] == 0)) {
        counters[FIRST_NS] = (uint64_t)now;
    }
    if (unlikely(function->progress)) {
        counters = counters_of(self, function->progress);
        counters[CALLS]++;
        counters[MOMENTS_NS] += (uint64_t)now;
        counters[LAST_NS] = (uint64_t)now;
        counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : (uint64_t)now;
    }
}

/* A visit of a site inside the function; NULL without memory. */
static struct site *
pass(struct observer *self, struct thread *thread, struct frame *frame, const char *at, int32_t offset,
     int32_t destination, int64_t now)
{
    struct site *site = observer_site(self, thread, frame->function, at, offset, destination);
    if (counting(self, now)) {
        counters_of(self, frame->function->slot)[EVENTS]++;
        if (site != NULL) {
            counters_of(self, site->slot)[CALLS]++;
        }
    }
    frame->last = offset;
    return site;
}

/* The same for a line; NULL also for one that is not where code has its lines. */
static struct site *
pass_line(struct observer *self, struct thread *thread, struct frame *frame, int32_t line, int64_t now)
{
    return line < ((PyCodeObject *)frame->function->record.code)->co_firstlineno || line > LAST_LINE
             ? NULL
             : pass(self, thread, frame, "line", LINES - line, -1, now);
}

/* No call is being carried out. */
static inline void
rest(struct frame *frame)
{
    frame->call = NULL;
    frame->callee = NULL;
    frame->native = 0;
}

/* What the caller's frame has to do with a callee that begins. */
static void
call_out(struct observer *self, struct thread *thread, struct frame *caller, struct function *callee,
         int is_call, int64_t now)
{
    segment_close(self, thread, caller, now);
    if (caller->call != NULL) {
        segment_charge(self, caller, caller->call, now);
    }
    if (!counting(self, now)) {
        return;
    }
    int64_t slot = caller->function->slot;
    counters_of(self, caller->callee != NULL ? caller->callee->native : slot)[CALLEES]++;
    if (is_call) {
        if (unlikely(callee->caller != slot)) {
            int64_t edge = observer_edge(self, thread, slot, callee->slot);
            callee->edge = edge;
            callee->caller = slot;
        }
        counters_of(self, callee->edge)[CALLS]++;
    }
}

/* A generator goes on in the middle of a line. */
static void
go_on_in_line(struct thread *thread, struct frame *frame, int32_t offset)
{
    int32_t place = LINES - PyCode_Addr2Line(frame->function->record.code, offset);
    thread->asked = 1; /* it takes a while to find */
    frame->line = place <= LINES ? function_site(frame->function, place) : NULL;
    if (frame->line != NULL) {
        frame_anchor(frame, place);
    }
}

enum answer
observer_enter(struct observer *self, PyObject *code, PyObject *globals, enum place place, int32_t offset)
{
    struct function *function = NULL;
    int64_t now = moment_ns();
    enum known known = record_get(code, self->serial, (struct record **)&function);
    if (unlikely(known == NOTHING)) {
        return DISABLE;
    }
    struct thread *thread = thread_get(self->serial);
    if (unlikely(thread == NULL)) {
        return KEEP;
    }
    int is_new = known == UNKNOWN;
    if (unlikely(is_new)) {
        function = observer_meet(self, thread, code, globals, &known);
        if (known != RECORD) {
            struct frame *top = stack_top(thread);
            int64_t start = top == NULL ? now : top->start_ns + moment_ns() - now; /* its segment goes on */
            thread->asked = 0;
            return done(thread, start, known == NOTHING ? DISABLE : FAILED);
        }
    }
    function->activations += place == ENTRY;
    struct frame *frame = stack_push(thread, function, place); /* from here on it holds function */
    if (unlikely(is_new)) {
        record_drop(&function->record);
    }
    if (unlikely(frame == NULL)) {
        return done(thread, now, KEEP);
    }
    if (unlikely(thread->slot == 0)) {
        observer_name_thread(self, thread, function->slot);
    }
    if (likely(thread->depth > 1)) {
        call_out(self, thread, frame - 1, function, place == ENTRY, now);
    }
    else {
        segment_mark(thread, now);
    }
    if (place == ENTRY && counting(self, now)) {
        count_start(self, function, now);
    }
    if (function->armed) {
        struct site *site = observer_site(self, thread, function, place == ENTRY ? "entry" : "resume",
                                          place, -1);
        if (site != NULL && counting(self, now)) {
            counters_of(self, site->slot)[CALLS]++;
        }
        if (unlikely(self->lines && offset >= 0)) {
            go_on_in_line(thread, frame, offset);
        }
    }
    if (unlikely(counters_switching(&self->counters))) {
        counters_give_way(&self->counters);
        thread->asked = 1; /* nobody's time */
    }
    return done(thread, now, KEEP);
}

/* The place an exception that leaves the frame is charged to: the site passed last. */
static struct site *
last_site(struct observer *self, struct thread *thread, struct frame *frame)
{
    return observer_site(self, thread, frame->function, frame->last == ENTRY ? "entry" : "resume",
                         frame->last, -1);
}

enum answer
observer_leave(struct observer *self, PyObject *code, const char *at, int32_t offset)
{
    int64_t now = moment_ns();
    struct thread *thread = thread_get(self->serial);
    struct frame *frame = thread == NULL ? NULL : stack_top(thread);
    if (unlikely(frame == NULL || (PyObject *)frame->function->record.code != code)) {
        struct record *record = NULL;
        enum known known = record_get(code, self->serial, &record);
        if (known != RECORD) {
            return known == NOTHING ? DISABLE : KEEP;
        }
        frame = thread == NULL ? NULL : find(thread, code, now);
        if (frame == NULL) {
            return KEEP;
        }
    }
    segment_close(self, thread, frame, now);
    if (frame->function->armed) {
        struct site *site = at == NULL ? last_site(self, thread, frame)
                                       : pass(self, thread, frame, at, offset, -1, now);
        segment_charge(self, frame, site, now);
    }
    stack_pop(thread);
    frame = stack_top(thread);
    if (frame != NULL) {
        frame->anchor = NOWHERE;
        if (!frame->native) {
            rest(frame);
        }
    }
    return done(thread, now, KEEP);
}

/* A native callable that is a target is called. */
static void
call_native(struct observer *self, struct thread *thread, const struct frame *frame, int64_t now)
{
    int64_t caller = frame->function->slot, slot = frame->callee->native;
    uint64_t *counters = counters_of(self, slot);
    counters[CALLS]++;
    counters[EVENTS]++;
    counters[FIRST_NS] = counters[FIRST_NS] ? counters[FIRST_NS] : (uint64_t)now;
    counters[LAST_NS] = (uint64_t)now;
    counters_of(self, frame->callee->slot)[CALLS]++;
    counters_of(self, observer_edge(self, thread, caller, slot))[CALLS]++;
}

enum answer
observer_call(struct observer *self, PyObject *code, int32_t offset, enum callee callee, PyObject *called)
{
    int native = callee != PYTHON_CODE;
    int64_t now = moment_ns();
    struct thread *thread = thread_get(self->serial);
    struct frame *frame = thread == NULL ? NULL : find(thread, code, now);
    if (frame == NULL) {
        return KEEP;
    }
    segment_close(self, thread, frame, now);
    struct site *site = pass(self, thread, frame, "call", offset, -1, now);
    if (frame->pend_gil_ns + frame->pend_nogil_ns >= SIGNIFICANT_NS) {
        segment_charge(self, frame, site, now);
    }
    if (frame->anchor == NOWHERE) {
        frame_anchor(frame, offset);
    }
    else if (frame->since_ns >= SIGNIFICANT_NS) {
        frame->later = offset;
        frame->between_ns += frame->since_ns;
        frame->since_ns = 0;
    }
    frame->call = site;
    frame->native = native;
    frame->callee = native ? observer_callee(self, thread, frame->function, site, called) : NULL;
    if (frame->callee != NULL && counting(self, now)) {
        call_native(self, thread, frame, now);
    }
    if (native && site != NULL && counting(self, now)) {
        uint64_t *seen = &counters_of(self, site->slot)[NATIVE];
        *seen = *seen < (uint64_t)callee ? (uint64_t)callee : *seen;
    }
    return done(thread, now, density_gives_up_call(self, site, native, now) ? DISABLE : KEEP);
}

enum answer
observer_native_return(struct observer *self, PyObject *code)
{
    int64_t now = moment_ns();
    struct thread *thread = thread_get(self->serial);
    struct frame *frame = thread == NULL ? NULL : find(thread, code, now);
    if (frame == NULL || frame->call == NULL) {
        return KEEP;
    }
    if (segment_close(self, thread, frame, now) >= SIGNIFICANT_NS) {
        segment_charge(self, frame, frame->call, now);
        frame->anchor = NOWHERE;
        frame->call->long_calls++;
    }
    int was_target = frame->callee != NULL;
    rest(frame);
    if (!was_target && counting(self, now)) { /* a target has its event counted as its own */
        counters_of(self, frame->function->slot)[EVENTS]++;
    }
    return done(thread, now, KEEP);
}

enum answer
observer_jump(struct observer *self, PyObject *code, int32_t offset, int32_t destination)
{
    if (destination >= offset) {
        return DISABLE;
    }
    int64_t now = moment_ns();
    enum answer answer = KEEP;
    struct thread *thread = thread_get(self->serial);
    struct frame *frame = thread == NULL ? NULL : find(thread, code, now);
    if (frame == NULL) {
        return KEEP;
    }
    rest(frame);
    int64_t wall = segment_close(self, thread, frame, now);
    struct site *site = pass(self, thread, frame, "jump", offset, destination, now);
    if (frame->pend_gil_ns + frame->pend_nogil_ns >= SIGNIFICANT_NS) {
        segment_charge(self, frame, site, now);
    }
    frame_anchor(frame, offset);
    if (site != NULL && density_gives_up_edge(self, frame->function, site, wall)) {
        answer = DISABLE;
    }
    return done(thread, now, answer);
}

enum answer
observer_line(struct observer *self, PyObject *code, int32_t line)
{
    int64_t now = moment_ns();
    struct thread *thread = thread_get(self->serial);
    struct frame *frame = thread == NULL ? NULL : find(thread, code, now);
    if (frame == NULL) {
        return KEEP;
    }
    rest(frame);
    segment_close(self, thread, frame, now);
    if (frame->line != NULL) { /* else it is the way to the first */
        segment_charge(self, frame, frame->line, now);
    }
    frame->line = pass_line(self, thread, frame, line, now);
    if (frame->line != NULL) {
        frame_anchor(frame, LINES - line);
    }
    return done(thread, now, KEEP);
}
