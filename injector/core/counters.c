/* The ledger's counters: memory mapped from a file, so that adding to it is recording. */
#include "core.h"

#include <errno.h>
#include <unistd.h>

int
counters_hold(struct counters *counters, PyObject *view)
{
    Py_buffer fresh;
    if (PyObject_GetBuffer(view, &fresh, PyBUF_WRITABLE | PyBUF_ND | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (fresh.itemsize != (Py_ssize_t)sizeof(uint64_t) || fresh.len < WIDTH * fresh.itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "the counters must be 64-bit integers, %d or more, not %zd bytes of items of %zd",
                     WIDTH, fresh.len, fresh.itemsize);
        PyBuffer_Release(&fresh);
        return -1;
    }
    counters_release(counters);
    counters->view = fresh;
    counters->base = fresh.buf;
    counters->slots = fresh.len / (WIDTH * fresh.itemsize);
    return 0;
}

void
counters_release(struct counters *counters)
{
    counters->base = NULL;
    counters->slots = 0;
    if (counters->view.obj != NULL) {
        PyBuffer_Release(&counters->view);
    }
}

int64_t
counters_slot(const struct counters *counters, PyObject *number)
{
    long long slot = PyLong_AsLongLong(number);
    if (slot == -1 && PyErr_Occurred()) {
        return -1;
    }
    return slot > 0 && slot < counters->slots ? slot : 0;
}

#define WAY_NS 50000000 /* of waiting for the ear; in vain, and it is waited for again only later */

void
counters_give_way(const struct counters *counters)
{
    static uint64_t known;
    static int64_t again_ns, pause_ns;
    const uint64_t *base = counters->base;
    uint64_t number = base[SWITCH];
    if (base[EAR] == 0 || base[EAR] == (uint64_t)PyThread_get_thread_ident()) {
        return;
    }
    if (number != known) {
        known = number;
        again_ns = 0;
        pause_ns = WAY_NS;
    }
    if (now_ns() >= again_ns && !wait_until_reached(base + EPOCH, base + SWITCH, WAY_NS)) {
        pause_ns *= 2;
        again_ns = now_ns() + pause_ns;
    }
}

int
counters_listen(const struct counters *counters, int pipe)
{
    char heard[4096];
    ssize_t length;
    Py_BEGIN_ALLOW_THREADS
    do {
        length = read(pipe, heard, sizeof(heard));
    } while (length < 0 && errno == EINTR);
    if (length <= 0) {
        __atomic_store_n(counters->base + SWITCH, UINT64_MAX, __ATOMIC_RELEASE);
    }
    Py_END_ALLOW_THREADS
    return length > 0;
}
