/* Shadow stacks grow with the target's own stack and are kept until the thread's entry is reused. */
#include "observer.h"

#define FIRST_ROOM 64

static int
grow(struct thread *thread)
{
    int room = thread->room ? 2 * thread->room : FIRST_ROOM;
    struct frame *frames = PyMem_RawRealloc(thread->frames, (size_t)room * sizeof(*frames));
    if (frames == NULL) {
        return -1;
    }
    thread->frames = frames;
    thread->room = room;
    return 0;
}

struct frame *
stack_push(struct thread *thread, struct function *function, int32_t anchor)
{
    if (unlikely(thread->depth == thread->room) && grow(thread) < 0) {
        return NULL;
    }
    struct frame *frame = &thread->frames[thread->depth++];
    function->record.references++;
    *frame = (struct frame){.function = function, .anchor = anchor, .later = NOWHERE, .last = anchor};
    return frame;
}

void
stack_pop(struct thread *thread)
{
    record_drop(&thread->frames[--thread->depth].function->record);
}

void
stack_clear(struct thread *thread)
{
    while (thread->depth) {
        stack_pop(thread);
    }
}
