"""A request handler with a remote call of fixed latency in its path.

Truth: `fetch_profile` (5 ms) is sensitive and waiting; `render_page` (CPU) is sensitive with what
that leaves of a request.
"""

import time

LATENCY_S = 0.005
REQUESTS = 110


def fetch_profile(user):
    time.sleep(LATENCY_S)
    return {"user": user, "name": f"user {user}"}


def render_page(profile):
    total = profile["user"]
    for index in range(26_000):
        total = (total * 31 + index) % 1_000_003
    return f"{profile['name']}: {total}"


def handle(user):
    return render_page(fetch_profile(user))


def main():
    begin = 0.0
    for user in range(REQUESTS):
        handle(user)
        if user == 9:
            begin = time.monotonic()
    print(f"throughput: {(REQUESTS - 10) / (time.monotonic() - begin):.3f} requests/s")


if __name__ == "__main__":
    main()
