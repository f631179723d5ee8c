"""Puzzles solved by recursion. Unit: a puzzle."""


def solve(size, row=0, columns=0, up=0, down=0):
    if row == size:
        return 1
    found = 0
    for column in range(size):
        bit = 1 << column
        if columns & bit or up >> (row + column) & 1 or down >> (row - column + size) & 1:
            continue
        found += solve(
            size,
            row + 1,
            columns | bit,
            up | 1 << (row + column),
            down | 1 << (row - column + size),
        )
    return found


def solve_puzzle(number):
    return solve(5 + number % 2)


def main():
    total = 0
    for number in range(100_000):
        total += solve_puzzle(number)
    print(total)


main()
