"""What the generated programs are made of: sizes and places of planted work, one recipe a program.

A unit of every program goes ``launch, prepare, wait, respond``: while a device (a sleep until it is
done) or a worker (a thread or a process) is busy, the main lane prepares; when what takes longest
of these has ended, it responds. So the truth follows from the recipe: `longest` and what responds
are critical, and what ends well before `longest` is hidden, however hot it is. Lanes that decide
wait first and work then, so that what runs beside them needs no processor at the same time: how
many of them there are must not be what decides. Work is counted in turns of a plain loop or in
bytes; its microseconds are those of one processor, and only say how much there is of one kind
compared with another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["function", "method", "generator", "recursion", "pack", "digest", "wait"]
Phase = Literal["prepare", "assist", "respond"]
PHASES: tuple[Phase, ...] = ("prepare", "assist", "respond")
"""On the main lane beside others; on the worker; on the main lane when all have been waited for."""

TURNING = frozenset({"function", "method", "generator", "recursion"})
"""Kinds whose work is turns of a loop: their shares of a unit are known on any processor."""

PER_US: dict[Kind, float] = {
    **dict.fromkeys(("function", "method", "generator", "recursion"), 13.0),  # turns of a loop
    "pack": 14.0,  # bytes through zlib, which releases the GIL, as hashlib does
    "digest": 750.0,
    "wait": 1.0,
}
"""How much work a microsecond stands for."""


@dataclass(frozen=True)
class Work:
    """One planted function: about ``us`` microseconds a call, ``calls`` of them in every
    ``every``-th unit."""

    kind: Kind
    us: float
    calls: int = 1
    every: int = 1

    @property
    def us_per_unit(self) -> float:
        """What that comes to on average."""
        return self.us * self.calls / self.every

    @property
    def amount(self) -> int:
        """Turns, bytes or microseconds a call."""
        return round(self.us * PER_US[self.kind])


@dataclass(frozen=True)
class Recipe:
    """One program. ``depth`` is how many names the longest dotted module name has, ``fan_out`` how
    many modules or packages there are in each package. With ``ahead`` the device always has the
    next unit's work before this one's is waited for, which hides everything. ``longest`` is what
    the others that run beside it hide behind."""

    name: str
    why: str
    depth: int
    fan_out: int
    respond: tuple[Work, ...] = ()
    prepare: tuple[Work, ...] = ()
    assist: tuple[Work, ...] = ()
    worker: Literal["thread", "process"] = "thread"
    kernel_us: int = 0
    longest: Literal["prepare", "assist", "device"] | None = None
    ahead: bool = False
    seed: int = 0

    def works(self, phase: Phase) -> tuple[Work, ...]:
        """What is planted in a phase."""
        return {"prepare": self.prepare, "assist": self.assist, "respond": self.respond}[phase]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Those that something is planted in."""
        return tuple(phase for phase in PHASES if self.works(phase))

    def is_critical(self, phase: Phase) -> bool:
        """Whether what runs then makes a unit longer."""
        return not self.ahead and phase in ("respond", self.longest)

    @property
    def critical(self) -> tuple[Work, ...]:
        """What makes a unit longer."""
        return tuple(work for p in PHASES if self.is_critical(p) for work in self.works(p))

    @property
    def hidden(self) -> tuple[Work, ...]:
        """What does not."""
        return tuple(work for p in PHASES if not self.is_critical(p) for work in self.works(p))

    @property
    def unit_us(self) -> float:
        """About how long a unit takes."""
        kernel = self.kernel_us if self.longest == "device" else 0
        return kernel + sum(work.us_per_unit for work in self.critical)


