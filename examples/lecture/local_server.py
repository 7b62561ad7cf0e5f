"""A web server on this host that stands in for the sites of the lecture: /N answers with N bytes. Prints its address first."""
import http.server
import sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"." * int(self.path.strip("/") or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)


if __name__ == "__main__":
    server = serve()
    print("http://127.0.0.1:%d" % server.server_address[1])
    sys.stdout.flush()
    server.serve_forever()
