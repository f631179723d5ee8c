/* What a Delayer knows of one code object, made from the answer of its ``resolve``. */
#ifndef SPEEDBUMP_TARGET_H
#define SPEEDBUMP_TARGET_H

#include "delayer.h"

/* A new target (one reference) from a DelaySpec tuple. NULL with an exception if it is none. */
struct target *target_new(const struct counters *counters, uint64_t owner, PyObject *code, PyObject *spec);

/* Multiply its delays by ``dose``, one for each state, from now on. */
void target_multiply(struct target *target, const double *dose);

/* The visit at a byte offset, NULL where there is no site. */
static inline struct visit *
target_site(const struct target *target, Py_ssize_t offset)
{
    size_t unit = (size_t)offset / 2;
    uint16_t index = offset >= 0 && unit < (size_t)target->units ? target->site_of[unit] : 0;
    return index ? &target->sites[index - 1] : NULL;
}

#endif
