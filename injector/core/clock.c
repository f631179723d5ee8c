/* The clock of events: the processor's counter, where the kernel's own clock goes by it too.
 *
 * It is set by the kernel's clock every millisecond, and runs in between as fast as that has run
 * against the counter so far. What cannot be trusted (another source, another processor) is not used.
 */
#include "core.h"

#include <stdio.h>
#include <string.h>

struct ticks ticks;

#ifdef TICKS

#define LEAST_NS 10000000    /* of running, from which on its speed is known, */
#define LONGEST_NS 1000000000 /* and after which it is taken anew: the kernel corrects its clock */
#define TRUSTED_NS 1000000
#define UNDISTURBED_TICKS 2000
#define TRIES 3
#define SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static int is_trusted;
static uint64_t origin;
static int64_t origin_ns;

void
ticks_init(void)
{
    char name[16] = "";
    FILE *file = fopen(SOURCE, "re");
    if (file != NULL) {
        is_trusted = fgets(name, sizeof(name), file) != NULL && strcmp(name, "tsc\n") == 0;
        fclose(file);
    }
}

int64_t
ticks_set(void)
{
    uint64_t before = 0, now = 0;
    int64_t ns = now_ns();
    if (!is_trusted || test_clock.is_set) {
        return ns;
    }
    for (int try = 0; try < TRIES; try++) {
        before = ticks_read();
        ns = now_ns();
        now = ticks_read();
        if (now - before < UNDISTURBED_TICKS) {
            break;
        }
    }
    now = before + (now - before) / 2;
    int64_t ran_ns = ns - origin_ns;
    if (origin == 0 || now <= origin) {
        origin = now;
        origin_ns = ns;
    }
    else if (ran_ns >= LEAST_NS) {
        ticks.ns_32 = (uint64_t)(((unsigned __int128)ran_ns << 32) / (now - origin));
        if (ran_ns >= LONGEST_NS) {
            origin = now;
            origin_ns = ns;
        }
    }
    if (ticks.ns_32) {
        ticks.set = now;
        ticks.set_ns = ns;
        ticks.trusted = ((uint64_t)TRUSTED_NS << 32) / ticks.ns_32;
    }
    return ns;
}

#else

void
ticks_init(void)
{
}

#endif
