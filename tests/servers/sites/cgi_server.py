"""Python's own server of CGI scripts, in the folder of the site."""
import http.server
import os
import sys

os.chdir(sys.argv[2])


class Handler(http.server.CGIHTTPRequestHandler):
    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
