/* How long the waits of a thread last, so that each can be made longer by a share of itself.
 * The Python twin is injector/waits.py, where the idea is explained. */
#ifndef SPEEDBUMP_WAITS_H
#define SPEEDBUMP_WAITS_H

#include "delayer.h"

/* Whether the delay of a visit follows the waits seen; others are what the plan says. */
int waits_follow(const struct visit *visit);

/* ns to add before the wait that begins now. */
double waits_expect(struct thread *thread, const struct visit *visit);

/* The wait begins: from now on until waits_end for the same target, what is not CPU time is it. */
void waits_begin(struct thread *thread, const struct visit *visit, const struct target *target);
void waits_end(struct thread *thread, const struct target *target);

/* Whatever began, for this target or (NULL) any, is not to be measured after all. */
void waits_drop(struct thread *thread, const struct target *target);

/* A thread that begins anew knows nothing. */
void waits_clear(struct thread *thread);

#endif
