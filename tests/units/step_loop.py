"""A training loop: forward, backward, update. Unit: a step."""

import time

weights = [0.1] * 400


def forward(batch):
    return sum(w * batch for w in weights)


def backward(loss):
    return [loss * 1e-6 * w for w in weights]


def update(gradients):
    for index, gradient in enumerate(gradients):
        weights[index] -= gradient


def train_step(batch):
    update(backward(forward(batch)))


def main():
    for batch in range(100_000):
        train_step(batch % 7)
        if batch % 500 == 0:
            time.sleep(0.001)


main()
