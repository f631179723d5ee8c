/* The window: the part of a run in which calls are counted and delays are active. */
#include "core.h"

#define COARSE_NS 20000000
/* A coarse clock lags behind by at most one tick: 10 ms at 100 Hz, less elsewhere. */

int
window_read(struct window *window, PyObject *tuple)
{
    long long open_ns = 0, close_ns = 0;
    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "the window must be a tuple (open_ns, close_ns), not %.100s",
                     Py_TYPE(tuple)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(tuple, "LL;the window must be (open_ns, close_ns)", &open_ns, &close_ns)) {
        return -1;
    }
    window->open_ns = open_ns;
    window->close_ns = close_ns;
    return 0;
}

/* A clock that is cheap, and late by less than COARSE_NS. */
static int64_t
coarse_ns(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return clock_ns(CLOCK_MONOTONIC_COARSE);
#else
    return now_ns();
#endif
}

int
window_look(struct window *window)
{
    if (window->open_ns) {
        if (now_ns() < window->open_ns) {
            return 0;
        }
        window->open_ns = 0; /* time does not go back */
    }
    if (window->close_ns == 0 || coarse_ns() + COARSE_NS < window->close_ns) {
        return 1;
    }
    return now_ns() < window->close_ns;
}
