/* Delay mode. The contract is injector/tracker.py's Delayer, the Python twin injector/delayer.py. */
#ifndef SPEEDBUMP_DELAYER_H
#define SPEEDBUMP_DELAYER_H

#include "natives.h"

/* What delays are counted for and multiplied by together: a function, or a finer target inside it. */
struct part {
    int64_t slot;        /* of its counters; 0 none */
    int64_t native;      /* only calls of the native callable of this number are its visits; 0 all */
    double dose[STATES]; /* what delays are multiplied by */
    int is_delayed;      /* whether any is; else nothing of it is delayed or counted */
};

/* A delay at a site. */
struct visit {
    double ns[STATES]; /* to be added to the debts at a dose of 1 */
    double share;      /* of a wait, to be added to it as it turns out; 0: always ns[WAIT] */
    int present;       /* 0: there is no such visit */
    uint16_t part;     /* index of its part */
    uint16_t next;     /* another visit of the same site: index into the target's sites plus 1, 0 none */
    int is_counted;    /* whether each visit is a call of its part */
    int is_call;       /* at a call instruction; known on 3.11 only, */
    int is_open;       /* where no Python callee has been seen yet */
};

/* What is known about one code object that is delayed or is the progress point; or about a native
 * callable that is delayed wherever it is called: then it has no code. */
struct target {
    struct record record;
    int64_t progress;    /* slot of the progress point; 0 it is not */
    uint64_t seen;       /* calls, for ``every`` */
    uint64_t every;      /* only each Nth call adds its entry visit; at least 1 */
    int fixed;           /* pay at once, whatever the floor */
    struct part *parts;  /* owned; the first is the function itself */
    int count;           /* of parts */
    int is_delayed;      /* whether any part is: the first of those bears */
    int bearer;          /* what a callback costs where nothing is delayed */
    int has_natives;     /* whether any part is a native callable */
    struct visit entry, resume;
    Py_ssize_t units;    /* code units that site_of covers */
    uint16_t *site_of;   /* by offset / 2: index into sites plus 1, 0 none; owned */
    int32_t first_line;  /* of those that line_of covers */
    Py_ssize_t lines;
    uint16_t *line_of;   /* the same by line; owned */
    struct visit *sites; /* owned */
    int open_calls;      /* sites that are open */
    int waits;           /* whether the delays of any visit follow the waits seen */
};

struct delayer {
    PyObject_HEAD
    uint64_t serial;     /* that its records carry, */
    uint64_t debtors;    /* and its threads: changes at a fork, the debts of before are nobody's */
    struct counters counters;
    struct window window;
    struct natives natives; /* by number, or by a target of their own: those are delayed everywhere */
    int everywhere;      /* whether there are such, and every call is looked at */
    int with_sites;      /* targets that are slowed and have sites; those gone still count */
    int64_t entry_ns, site_ns, line_ns; /* what one callback costs, */
    int64_t wide_ns;           /* and each number that had to be made for it, */
    int64_t pay_ns;            /* and a payment beyond what it spends */
    int64_t lowest, highest;   /* slots in use: what a still copies; lowest 0: none */
    PyObject *resolve, *on_error, *disable;
};

/* The events, for the frame evaluation backend: FAILED with an exception that is the target's.
 * ``globals`` may be NULL. ``wide``: how many numbers the interpreter had to make to tell of it. */
enum answer delayer_start(struct delayer *self, PyObject *code, PyObject *globals);
enum answer delayer_resume(struct delayer *self, PyObject *code, int wide);
enum answer delayer_site(struct delayer *self, PyObject *code, Py_ssize_t offset, int wide);
enum answer delayer_call(struct delayer *self, PyObject *code, Py_ssize_t offset, PyObject *called, int wide);
enum answer delayer_line(struct delayer *self, PyObject *code, Py_ssize_t line);

/* The progress point is called; ``slot`` is where it is counted. */
void delayer_progress(struct delayer *self, int64_t slot);

/* Find out what code is, if that is not known: DISABLE, or FAILED with the target's exception. */
enum answer delayer_meet(struct delayer *self, PyObject *code);

/* Multiply the delays of a part of a target by ``dose``, one for each state, from now on; nothing for
 * code that is none, or has no such part. */
void delayer_switch(struct delayer *self, PyObject *code, Py_ssize_t part, const double *dose);

/* Nobody owes anything any more. */
void delayer_forgive(struct delayer *self);

/* A frame of the target ends or yields; before delayer_site. */
void delayer_end(struct delayer *self, const struct target *target);

/* Whether ``object`` is a Delayer of this module. */
int delayer_check(PyObject *object);

extern PyType_Spec delayer_spec;

#endif
