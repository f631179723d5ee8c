/* The mechanism of Python 3.11, as functions of the module. It is not there from 3.12 on. */
#ifndef SPEEDBUMP_BACKENDS311_H
#define SPEEDBUMP_BACKENDS311_H

#include "core.h"

#if PY_VERSION_HEX < 0x030C0000

/* frame_eval.c: bring the events of all frames to a Delayer or an Observer. */
PyObject *frame_eval_install(PyObject *module, PyObject *tracker);
PyObject *frame_eval_uninstall(PyObject *module, PyObject *none);

/* frame_observe.c: have the native calls of armed code told also where it is running already. Does
 * nothing while no Observer is installed. */
void frame_observe_cover(void);

#endif
#endif
