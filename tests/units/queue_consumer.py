"""A producer and a consumer thread on a queue. Unit: a message."""

import queue
import threading
import zlib

BLOCK = bytes(range(256)) * 40


def produce(messages):
    for number in range(100_000):
        messages.put(make_message(number))
    messages.put(None)


def make_message(number):
    return BLOCK + str(number).encode()


def handle_message(message):
    return zlib.crc32(zlib.compress(message, 6))


def consume(messages):
    while (message := messages.get()) is not None:
        handle_message(message)


def main():
    messages = queue.Queue(maxsize=8)
    consumer = threading.Thread(target=consume, args=(messages,))
    consumer.start()
    produce(messages)
    consumer.join()


main()
