"""Reads a path as careful applications do; below /echo it is told as it arrived."""
import http.server, socketserver, wsgiref.simple_server as s, posixpath
def site(environ, start):
    path = environ['PATH_INFO'].encode('latin-1').decode('utf-8', 'replace')
    raw = environ['RAW']
    clean = posixpath.normpath(path.replace('\\', '/').lower())
    while clean.startswith('//'): clean = clean[1:]
    if raw.startswith('/echo'): body = '[' + raw + ']'
    elif clean == '/admin' or clean.startswith('/admin/') or clean.endswith('/secret.php'): body = '@MARK@'
    else: body = 'nothing'
    body = body.encode('latin-1', 'replace')
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
class Handler(s.WSGIRequestHandler):
    def get_environ(self):
        environ = super().get_environ()
        environ['RAW'] = self.requestline.split(' ')[1]
        return environ
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, s.WSGIServer): daemon_threads = True
server = Server(('127.0.0.1', @PORT@), Handler)
server.set_app(site)
server.serve_forever()
