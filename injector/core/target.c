/* Reading a DelaySpec: (slot, progress slot, every, fixed, entry, resume, sites by offset[, dose[, parts]]). */
#include "target.h"

#include "waits.h"

#include <string.h>

#if PY_VERSION_HEX < 0x030C0000
#include <opcode.h>
#endif

static void
destroy(struct record *record)
{
    struct target *target = (struct target *)record;
    PyMem_RawFree(target->site_of);
    PyMem_RawFree(target->line_of);
    PyMem_RawFree(target->sites);
    PyMem_RawFree(target->parts);
    PyMem_RawFree(target);
}

/* (gil ns, nogil ns, wait ns, share of a wait), or None for no visit. */
static int
read_visit(struct visit *visit, PyObject *tuple)
{
    double *ns = visit->ns;
    if (tuple != Py_None
        && (!PyTuple_Check(tuple)
            || !PyArg_ParseTuple(tuple, "dddd", &ns[GIL], &ns[NOGIL], &ns[WAIT], &visit->share))) {
        PyErr_Format(PyExc_TypeError, "a visit is a tuple (gil, nogil, wait, share), not %R", tuple);
        return -1;
    }
    visit->present = tuple != Py_None;
    return 0;
}

/* Sites by offset or by line: the least and the largest key; -1 if one is no such number. */
static int
range_of(PyObject *sites, Py_ssize_t *least, Py_ssize_t *most)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    *least = PY_SSIZE_T_MAX;
    *most = -1;
    while (PyDict_Next(sites, &at, &key, &value)) {
        Py_ssize_t place = offset_of(key);
        if (place < 0 || place > (1 << 28)) {
            PyErr_Format(PyExc_ValueError, "a site's place is a number of bytes, or a line, not %R", key);
            return -1;
        }
        *least = place < *least ? place : *least;
        *most = place > *most ? place : *most;
    }
    return 0;
}

/* Whether there is a dict of sites; -1 if it is something else. */
static int
has_sites(PyObject *sites)
{
    if (sites != Py_None && !PyDict_Check(sites)) {
        PyErr_Format(PyExc_TypeError, "sites must be a dict or None, not %.100s", Py_TYPE(sites)->tp_name);
        return -1;
    }
    return sites != Py_None && PyDict_GET_SIZE(sites) > 0;
}

