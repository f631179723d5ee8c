/* Python 3.11's frames, where no public interface shows them. Only for frame_*.c. */
#ifndef SPEEDBUMP_FRAMES311_H
#define SPEEDBUMP_FRAMES311_H

#include "core.h"

#if PY_VERSION_HEX < 0x030C0000

#define Py_BUILD_CORE 1
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#include <opcode.h>

typedef _PyInterpreterFrame running; /* a frame of the interpreter's */

/* The index of the instruction that a frame stands on, not of one of its inline caches; -1 for a
 * frame that has not begun. */
static inline Py_ssize_t
running_unit(const running *frame)
{
    const _Py_CODEUNIT *code = _PyCode_CODE(frame->f_code);
    Py_ssize_t unit = frame->prev_instr - code;
    while (unit > 0 && _Py_OPCODE(code[unit]) == CACHE) {
        unit--;
    }
    return unit;
}

/* The opcode there; -1 for a frame that has not begun. */
static inline int
running_opcode(const running *frame, Py_ssize_t unit)
{
    return unit < 0 ? -1 : _Py_OPCODE(_PyCode_CODE(frame->f_code)[unit]);
}

static inline int
opcode_is_call(int opcode)
{
    return opcode == CALL || opcode == CALL_ADAPTIVE || opcode == CALL_PY_EXACT_ARGS
        || opcode == CALL_PY_WITH_DEFAULTS || opcode == CALL_FUNCTION_EX;
}

#endif
#endif
