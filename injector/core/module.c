/* The module injector._core: see core.h for what it is, injector/_core.pyi for what it offers. */
#include "backends311.h"
#include "delayer.h"
#include "observer.h"

/* Spend what ``argument`` says, by ``spend``. */
static PyObject *
spend(PyObject *argument, int64_t (*function)(int64_t))
{
    double ns = PyFloat_AsDouble(argument);
    if (ns == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (!(ns < 9e18)) {
        PyErr_Format(PyExc_ValueError, "%R ns cannot be spent", argument);
        return NULL;
    }
    return PyLong_FromLongLong(function(ns > 0 ? (int64_t)ns : 0));
}

static PyObject *
module_spin_gil(PyObject *Py_UNUSED(module), PyObject *ns)
{
    return spend(ns, spin_gil);
}

static PyObject *
module_spin_nogil(PyObject *Py_UNUSED(module), PyObject *ns)
{
    return spend(ns, spin_nogil);
}

static PyObject *
module_wait(PyObject *Py_UNUSED(module), PyObject *ns)
{
    return spend(ns, wait_for);
}

struct test_clock test_clock;

static PyObject *
module_set_clock(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long wall_ns = 0, cpu_ns = 0;
    if (!PyArg_ParseTuple(args, "|LL:set_clock", &wall_ns, &cpu_ns)) {
        return NULL;
    }
    test_clock = (struct test_clock){PyTuple_GET_SIZE(args) > 0, wall_ns, cpu_ns};
    ticks.trusted = 0;
    Py_RETURN_NONE;
}

static PyObject *
module_listen(PyObject *Py_UNUSED(module), PyObject *args)
{
    int pipe = -1;
    PyObject *view = NULL;
    struct counters counters = {0};
    if (!PyArg_ParseTuple(args, "iO:listen", &pipe, &view) || counters_hold(&counters, view) < 0) {
        return NULL;
    }
    int goes_on = counters_listen(&counters, pipe);
    counters_release(&counters);
    return PyBool_FromLong(goes_on);
}

static PyMethodDef functions[] = {
    {"spin_gil", module_spin_gil, METH_O, "Compute for ns holding the GIL. Returns the ns spent."},
    {"spin_nogil", module_spin_nogil, METH_O, "Compute for ns without the GIL. Returns the ns spent."},
    {"listen", module_listen, METH_VARARGS, "Until the pipe is written to: True; nobody is left to write: False."},
    {"set_clock", module_set_clock, METH_VARARGS, "For tests: what the clocks say. None: the truth again."},
    {"wait", module_wait, METH_O, "Sleep for ns. Returns the ns slept, usually 60 us more."},
#if PY_VERSION_HEX < 0x030C0000
    {"install_frame_eval", frame_eval_install, METH_O, "Bring the events of all frames to a Delayer or an Observer."},
    {"uninstall_frame_eval", frame_eval_uninstall, METH_NOARGS, "Bring no more events."},
#endif
    {NULL, NULL, 0, NULL},
};

/* Whether this interpreter is one the core can work in. */
static int
suits(void)
{
#ifdef Py_GIL_DISABLED
    PyErr_SetString(PyExc_ImportError,
                    "the compiled core relies on the GIL, which this build of Python does not have; "
                    "the Python twin is used instead");
    return -1;
#else
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "the compiled core works in the main interpreter only; "
                        "the Python twin is used instead");
        return -1;
    }
    return 0;
#endif
}

static int
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int failed = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return failed;
}

static int
execute(PyObject *module)
{
    ticks_init();
    return suits() < 0 || errors_init(module) < 0 || record_init() < 0 || thread_init() < 0
                   || add_type(module, &delayer_spec) < 0
                   || add_type(module, &observer_spec) < 0
               ? -1
               : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
#ifdef Py_GIL_DISABLED
    /* Nothing of it runs there (see suits), so being tried must not bring the GIL back. */
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_doc = "The compiled half of the injector: spinning, delaying, observing.",
    .m_size = 0,
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
