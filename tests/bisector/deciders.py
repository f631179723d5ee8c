"""Those who decide where to look, good ones and bad ones: each answers messages with lines.

As a program (``python deciders.py NAME ARGUMENTS...``) one of them decides over its standard input
and output, as a user's would.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time


class Decider:
    """Remembers what it is told; subclasses say what to do."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.items = {}
        self.outcomes = []
        self.heard = []

    def hear(self, message):
        """One message; returns the answer, a dict or bytes, or None where none is due."""
        assert message["protocol"] == 1
        self.heard.append(message)
        if message["type"] == "problem":
            self.items = {item["name"]: item["most_gain"] for item in message["items"]}
            self.begin(message)
        elif message["type"] == "outcome":
            self.outcomes.append(message)
            self.told(message)
        elif message["type"] == "decide":
            return self.decide()
        return None

    def begin(self, problem):
        pass

    def told(self, outcome):
        pass

    def decide(self):
        return {"type": "done"}


def probe(*sets):
    return {"type": "probe", "sets": [sorted(s) for s in sets]}


class Greedy(Decider):
    """Halves what matters, by own time, until single items are left; claims those.

    All that it knows is what it was told, so that it goes on as before when it is started again.
    """

    def begin(self, problem):
        self.judged = []
        self.open = [sorted(self.items)]

    def told(self, outcome):
        self.judged.append(outcome["items"])
        if outcome["judgement"] == "sensitive":
            self.open.append(outcome["items"])

    def decide(self):
        halves = [h for items in self.open for h in self.halves(items) if h not in self.judged]
        found = [items for items in self.open if len(items) == 1 and items in self.judged]
        return probe(*halves) if halves else {"type": "done", "claims": found}

    def halves(self, items):
        if len(items) == 1:
            return [items]
        total, cut, taken = sum(self.items[i] for i in items), 0, 0.0
        while cut < len(items) - 1 and taken < total / 2:
            taken += self.items[items[cut]]
            cut += 1
        return [items[:cut], items[cut:]]


class Delegates(Decider):
    def decide(self):
        return {"type": "delegate"}


class DelegatesAfterOne(Decider):
    """Looks at one item itself, and leaves the rest to the default search."""

    def decide(self):
        return {"type": "delegate"} if self.outcomes else probe([min(self.items)])


class Random(Decider):
    """Slows sets by chance, claims some by chance, and stops by chance."""

    def begin(self, problem):
        self.chance = random.Random(int(self.arguments[0]) if self.arguments else 0)

    def some(self):
        names = sorted(self.items)
        return self.chance.sample(names, self.chance.randint(1, len(names)))

    def decide(self):
        if self.chance.random() < 0.15:
            return {"type": "done", "claims": [self.some()]}
        return probe(*(self.some() for _ in range(self.chance.randint(1, 3))))


class Repeats(Decider):
    """Asks for the same again and again."""

    def decide(self):
        return probe([max(self.items)])


class Contradicts(Decider):
    """Claims exactly what was shown not to matter."""

    def decide(self):
        names = sorted(self.items)
        left = [n for n in names if all(o["items"] != [n] for o in self.outcomes)]
        if left:
            return probe(left[:1])
        wrong = [o["items"] for o in self.outcomes if o["judgement"] == "insensitive"]
        return {"type": "done", "claims": wrong}


class Claims(Decider):
    """Claims at once what its arguments name, measured or not."""

    def decide(self):
        return {"type": "done", "claims": [list(self.arguments)]}


class Forges(Decider):
    """Sends the results that it would like to have."""

    def decide(self):
        return {"type": "outcome", "items": [min(self.items)], "judgement": "sensitive", "gain": 1}


class NotANumber(Decider):
    def decide(self):
        return b'{"type": "probe", "sets": [["a:f"]], "gain": NaN}\n'


class Unknown(Decider):
    def decide(self):
        return probe(["no.such:thing"])


class Empty(Decider):
    def decide(self):
        return {"type": "probe", "sets": [[]]}


class Nonsense(Decider):
    def decide(self):
        return b"let us slow the tokenizer, I think\n"


class OldProtocol(Decider):
    def decide(self):
        return {"protocol": 0, "type": "delegate"}


class Huge(Decider):
    def decide(self):
        return b'{"type": "probe", "sets": [["' + b"x" * 2_000_000 + b'"]]}\n'


class Starry(Decider):
    def decide(self):
        return probe(["*" + "a*" * 300 + ":*"])


class Silent(Decider):
    def decide(self):
        time.sleep(600)


class Leaves(Decider):
    def decide(self):
        sys.exit(int(self.arguments[0]))


class LeavesWhenDone(Greedy):
    def decide(self):
        answer = super().decide()
        if answer["type"] == "done":
            say(answer)
            sys.exit(0)
        return answer


def say(answer):
    line = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


class InMemory:
    """A channel to a decider in this process."""

    def __init__(self, decider):
        self.decider = decider
        self.lines = []

    def send(self, message):
        message = json.loads(json.dumps(message, allow_nan=False))
        answer = self.decider.hear(message)
        if answer is not None:
            line = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
            self.lines.append(line)

    def receive(self, timeout_s):
        assert 0 < timeout_s < math.inf
        return self.lines.pop(0) if self.lines else None


if __name__ == "__main__":
    decider = globals()[sys.argv[1]](*sys.argv[2:])
    for line in sys.stdin:
        answer = decider.hear(json.loads(line))
        if answer is not None:
            say(answer)
