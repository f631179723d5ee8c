/* Spending an exact time in one of three states. The Python twin is injector/spin.py.
 *
 * Computing is measured by the wall clock, read in every turn of the loop. A turn takes some 25 ns,
 * so one that took 20 us was not running: the process was off its core, or another thread had the
 * GIL. Such gaps are not counted and made up for, as real code would have to, but for what the
 * thread's CPU clock says was CPU time: that is a processor whose other users the kernel does not
 * see, and real code is charged for it too. (To go by that clock alone would cost ten times as much.)
 */
#include "core.h"

#include <errno.h>

#define GAP_NS 20000
#define INTERVAL_NS 5000000
/* The default switch interval; a thread that wants the GIL asks for it after so long. */

/* Spending takes its time whatever a test says of the clock. */
static int64_t
real_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Compute until ``ns`` have been spent since the call, gaps excluded. Returns ns spent, ``ns`` or a
 * little more. What is shorter than a gap is not worth a look at the CPU clock. */
static int64_t
compute(int64_t ns)
{
    int64_t begin = real_ns(), last = begin, now = begin, lost = 0;
    int64_t since = begin, cpu = ns >= GAP_NS ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
    while (now - begin - lost < ns) {
        now = real_ns();
        if (unlikely(now - last > GAP_NS)) {
            int64_t gap = now - last, ran = 0;
            if (ns >= GAP_NS) {
                int64_t before = cpu;
                cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
                ran = cpu - before - (last - since);
                ran = ran < 0 ? 0 : ran > gap ? gap : ran;
                since = now;
            }
            lost += gap - ran;
        }
        last = now;
    }
    return now - begin - lost;
}

/* The switch interval in ns. It is asked of sys because the target may set it. */
static int64_t
switch_interval_ns(void)
{
    int64_t interval = INTERVAL_NS;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback); /* the target's, perhaps */
    PyObject *function = PySys_GetObject("getswitchinterval"); /* borrowed */
    PyObject *seconds = function == NULL ? NULL : PyObject_CallNoArgs(function);
    if (seconds != NULL) {
        double value = PyFloat_AsDouble(seconds);
        if (value > 0 && value < 10) {
            interval = (int64_t)(value * 1e9) + 1;
        }
        Py_DECREF(seconds);
    }
    PyErr_Restore(type, error, traceback);
    return interval;
}

int64_t
spin_gil(int64_t ns)
{
    int64_t spent = 0;
    if (likely(ns <= INTERVAL_NS)) {
        spent = compute(ns);
    }
    else {
        /* Whoever has waited for an interval asks for the GIL, and then gets it when it is let go of.
         * Letting go sooner would only make them wait anew, for ever; hence the quarter. */
        int64_t interval = switch_interval_ns() * 5 / 4;
        spent = compute(ns < interval ? ns : interval);
        while (spent < ns) {
            Py_BEGIN_ALLOW_THREADS
            Py_END_ALLOW_THREADS
            int64_t left = ns - spent;
            spent += compute(left < interval ? left : interval);
        }
    }
    return spent;
}

int64_t
spin_nogil(int64_t ns)
{
    int64_t spent;
    Py_BEGIN_ALLOW_THREADS
    spent = compute(ns);
    Py_END_ALLOW_THREADS
    return spent;
}

#define LOOK_NS 50000

int
wait_until_reached(const uint64_t *low, const uint64_t *high, int64_t most_ns)
{
    int reached;
    Py_BEGIN_ALLOW_THREADS
    int64_t end = real_ns() + most_ns;
    while (!(reached = __atomic_load_n(low, __ATOMIC_ACQUIRE) >= __atomic_load_n(high, __ATOMIC_RELAXED))
           && real_ns() < end) {
        nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
    }
    Py_END_ALLOW_THREADS
    return reached;
}

int64_t
wait_for(int64_t ns)
{
    int64_t begin = real_ns();
    if (ns > 0) {
        Py_BEGIN_ALLOW_THREADS
        int64_t end = begin + ns;
        int64_t now = begin;
        while (now < end) { /* a signal ends a sleep early */
            struct timespec rest = {(time_t)((end - now) / 1000000000), (long)((end - now) % 1000000000)};
            nanosleep(&rest, NULL);
            now = real_ns();
        }
        Py_END_ALLOW_THREADS
    }
    /* Getting the GIL back is part of waiting: a wait in the target would include it too. */
    return real_ns() - begin;
}
