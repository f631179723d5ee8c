/* Asking Python, once for each thing: what a code object is, where a site or an edge is counted.
 *
 * During such a call another thread may run and ask the same: what is found afterwards counts.
 */
#include "observer.h"

/* An exception is set. Report it, or keep it for the end of the event. */
static void
failed(struct observer *self, struct thread *thread)
{
    if (core_failed(self->on_error) == FAILED) {
        thread_keep_exception(thread);
    }
}

/* The slot that a call answered; steals ``answer``, which may be NULL with an exception. */
static int64_t
slot_of(struct observer *self, struct thread *thread, PyObject *answer)
{
    int64_t slot = answer == NULL ? -1 : counters_slot(&self->counters, answer);
    if (slot < 0) {
        failed(self, thread);
    }
    Py_XDECREF(answer);
    return slot > 0 ? slot : self->spare;
}

static struct record *
make(void *tracker, PyObject *code, PyObject *spec)
{
    struct function *function = function_new(tracker, code, spec);
    return function == NULL ? NULL : &function->record;
}

struct function *
observer_meet(struct observer *self, struct thread *thread, PyObject *code, PyObject *globals,
              enum known *known)
{
    struct function *function = NULL;
    thread->asked = 1;
    record_begin_asking();
    *known = record_get(code, self->serial, (struct record **)&function);
    if (*known == UNKNOWN && self->resolve != NULL) { /* else cleared: the interpreter is going down */
        if (record_ask(self->resolve, self->serial, code, globals, make, self) < 0) {
            failed(self, thread);
            if (thread->raised == NULL && record_set((PyCodeObject *)code, self->serial, NULL) < 0) {
                PyErr_Clear(); /* it will be asked again */
            }
        }
        *known = record_get(code, self->serial, (struct record **)&function);
    }
    if (*known == UNKNOWN && thread->raised == NULL) {
        *known = NOTHING;
    }
    if (*known == RECORD) {
        function->record.references++;
        if (function->armed_first) {
            function->armed_first = 0;
            observer_arm(self, thread, function);
        }
    }
    record_end_asking();
    return function;
}

struct site *
observer_site(struct observer *self, struct thread *thread, struct function *function, const char *at,
              int32_t offset, int32_t destination)
{
    struct site *site = function_site(function, offset);
    if (likely(site != NULL)) {
        return site;
    }
    int64_t slot = self->spare;
    thread->asked = 1;
    function->record.references++;
    if (self->name_site != NULL) {
        int where = offset <= LINES ? LINES - offset : offset < 0 ? -1 : offset;
        slot = slot_of(self, thread,
                       PyObject_CallFunction(self->name_site, "Lsi", (long long)function->slot, at, where));
    }
    site = function_add(function, offset, destination, slot);
    record_drop(&function->record);
    return site;
}

struct site *
observer_callee(struct observer *self, struct thread *thread, struct function *function, struct site *call,
                PyObject *called)
{
    struct native native;
    if (self->natives.resolve == NULL || called == NULL || call == NULL) {
        return NULL;
    }
    size_t known = self->natives.used;
    if (natives_find(&self->natives, called, NULL, NULL, &native) < 0) {
        thread->asked = 1;
        failed(self, thread);
        return NULL;
    }
    thread->asked |= self->natives.used != known || native.key == NULL;
    struct site *callee = native.number > 0 ? call->callees : NULL;
    while (callee != NULL && callee->native != native.number) {
        callee = callee->callees;
    }
    if (callee != NULL || native.number <= 0 || self->name_site == NULL) {
        return callee;
    }
    thread->asked = 1;
    function->record.references++; /* what its call is stays there meanwhile */
    int64_t slot = slot_of(self, thread, PyObject_CallFunction(self->name_site, "LsiL", (long long)function->slot,
                                                               "call", (int)call->offset, (long long)native.number));
    callee = PyMem_RawCalloc(1, sizeof(*callee));
    if (callee != NULL) {
        *callee = (struct site){.callees = call->callees, .slot = slot, .native = native.number, .offset = call->offset};
        call->callees = callee;
    }
    record_drop(&function->record);
    return callee;
}

int64_t
observer_edge(struct observer *self, struct thread *thread, int64_t caller, int64_t callee)
{
    int64_t slot = edges_find(&self->edges, caller, callee);
    if (slot == 0) {
        slot = self->spare;
        thread->asked = 1;
        if (self->name_edge != NULL) {
            slot = slot_of(self, thread, PyObject_CallFunction(self->name_edge, "LL", (long long)caller,
                                                               (long long)callee));
        }
        int64_t found = edges_find(&self->edges, caller, callee);
        if (found != 0) {
            slot = found;
        }
        else {
            edges_add(&self->edges, caller, callee, slot); /* without memory: asked again */
        }
    }
    return slot;
}

void
observer_name_thread(struct observer *self, struct thread *thread, int64_t function)
{
    thread->slot = self->spare;
    thread->asked = 1;
    if (self->name_thread != NULL) {
        thread->slot = slot_of(self, thread,
                               PyObject_CallFunction(self->name_thread, "L", (long long)function));
    }
}

void
observer_arm(struct observer *self, struct thread *thread, struct function *function)
{
    PyObject *code = (PyObject *)function->record.code;
    if (function->armed || code == NULL || self->arm == NULL) {
        return;
    }
    function->armed = 1;
    thread->asked = 1;
    Py_INCREF(code);
    PyObject *done = PyObject_CallOneArg(self->arm, code);
    if (done == NULL) {
        failed(self, thread);
    }
    Py_XDECREF(done);
    Py_DECREF(code);
}
