"""A script that reads, computes and writes once each. No unit."""

import json


def read():
    return [index * 7919 % 10_007 for index in range(2_000_000)]


def compute(values):
    total = 0
    for value in values:
        total = (total * 31 + value) % 1_000_003
    return total


def write(result):
    return json.dumps({"result": result})


write(compute(read()))
