/* What an Observer knows of a code object: its slot, whether it is armed, its sites. */
#include "observer.h"

static void
destroy(struct record *record)
{
    struct function *function = (struct function *)record;
    while (function->sites != NULL) {
        struct site *site = function->sites;
        function->sites = site->next;
        while (site->callees != NULL) {
            struct site *callee = site->callees;
            site->callees = callee->callees;
            PyMem_RawFree(callee);
        }
        PyMem_RawFree(site);
    }
    PyMem_RawFree(function->by_unit);
    PyMem_RawFree(function->by_line);
    PyMem_RawFree(function);
}

struct function *
function_new(const struct observer *self, PyObject *code, PyObject *spec)
{
    PyObject *slot, *progress;
    int armed;
    if (!PyTuple_Check(spec)) {
        PyErr_Format(PyExc_TypeError, "resolve must answer a tuple or None, not %.100s",
                     Py_TYPE(spec)->tp_name);
        return NULL;
    }
    if (!PyArg_ParseTuple(spec, "OOp;resolve must answer three things", &slot, &progress, &armed)) {
        return NULL;
    }
    int64_t own = counters_slot(&self->counters, slot);
    int64_t point = own < 0 ? -1 : counters_slot(&self->counters, progress);
    if (point < 0) {
        return NULL;
    }
    struct function *function = PyMem_RawCalloc(1, sizeof(*function));
    if (function == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    function->record = (struct record){self->serial, (PyCodeObject *)code, 1, destroy};
    function->slot = own ? own : self->spare;
    function->progress = point;
    function->armed_first = armed;
    return function;
}

/* Where by_line has a line. */
static Py_ssize_t
line_index(const struct function *function, int32_t place)
{
    Py_ssize_t first = function->record.code == NULL ? 0 : function->record.code->co_firstlineno;
    return LINES - place < first ? 0 : LINES - place - first;
}

struct site *
function_site(const struct function *function, int32_t offset)
{
    struct site *site = NULL;
    if (offset == ENTRY) {
        site = function->entry;
    }
    else if (offset == RESUMED) {
        site = function->resume;
    }
    else if (offset >= 0 && offset / 2 < function->units) {
        site = function->by_unit[offset / 2];
    }
    else if (offset <= LINES && line_index(function, offset) < function->lines) {
        site = function->by_line[line_index(function, offset)];
    }
    return site;
}

/* Make an array of sites longer. */
static int
cover(struct site ***sites, Py_ssize_t *length, Py_ssize_t wanted)
{
    if (wanted <= *length) {
        return 0;
    }
    struct site **fresh = PyMem_RawRealloc(*sites, (size_t)wanted * sizeof(*fresh));
    if (fresh == NULL) {
        return -1;
    }
    for (Py_ssize_t at = *length; at < wanted; at++) {
        fresh[at] = NULL;
    }
    *sites = fresh;
    *length = wanted;
    return 0;
}

/* Make room for a place. */
static int
make_room(struct function *function, int32_t offset)
{
    Py_ssize_t units = function->record.code == NULL ? 0 : Py_SIZE(function->record.code);
    if (offset >= 0) {
        Py_ssize_t wanted = offset / 2 + 1;
        return wanted <= function->units
                 ? 0
                 : cover(&function->by_unit, &function->units, wanted > units ? wanted : units);
    }
    return offset > LINES ? 0 : cover(&function->by_line, &function->lines, line_index(function, offset) + 1);
}

struct site *
function_add(struct function *function, int32_t offset, int32_t destination, int64_t slot)
{
    struct site *site = function_site(function, offset);
    if (site != NULL) {
        return site;
    }
    if (make_room(function, offset) < 0) {
        return NULL;
    }
    site = PyMem_RawCalloc(1, sizeof(*site));
    if (site == NULL) {
        return NULL;
    }
    site->slot = slot;
    site->offset = offset;
    site->destination = destination;
    site->next = function->sites;
    function->sites = site;
    if (offset == ENTRY) {
        function->entry = site;
    }
    else if (offset == RESUMED) {
        function->resume = site;
    }
    else if (offset <= LINES) {
        function->by_line[line_index(function, offset)] = site;
    }
    else {
        function->by_unit[offset / 2] = site;
    }
    return site;
}
