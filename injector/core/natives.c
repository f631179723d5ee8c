/* Open addressing with linear probing, never more than half full; nothing is ever removed. */
#include "natives.h"

#define FIRST_ROOM 256

/* How an answer is to be remembered: natives.REMEMBER. */
enum { BY_OBJECT, BY_TYPE, NOT_AT_ALL };

/* A C function is the same whatever it is bound to; anything else is itself. */
static const void *
key_of(PyObject *called)
{
    if (PyMethod_Check(called)) {
        called = PyMethod_GET_FUNCTION(called);
    }
    if (PyCFunction_Check(called)) {
        return ((PyCFunctionObject *)called)->m_ml;
    }
    if (Py_IS_TYPE(called, &PyMethodDescr_Type) || Py_IS_TYPE(called, &PyClassMethodDescr_Type)) {
        return ((PyMethodDescrObject *)called)->d_method;
    }
    return called;
}

/* What stands for all objects of a type, and not for the type when it is called itself. */
static const void *
key_of_type(PyObject *called)
{
    return (const char *)Py_TYPE(called) + 1;
}

/* Where ``key`` is, or where it would go. The table must have room. */
static struct native *
place_of(const struct natives *natives, const void *key)
{
    size_t at = (size_t)(((uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (natives->room - 1);
    while (natives->table[at].key != NULL && natives->table[at].key != key) {
        at = (at + 1) & (natives->room - 1);
    }
    return &natives->table[at];
}

static const struct native *
known(const struct natives *natives, PyObject *called)
{
    const void *key = key_of(called);
    const struct native *place = natives->room ? place_of(natives, key) : NULL;
    if (place != NULL && place->key == NULL && key == (const void *)called) { /* no C function */
        place = place_of(natives, key_of_type(called)); /* one of many that are alike */
    }
    return place != NULL && place->key != NULL ? place : NULL;
}

static int
grow(struct natives *natives)
{
    struct natives fresh = {natives->resolve, NULL, natives->room ? 2 * natives->room : FIRST_ROOM, natives->used};
    fresh.table = PyMem_RawCalloc(fresh.room, sizeof(*fresh.table));
    if (fresh.table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t at = 0; at < natives->room; at++) {
        if (natives->table[at].key != NULL) {
            *place_of(&fresh, natives->table[at].key) = natives->table[at];
        }
    }
    PyMem_RawFree(natives->table);
    *natives = fresh;
    return 0;
}

/* Remember an answer, unless another thread was faster. */
static int
add(struct natives *natives, struct native native)
{
    if (2 * (natives->used + 1) > natives->room && grow(natives) < 0) {
        return -1;
    }
    struct native *place = place_of(natives, native.key);
    if (place->key != NULL) {
        if (native.record != NULL) {
            record_drop(native.record);
        }
        return 0;
    }
    natives->used++;
    *place = native;
    return 0;
}

/* (how to remember, number, spec or None) */
static int
read_answer(PyObject *answer, record_maker make, void *tracker, int *how, struct native *native)
{
    PyObject *spec;
    long long number;
    if (!PyTuple_Check(answer) || !PyArg_ParseTuple(answer, "iLO", how, &number, &spec)) {
        PyErr_Format(PyExc_TypeError, "what is known of a callable is a tuple of three, not %R", answer);
        return -1;
    }
    native->number = number;
    native->record = spec == Py_None ? NULL : make(tracker, NULL, spec);
    return spec != Py_None && native->record == NULL ? -1 : 0;
}

static int
ask(struct natives *natives, PyObject *called, record_maker make, void *tracker, struct native *found)
{
    int how = NOT_AT_ALL;
    PyObject *resolve = Py_NewRef(natives->resolve);
    PyObject *answer = PyObject_CallOneArg(resolve, called);
    int failed = answer == NULL ? -1 : read_answer(answer, make, tracker, &how, found);
    Py_XDECREF(answer);
    Py_DECREF(resolve);
    if (failed || how == NOT_AT_ALL) {
        return failed;
    }
    found->key = how == BY_TYPE ? key_of_type(called) : key_of(called);
    if (add(natives, *found) < 0) {
        if (found->record != NULL) {
            record_drop(found->record);
        }
        return -1;
    }
    *found = *place_of(natives, found->key);
    if (found->record != NULL) {
        found->record->references++;
    }
    return 0;
}

int
natives_find(struct natives *natives, PyObject *called, record_maker make, void *tracker, struct native *found)
{
    const struct native *place = known(natives, called);
    *found = place != NULL ? *place : (struct native){0};
    if (unlikely(place == NULL)) {
        return ask(natives, called, make, tracker, found);
    }
    if (found->record != NULL) {
        found->record->references++;
    }
    return 0;
}

void
natives_clear(struct natives *natives)
{
    struct natives old = *natives;
    *natives = (struct natives){0};
    for (size_t at = 0; at < old.room; at++) {
        if (old.table[at].record != NULL) {
            record_drop(old.table[at].record);
        }
    }
    PyMem_RawFree(old.table);
    Py_XDECREF(old.resolve);
}
