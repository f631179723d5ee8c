/* The shadow stack of a thread: the frames that run, outermost first. */
#ifndef SPEEDBUMP_STACK_H
#define SPEEDBUMP_STACK_H

#include "core.h"

struct function;
struct site;

/* Places that are no instruction; offsets of instructions are 0 and above. LINES less a line: that. */
enum place { ENTRY = -1, RESUMED = -2, NOWHERE = -3, LINES = -16 };

/* One activation. */
struct frame {
    struct function *function; /* a reference */
    struct site *call;         /* the CALL that is being carried out, of function's; NULL none */
    struct site *callee;       /* the same as a place of the native callable that it calls, or NULL */
    struct site *line;         /* the line that runs, where lines are told; NULL not known */
    int32_t anchor;            /* where the next wait is charged; NOWHERE: not passed yet */
    int32_t later;             /* a later place for that, behind between_ns of CPU time; NOWHERE: none */
    int64_t between_ns;
    int64_t since_ns;          /* CPU time since either was set */
    int32_t last;              /* the site passed last */
    int native;                /* whether the call is of native code */
    int64_t start_ns;          /* when the running segment began */
    int64_t own_ns;            /* own time of this activation so far, all states */
    int64_t pend_gil_ns, pend_nogil_ns; /* CPU time that has not met its site yet */
};

/* A new top frame, zeroed but for function and anchor; NULL without memory (no exception). Frames
 * that were pointed to may have moved. */
struct frame *stack_push(struct thread *thread, struct function *function, int32_t anchor);

void stack_pop(struct thread *thread);
void stack_clear(struct thread *thread);

/* The next wait is charged here from now on. */
static inline void
frame_anchor(struct frame *frame, int32_t offset)
{
    frame->anchor = offset;
    frame->later = NOWHERE;
    frame->between_ns = 0;
    frame->since_ns = 0;
}

static inline struct frame *
stack_top(struct thread *thread)
{
    return thread->depth ? &thread->frames[thread->depth - 1] : NULL;
}

#endif