RECIPES = (
    Recipe(
        "flat",
        "Three functions, one after the other, and nothing beside them.",
        depth=1,
        fan_out=3,
        respond=(Work("function", 2500), Work("function", 1500), Work("method", 1000)),
    ),
    Recipe(
        "deep",
        "All the work in one method, six packages down.",
        depth=6,
        fan_out=2,
        respond=(Work("method", 4000),),
    ),
    Recipe(
        "wide",
        "Two functions among many modules side by side.",
        depth=2,
        fan_out=8,
        respond=(Work("generator", 2500), Work("function", 1500)),
    ),
    Recipe(
        "remote_call",
        "A call of fixed latency in the path, and work around it.",
        depth=4,
        fan_out=3,
        respond=(Work("function", 2000), Work("wait", 3000), Work("method", 1000)),
    ),
    Recipe(
        "recursion",
        "Two functions that call themselves, one two and a half times as long as the other.",
        depth=3,
        fan_out=3,
        respond=(Work("recursion", 2500), Work("recursion", 1000)),
    ),
    Recipe(
        "rarely_heavy",
        "A function of 16 ms once in eight units weighs as much as one of 2 ms in each.",
        depth=3,
        fan_out=3,
        respond=(Work("function", 16_000, every=8), Work("method", 2000)),
    ),
    Recipe(
        "decoy_before_wait",
        "The hottest method runs while the device does, a small function after the wait for it.",
        depth=3,
        fan_out=3,
        respond=(Work("function", 1200),),
        prepare=(Work("method", 3000),),
        kernel_us=9000,
        longest="device",
    ),
    Recipe(
        "generators",
        "A generator behind the device, and a less hot one that is not.",
        depth=4,
        fan_out=2,
        respond=(Work("generator", 1500),),
        prepare=(Work("generator", 2500),),
        kernel_us=7000,
        longest="device",
    ),
    Recipe(
        "tiny_often",
        "A function called 500 times a unit is critical, one called 800 times is hidden.",
        depth=3,
        fan_out=4,
        respond=(Work("function", 2.5, calls=500), Work("method", 1500)),
        prepare=(Work("function", 2.5, calls=800),),
        kernel_us=7000,
        longest="device",
    ),
    Recipe(
        "packing_beside_device",
        "A thread compresses (no GIL) while the device works, and is done long before it.",
        depth=3,
        fan_out=3,
        respond=(Work("method", 2000), Work("generator", 1200)),
        assist=(Work("pack", 3200),),
        kernel_us=9000,
        longest="device",
    ),
    Recipe(
        "python_beside_device",
        "A thread computes in Python while the device works: two lanes share the GIL, both hidden.",
        depth=2,
        fan_out=3,
        respond=(Work("generator", 1500),),
        prepare=(Work("method", 1000),),
        assist=(Work("function", 2500),),
        kernel_us=10_000,
        longest="device",
    ),
    Recipe(
        "packing_decides",
        "The thread, which waits and compresses, takes longest; what prepares beside it is hidden.",
        depth=3,
        fan_out=3,
        respond=(Work("method", 1500),),
        prepare=(Work("function", 2000),),
        assist=(Work("wait", 5000), Work("pack", 2500)),
        longest="assist",
    ),
    Recipe(
        "digest_beside_packing",
        "The main lane, which waits and compresses, takes longer than the thread that hashes.",
        depth=4,
        fan_out=2,
        respond=(Work("function", 1500),),
        prepare=(Work("wait", 5000), Work("pack", 2500)),
        assist=(Work("digest", 2000),),
        longest="prepare",
    ),
    Recipe(
        "process_beside_device",
        "A second process is the hottest, and done long before the device.",
        depth=3,
        fan_out=3,
        respond=(Work("function", 1500),),
        assist=(Work("method", 2500),),
        worker="process",
        kernel_us=10_000,
        longest="device",
    ),
    Recipe(
        "process_decides",
        "The second process takes longest; what the main lane prepares meanwhile is hidden.",
        depth=5,
        fan_out=2,
        respond=(Work("recursion", 1500),),
        prepare=(Work("method", 2000),),
        assist=(Work("wait", 5000), Work("function", 2500)),
        worker="process",
        longest="assist",
    ),
    Recipe(
        "device_decides",
        "The device always has work: however hot, often or rare, everything else is hidden.",
        depth=4,
        fan_out=3,
        respond=(Work("method", 1200), Work("function", 2.5, calls=400)),
        prepare=(Work("function", 2000), Work("generator", 800, every=2)),
        kernel_us=12_000,
        longest="device",
        ahead=True,
    ),
    Recipe(
        "everything",
        "Three critical functions, one rare, one recursive, one called often, among decoys.",
        depth=5,
        fan_out=4,
        respond=(
            Work("recursion", 1500),
            Work("function", 4000, every=4),
            Work("function", 2.5, calls=400),
        ),
        prepare=(Work("method", 1700),),
        assist=(Work("pack", 1700),),
        kernel_us=7000,
        longest="device",
    ),
)
