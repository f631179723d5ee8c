/* Exceptions: the injector's own are recorded and never seen by the target. */
#include "core.h"

static PyObject *folder; /* str ending in a separator; NULL until known */

int
errors_init(PyObject *module)
{
    int failed = -1;
    PyObject *file = PyObject_GetAttrString(module, "__file__");
    if (file == NULL) {
        PyErr_Clear(); /* built in: no folder, every exception is ours */
        failed = 0;
    }
    else if (PyUnicode_Check(file)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(file);
        Py_ssize_t end = PyUnicode_FindChar(file, '/', 0, length, -1);
        PyObject *found = PyUnicode_Substring(file, 0, end + 1);
        if (found != NULL) {
            Py_XSETREF(folder, found);
            failed = 0;
        }
    }
    else {
        PyErr_SetString(PyExc_ImportError, "__file__ of the core is not a string");
    }
    Py_XDECREF(file);
    return failed;
}

/* Whether code of the injector raised the exception whose traceback this is. Without a traceback it
 * was raised in C. Errors on the way are cleared: then it is. */
static int
raised_here(PyObject *traceback)
{
    int here = 1;
    PyTracebackObject *at = (PyTracebackObject *)traceback;
    if (at != NULL && (PyObject *)at != Py_None && folder != NULL) {
        while (at->tb_next != NULL) {
            at = at->tb_next;
        }
        PyCodeObject *code = PyFrame_GetCode(at->tb_frame);
        Py_ssize_t tail = PyUnicode_Tailmatch(code->co_filename, folder, 0, PY_SSIZE_T_MAX, -1);
        here = tail != 0;
        PyErr_Clear();
        Py_DECREF(code);
    }
    return here;
}

/* Hand an exception over. FAILED if something that is not an Exception came out of that. */
static enum answer
report(PyObject *on_error, PyObject *error)
{
    enum answer answer = KEEP;
    if (on_error != NULL && error != NULL) {
        PyObject *done = PyObject_CallOneArg(on_error, error);
        if (done == NULL) {
            if (PyErr_ExceptionMatches(PyExc_Exception)) {
                PyErr_Clear(); /* nowhere left to record it */
            }
            else {
                answer = FAILED;
            }
        }
        Py_XDECREF(done);
    }
    return answer;
}

enum answer
core_failed(PyObject *on_error)
{
    enum answer answer = FAILED;
    PyObject *type = NULL, *error = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (type != NULL && PyErr_GivenExceptionMatches(type, PyExc_Exception) && raised_here(traceback)) {
        if (traceback != NULL && error != NULL) {
            PyException_SetTraceback(error, traceback);
        }
        answer = report(on_error, error);
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
    }
    else {
        PyErr_Restore(type, error, traceback);
    }
    return answer;
}

void
thread_keep_exception(struct thread *thread)
{
    PyObject *type = NULL, *error = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (error != NULL && traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    if (thread->raised == NULL) {
        thread->raised = error;
        error = NULL;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

void
thread_raise(struct thread *thread)
{
    PyObject *error = thread->raised;
    thread->raised = NULL;
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
}
