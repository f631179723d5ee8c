/* What is known of a thread: debts and a shadow stack, found through thread-local storage.
 *
 * Entries are never freed, only recycled: the end of a thread is noticed by a hook that runs after
 * the interpreter has forgotten the thread, so it may do no more than set a flag. A program has as
 * many entries as it ever had threads at once.
 */
#include "stack.h"
#include "waits.h"

#include <pthread.h>

_Thread_local struct thread *thread_mine CHEAP_TLS;

static struct thread *threads; /* changed with the GIL held, only at its head */
static pthread_key_t key;
static int has_key;

/* The calling thread ends. No GIL. */
static void
leave(void *thread)
{
    thread_mine = NULL;
    atomic_store(&((struct thread *)thread)->gone, 1);
}

int
thread_init(void)
{
    if (!has_key) {
        int error = pthread_key_create(&key, leave);
        if (error) {
            PyErr_Format(PyExc_ImportError, "no thread-specific key is left (error %d)", error);
            return -1;
        }
        has_key = 1;
    }
    return 0;
}

static struct thread *
recycled(void)
{
    struct thread *thread = threads;
    while (thread != NULL && !atomic_load(&thread->gone)) {
        thread = thread->next;
    }
    return thread;
}

struct thread *
thread_make(void)
{
    struct thread *thread = recycled();
    if (thread == NULL) {
        thread = PyMem_RawCalloc(1, sizeof(*thread));
        if (thread == NULL) {
            return NULL;
        }
        thread->next = threads;
        threads = thread;
    }
    thread_claim(thread, 0);
    atomic_store(&thread->gone, 0);
#ifdef __linux__
    thread->has_clock = pthread_getcpuclockid(pthread_self(), &thread->clock) == 0;
#endif
    thread_mine = thread;
    pthread_setspecific(key, thread); /* if it fails, the entry is not recycled: no harm */
    return thread;
}

struct thread *
threads_first(void)
{
    return threads;
}

void
threads_forked(void)
{
    for (struct thread *thread = threads; thread != NULL; thread = thread->next) {
        if (thread != thread_mine) {
            atomic_store(&thread->gone, 1);
        }
    }
#ifdef __linux__
    if (thread_mine != NULL) { /* the clock's id holds the thread's, and that has changed */
        thread_mine->has_clock = pthread_getcpuclockid(pthread_self(), &thread_mine->clock) == 0;
    }
#endif
}

void
thread_claim(struct thread *thread, uint64_t owner)
{
    for (int state = GIL; state < STATES; state++) {
        thread->owed[state] = 0.0;
    }
    thread->spun_ns = thread->unit_at_ns = 0;
    waits_clear(thread);
    stack_clear(thread);
    thread->slot = 0;
    thread->asked = 0;
    thread->native = 0;
    thread->owner = owner;
}
