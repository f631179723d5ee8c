"""Generators on top of each other: lines, fields, records. Unit: a line."""


def lines():
    for number in range(10_000_000):
        yield f"{number};{number * 7919 % 10_007};{number % 31};" + "x" * 40


def split(line):
    return line.split(";")


def records(source):
    for line in source:
        number, value, kind, text = split(line)
        yield int(number), int(value), int(kind), text


def rank(record):
    total = record[1]
    for index in range(200):
        total = (total * 31 + index) % 1_000_003
    return total


def best(source):
    top = 0
    for record in source:
        top = max(top, rank(record))
    return top


print(best(records(lines())))
