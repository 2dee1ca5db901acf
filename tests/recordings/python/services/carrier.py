"""A carrier's interface, which somebody else runs: it sends no spans, and refuses what lies below /closed."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Carrier(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403 if self.path.startswith("/closed") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
