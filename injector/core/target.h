/* What a Delayer knows of one code object, made from the answer of its ``resolve``. */
#ifndef SPEEDBUMP_TARGET_H
#define SPEEDBUMP_TARGET_H

#include "delayer.h"

/* A new target (one reference) from a DelaySpec tuple. NULL with an exception if it is none. */
struct target *target_new(const struct counters *counters, uint64_t owner, PyObject *code, PyObject *spec);

/* Multiply the delays of a part by ``dose``, one for each state, from now on. */
void target_multiply(struct target *target, Py_ssize_t part, const double *dose);

static inline struct visit *
target_visit(const struct target *target, uint16_t index)
{
    return index ? &target->sites[index - 1] : NULL;
}

/* The first visit at a byte offset, NULL where there is no site. */
static inline struct visit *
target_site(const struct target *target, Py_ssize_t offset)
{
    size_t unit = (size_t)offset / 2;
    return target_visit(target, offset >= 0 && unit < (size_t)target->units ? target->site_of[unit] : 0);
}

/* The same for a line. */
static inline struct visit *
target_line(const struct target *target, Py_ssize_t line)
{
    Py_ssize_t at = line - target->first_line;
    return target_visit(target, at >= 0 && at < target->lines ? target->line_of[at] : 0);
}

#endif
