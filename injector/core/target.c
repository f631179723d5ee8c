/* Reading a DelaySpec: (slot, progress slot, every, fixed, entry, resume, sites by offset[, dose]). */
#include "target.h"

#include "waits.h"

#if PY_VERSION_HEX < 0x030C0000
#include <opcode.h>
#endif

static void
destroy(struct record *record)
{
    struct target *target = (struct target *)record;
    PyMem_RawFree(target->site_of);
    PyMem_RawFree(target->sites);
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

/* The largest key of a dict of offsets; -1 if one is no offset. */
static Py_ssize_t
largest(PyObject *sites)
{
    Py_ssize_t at = 0, most = 0;
    PyObject *key, *value;
    while (PyDict_Next(sites, &at, &key, &value)) {
        Py_ssize_t offset = offset_of(key);
        if (offset < 0 || offset > (1 << 28)) {
            PyErr_Format(PyExc_ValueError, "a site's offset is a number of bytes, not %R", key);
            return -1;
        }
        most = offset > most ? offset : most;
    }
    return most;
}

static int
read_sites(struct target *target, PyObject *sites)
{
    Py_ssize_t at = 0, most, count = PyDict_GET_SIZE(sites);
    PyObject *key, *value;
    if (count == 0) {
        return 0;
    }
    most = largest(sites);
    if (most < 0) {
        return -1;
    }
    if (count > UINT16_MAX - 1) {
        PyErr_Format(PyExc_ValueError, "%zd sites in one function are too many", count);
        return -1;
    }
    target->units = most / 2 + 1;
    target->site_of = PyMem_RawCalloc((size_t)target->units, sizeof(*target->site_of));
    target->sites = PyMem_RawCalloc((size_t)count, sizeof(*target->sites));
    if (target->site_of == NULL || target->sites == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    uint16_t index = 0;
    while (PyDict_Next(sites, &at, &key, &value)) {
        if (read_visit(&target->sites[index], value) < 0) {
            return -1;
        }
        target->waits |= waits_follow(&target->sites[index]);
        target->site_of[offset_of(key) / 2] = ++index;
    }
    return 0;
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
    PyObject *slot, *progress, *entry, *resume, *sites;
    long long every;
    if (!PyTuple_Check(spec)) {
        PyErr_Format(PyExc_TypeError, "resolve must answer a tuple or None, not %.100s",
                     Py_TYPE(spec)->tp_name);
        return -1;
    }
    double dose[STATES] = {1.0, 1.0, 1.0};
    if (!PyArg_ParseTuple(spec, "OOLpOOO|(ddd);resolve must answer seven things, or eight", &slot, &progress,
                          &every, &target->fixed, &entry, &resume, &sites, &dose[GIL], &dose[NOGIL],
                          &dose[WAIT])) {
        return -1;
    }
    target_multiply(target, dose);
    target->every = every < 1 ? 1 : (uint64_t)every;
    target->slot = counters_slot(counters, slot);
    target->progress = target->slot < 0 ? -1 : counters_slot(counters, progress);
    if (target->progress < 0 || read_visit(&target->entry, entry) < 0
        || read_visit(&target->resume, resume) < 0) {
        return -1;
    }
    target->waits = waits_follow(&target->entry) || waits_follow(&target->resume);
    if (sites != Py_None && !PyDict_Check(sites)) {
        PyErr_Format(PyExc_TypeError, "sites must be a dict or None, not %.100s", Py_TYPE(sites)->tp_name);
        return -1;
    }
    if (sites == Py_None) {
        return 0;
    }
    return read_sites(target, sites) < 0 ? -1 : mark_calls(target);
}

void
target_multiply(struct target *target, const double *dose)
{
    target->is_delayed = 0;
    for (enum state state = GIL; state < STATES; state++) {
        target->dose[state] = dose[state] > 0.0 ? dose[state] : 0.0;
        target->is_delayed |= target->dose[state] > 0.0;
    }
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
