/* What a tracker knows of a code object hangs on the code object itself: in its extra slot.
 *
 * The slot holds a counted struct record, or, for code that a tracker has nothing to do with, the
 * tracker's serial number shifted left with the lowest bit set. Records of a tracker that is gone
 * are told by their serial, and replaced at the next visit.
 */
#include "core.h"

Py_ssize_t record_index = -1;

static uint64_t last_serial;

#define TURN_NS 20000
#define TURNS 5000
/* Waiting ends after some 0.1 s: in a forked child the thread whose turn it was does not exist. */

static PyThreadState *asking; /* whose turn it is */

/* The code object is being deallocated. */
static void
forget(void *extra)
{
    if (extra != NULL && ((uintptr_t)extra & 1) == 0) {
        struct record *record = extra;
        record->code = NULL;
        record_drop(record);
    }
}

int
record_init(void)
{
    if (record_index < 0) {
#if PY_VERSION_HEX >= 0x030C0000
        record_index = PyUnstable_Eval_RequestCodeExtraIndex(forget);
#else
        record_index = _PyEval_RequestCodeExtraIndex(forget);
#endif
    }
    if (record_index < 0) {
        PyErr_SetString(PyExc_ImportError, "no extra slot in code objects is left for the injector");
        return -1;
    }
    return 0;
}

uint64_t
record_serial(void)
{
    return ++last_serial;
}

int
record_set(PyCodeObject *code, uint64_t owner, struct record *record)
{
    void *extra = record == NULL ? (void *)((uintptr_t)(owner << 1) | 1) : (void *)record;
    /* What was there before goes to `forget`. */
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Code_SetExtra((PyObject *)code, record_index, extra);
#else
    return _PyCode_SetExtra((PyObject *)code, record_index, extra);
#endif
}

void
record_begin_asking(void)
{
    PyThreadState *mine = PyThreadState_Get();
    for (int turn = 0; asking != NULL && asking != mine && turn < TURNS; turn++) {
        wait_for(TURN_NS);
    }
    asking = mine;
}

void
record_end_asking(void)
{
    asking = NULL;
}

int
record_ask(PyObject *resolve, uint64_t owner, PyObject *code, PyObject *globals, record_maker make,
           void *tracker)
{
    int failed = -1;
    struct record *record = NULL;
    PyObject *spec =
        PyObject_CallFunctionObjArgs(resolve, code, globals == NULL ? Py_None : globals, NULL);
    if (spec == NULL) {
        return -1;
    }
    if (record_get(code, owner, &record) != UNKNOWN) {
        failed = 0; /* another thread was faster: this one's turn came before its time */
    }
    else if (spec == Py_None) {
        failed = record_set((PyCodeObject *)code, owner, NULL);
    }
    else {
        record = make(tracker, code, spec);
        failed = record == NULL ? -1 : record_set((PyCodeObject *)code, owner, record);
        if (record != NULL && failed) {
            record_drop(record);
        }
    }
    Py_DECREF(spec);
    return failed;
}
