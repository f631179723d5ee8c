/* What is called that is not Python: told apart by what it does, and asked about once.
 *
 * Bound and unbound methods of one C function are the same thing. The naming, and what may be
 * remembered of an object that may be gone tomorrow, is Python's: injector/natives.py.
 */
#ifndef SPEEDBUMP_NATIVES_H
#define SPEEDBUMP_NATIVES_H

#include "core.h"

/* What is known of one. ``number``: 0 it is no target. ``record``: what a tracker made of what it
 * was told, if anything. */
struct native {
    const void *key;
    int64_t number;
    struct record *record;
};

struct natives {
    PyObject *resolve; /* owned; NULL: nobody wants to know */
    struct native *table;
    size_t room, used;
};

/* Find what is called, asking about it if it is new. Its record, if it has one, is a new reference. -1
 * with an exception, which may be the target's. Runs Python: other threads may come in. */
int natives_find(struct natives *natives, PyObject *called, record_maker make, void *tracker,
                 struct native *found);

/* Nothing is known any more. */
void natives_clear(struct natives *natives);

/* Whether it is Python code that is called, whose frame will be seen. */
static inline int
native_is_python(PyObject *called)
{
    return PyFunction_Check(called)
        || (PyMethod_Check(called) && PyFunction_Check(PyMethod_GET_FUNCTION(called)));
}

#endif