/* Make room for more sites: ``used`` are filled in. */
static int
make_room(struct target *target, Py_ssize_t used, PyObject *sites)
{
    Py_ssize_t count = used + PyDict_GET_SIZE(sites);
    if (count > UINT16_MAX - 1) {
        PyErr_Format(PyExc_ValueError, "%zd sites in one function are too many", count);
        return -1;
    }
    struct visit *room = PyMem_RawRealloc(target->sites, (size_t)count * sizeof(*room));
    if (room == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(room + used, 0, (size_t)(count - used) * sizeof(*room));
    target->sites = room;
    return 0;
}

/* An index that covers the places from ``first`` up to ``last``; what the old one had is kept. */
static int
cover(uint16_t **index, Py_ssize_t *length, Py_ssize_t shift, Py_ssize_t wanted)
{
    if (shift == 0 && wanted <= *length) {
        return 0;
    }
    wanted = wanted > *length + shift ? wanted : *length + shift;
    uint16_t *fresh = PyMem_RawCalloc((size_t)wanted, sizeof(*fresh));
    if (fresh == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (*length > 0) {
        memcpy(fresh + shift, *index, (size_t)*length * sizeof(*fresh));
    }
    PyMem_RawFree(*index);
    *index = fresh;
    *length = wanted;
    return 0;
}

static int
cover_lines(struct target *target, Py_ssize_t least, Py_ssize_t most)
{
    if (target->lines == 0) {
        target->first_line = (int32_t)least;
    }
    Py_ssize_t shift = least < target->first_line ? target->first_line - least : 0;
    target->first_line -= (int32_t)shift;
    return cover(&target->line_of, &target->lines, shift, most - target->first_line + 1);
}

/* Sites of a part; ``used`` are filled in already, and counted on. */
static int
read_sites(struct target *target, uint16_t part, PyObject *sites, int by_line, Py_ssize_t *used)
{
    Py_ssize_t at = 0, least, most;
    PyObject *key, *value;
    int there = has_sites(sites);
    if (there <= 0) {
        return there;
    }
    if (range_of(sites, &least, &most) < 0 || make_room(target, *used, sites) < 0
        || (by_line ? cover_lines(target, least, most)
                    : cover(&target->site_of, &target->units, 0, most / 2 + 1)) < 0) {
        return -1;
    }
    while (PyDict_Next(sites, &at, &key, &value)) {
        struct visit *visit = &target->sites[*used];
        if (read_visit(visit, value) < 0) {
            return -1;
        }
        uint16_t *index = by_line ? &target->line_of[offset_of(key) - target->first_line]
                                  : &target->site_of[offset_of(key) / 2];
        visit->part = part;
        visit->is_counted = by_line || target->parts[part].native != 0;
        visit->next = *index;
        target->waits |= waits_follow(visit);
        *index = (uint16_t)++*used;
    }
    return 0;
}

/* (slot, number of the native callable or 0, sites by offset, sites by line, dose) */
static int
read_part(struct target *target, const struct counters *counters, uint16_t part, PyObject *tuple, Py_ssize_t *used)
{
    PyObject *slot, *sites, *lines;
    long long native;
    double dose[STATES];
    if (!PyTuple_Check(tuple)
        || !PyArg_ParseTuple(tuple, "OLOO(ddd)", &slot, &native, &sites, &lines, &dose[GIL], &dose[NOGIL],
                             &dose[WAIT])) {
        PyErr_Format(PyExc_TypeError, "a part is a tuple of five, not %R", tuple);
        return -1;
    }
    target->parts[part].slot = counters_slot(counters, slot);
    target->parts[part].native = native;
    target->has_natives |= native != 0;
    target_multiply(target, part, dose);
    return target->parts[part].slot < 0 || read_sites(target, part, sites, 0, used) < 0
                   || read_sites(target, part, lines, 1, used) < 0
               ? -1
               : 0;
}

/* Find out which sites are calls. */
static int
mark_calls(struct target *target)
{
#if PY_VERSION_HEX < 0x030C0000
    PyObject *bytes = PyCode_GetCode(target->record.code);
    if (bytes == NULL) {
        return -1;
    }
    const unsigned char *code = (const unsigned char *)PyBytes_AS_STRING(bytes);
    for (Py_ssize_t unit = 0; unit < target->units && 2 * unit < PyBytes_GET_SIZE(bytes); unit++) {
        struct visit *site = target_site(target, 2 * unit);
        if (site != NULL && (code[2 * unit] == CALL || code[2 * unit] == CALL_FUNCTION_EX)) {
            site->is_call = site->is_open = 1;
            target->open_calls++;
        }
    }
    Py_DECREF(bytes);
#else
    (void)target; /* sys.monitoring tells */
#endif
    return 0;
}

/* Fill in a zeroed target. */
static int
read_spec(struct target *target, const struct counters *counters, PyObject *spec)
{
    PyObject *slot, *progress, *entry, *resume, *sites, *parts = NULL;
    long long every;
    double dose[STATES] = {1.0, 1.0, 1.0};
    if (!PyTuple_Check(spec)) {
        PyErr_Format(PyExc_TypeError, "resolve must answer a tuple or None, not %.100s",
                     Py_TYPE(spec)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(spec, "OOLpOOO|(ddd)O!;resolve must answer seven things, or up to nine", &slot,
                          &progress, &every, &target->fixed, &entry, &resume, &sites, &dose[GIL],
                          &dose[NOGIL], &dose[WAIT], &PyTuple_Type, &parts)) {
        return -1;
    }
    Py_ssize_t count = 1 + (parts == NULL ? 0 : PyTuple_GET_SIZE(parts)), used = 0;
    if (count > UINT16_MAX) {
        PyErr_Format(PyExc_ValueError, "%zd targets in one function are too many", count);
        return -1;
    }
    target->parts = PyMem_RawCalloc((size_t)count, sizeof(*target->parts));
    if (target->parts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    target->count = (int)count;
    target->every = every < 1 ? 1 : (uint64_t)every;
    target->parts[0].slot = counters_slot(counters, slot);
    target_multiply(target, 0, dose);
    target->progress = target->parts[0].slot < 0 ? -1 : counters_slot(counters, progress);
    if (target->progress < 0 || read_visit(&target->entry, entry) < 0
        || read_visit(&target->resume, resume) < 0) {
        return -1;
    }
    target->waits = waits_follow(&target->entry) || waits_follow(&target->resume);
    if (read_sites(target, 0, sites, 0, &used) < 0) {
        return -1;
    }
    for (Py_ssize_t at = 1; at < count; at++) {
        if (read_part(target, counters, (uint16_t)at, PyTuple_GET_ITEM(parts, at - 1), &used) < 0) {
            return -1;
        }
    }
    return used > 0 ? mark_calls(target) : 0;
}

void
target_multiply(struct target *target, Py_ssize_t part, const double *dose)
{
    struct part *changed = &target->parts[part];
    changed->is_delayed = 0;
    for (enum state state = GIL; state < STATES; state++) {
        changed->dose[state] = dose[state] > 0.0 ? dose[state] : 0.0;
        changed->is_delayed |= changed->dose[state] > 0.0 && changed->slot > 0;
    }
    target->bearer = 0;
    while (target->bearer < target->count - 1 && !target->parts[target->bearer].is_delayed) {
        target->bearer++;
    }
    target->is_delayed = target->parts[target->bearer].is_delayed;
}

struct target *
target_new(const struct counters *counters, uint64_t owner, PyObject *code, PyObject *spec)
{
    struct target *target = PyMem_RawCalloc(1, sizeof(*target));
    if (target == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    target->record = (struct record){owner, (PyCodeObject *)code, 1, destroy};
    if (read_spec(target, counters, spec) < 0) {
        record_drop(&target->record);
        target = NULL;
    }
    return target;
}
