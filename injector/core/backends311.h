/* The mechanisms of Python 3.11, as functions of the module. None of them is there from 3.12 on. */
#ifndef SPEEDBUMP_BACKENDS311_H
#define SPEEDBUMP_BACKENDS311_H

#include "core.h"

#if PY_VERSION_HEX < 0x030C0000

/* frame_eval.c: delay mode. */
PyObject *frame_eval_install(PyObject *module, PyObject *delayer);
PyObject *frame_eval_uninstall(PyObject *module, PyObject *none);

/* profile.c: discover mode. */
PyObject *profile_install(PyObject *module, PyObject *observer);
PyObject *profile_uninstall(PyObject *module, PyObject *none);
PyObject *profile_thread(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* Observe also threads that were started behind threading's back. Does nothing while no observer is
 * installed. */
void profile_cover(void);

#endif
#endif
