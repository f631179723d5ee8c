"""An HTTP server and a client that asks it, in one process. Unit: a request, on either side."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def render(path):
    return "".join(f"<li>{path}{index}</li>" for index in range(400)).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body waits for no acknowledgement of the head

    def do_GET(self):
        body = render(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


def fetch(connection, number):
    connection.request("GET", f"/page/{number}")
    return len(connection.getresponse().read())


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection(*server.server_address)
    for number in range(100_000):
        fetch(connection, number)


main()
