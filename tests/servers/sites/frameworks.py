"""One site in the words of each Python framework: frameworks.py PORT FRAMEWORK.

Every handler answers with `RAN` and the path that it stands for; below `/echo` some tell the target
as it arrived.
"""
import sys

PORT, FRAMEWORK = int(sys.argv[1]), sys.argv[2]
HOST = "127.0.0.1"


def ran(path):
    return f"RAN {path}\n"


def serve_wsgi(app):
    import waitress
    waitress.serve(app, host=HOST, port=PORT, threads=2, _quiet=True)


def serve_asgi(app):
    import uvicorn
    uvicorn.run(app, host=HOST, port=PORT, log_level="error")


def flask():
    from flask import Flask
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/", "home", lambda: ran("/"))
    app.add_url_rule("/admin/", "admin", lambda: ran("/admin/"))
    app.add_url_rule("/admin/settings", "settings", lambda: ran("/admin/settings"))
    app.add_url_rule("/secret", "secret", lambda: ran("/secret"))
    app.add_url_rule("/panel/<path:rest>", "panel", lambda rest: ran("/panel/" + rest))
    app.add_url_rule("/users", "users", lambda: ran("/users"))
    app.add_url_rule("/users/<name>", "user", lambda name: ran("/users/" + name))
    app.add_url_rule("/static/<path:rest>", "static", lambda rest: ran("/static/" + rest))
    serve_wsgi(app)


def django():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path, re_path
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="x",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )

    def runs(template):
        def view(_request, **values):
            values.pop("format", None)
            return HttpResponse(ran(template.format(**values)), content_type="text/plain")
        return view

    global urlpatterns
    urlpatterns = [
        path("", runs("/")),
        path("admin/", runs("/admin/")),
        path("admin/settings/", runs("/admin/settings/")),
        path("secret", runs("/secret")),
        path("panel/<path:rest>", runs("/panel/{rest}")),
        # As the Django REST framework's format_suffix_patterns.
        re_path(r"^users/?$", runs("/users")),
        re_path(r"^users\.(?P<format>[a-z0-9]+)/?$", runs("/users")),
        re_path(r"^users/(?P<name>[^/.]+)/?$", runs("/users/{name}")),
        re_path(r"^users/(?P<name>[^/.]+)\.(?P<format>[a-z0-9]+)/?$", runs("/users/{name}")),
        path("static/<path:rest>", runs("/static/{rest}")),
    ]
    serve_wsgi(get_wsgi_application())


def bottle():
    from bottle import Bottle
    app = Bottle()
    app.route("/", callback=lambda: ran("/"))
    app.route("/admin", callback=lambda: ran("/admin"))
    app.route("/admin/settings", callback=lambda: ran("/admin/settings"))
    app.route("/secret", callback=lambda: ran("/secret"))
    app.route("/panel/<rest:path>", callback=lambda rest: ran("/panel/" + rest))
    app.route("/users", callback=lambda: ran("/users"))
    app.route("/users.<ext>", callback=lambda ext: ran("/users"))
    app.route("/users/<name>", callback=lambda name: ran("/users/" + name))
    app.route("/static/<rest:path>", callback=lambda rest: ran("/static/" + rest))
    serve_wsgi(app)


def pyramid():
    from pyramid.config import Configurator
    from pyramid.response import Response
    routes = {
        "home": ("/", "/"),
        "admin": ("/admin", "/admin"),
        "settings": ("/admin/settings", "/admin/settings"),
        "secret": ("/secret", "/secret"),
        "panel": ("/panel/{rest:.*}", "/panel/{rest}"),
        "users": ("/users", "/users"),
        "formatted": ("/users.{ext}", "/users"),
        "user": ("/users/{name}", "/users/{name}"),
        "static": ("/static/{rest:.*}", "/static/{rest}"),
    }
    with Configurator() as config:
        for name, (pattern, template) in routes.items():
            config.add_route(name, pattern)

            def view(request, template=template):
                text = ran(template.format(**request.matchdict))
                return Response(text, content_type="text/plain")

            config.add_view(view, route_name=name)
        serve_wsgi(config.make_wsgi_app())


def falcon():
    import falcon as falcon_
    app = falcon_.App()

    class Runs:
        def __init__(self, template):
            self.template = template

        def on_get(self, _request, response, **values):
            response.content_type = "text/plain"
            response.text = ran(self.template.format(**values))

        def __call__(self, request, response, **_values):
            response.content_type = "text/plain"
            response.text = ran(request.path)

    app.add_route("/", Runs("/"))
    app.add_route("/admin", Runs("/admin"))
    app.add_route("/admin/settings", Runs("/admin/settings"))
    app.add_route("/secret", Runs("/secret"))
    app.add_route("/users", Runs("/users"))
    app.add_route("/users.{ext}", Runs("/users"))
    app.add_route("/users/{name}", Runs("/users/{name}"))
    app.add_sink(Runs(""), "/panel/")
    app.add_sink(Runs(""), "/static/")
    serve_wsgi(app)


def cherrypy():
    import cherrypy as cherrypy_

    class Admin:
        @cherrypy_.expose
        def index(self):
            return ran("/admin/")

        @cherrypy_.expose
        def settings(self):
            return ran("/admin/settings")

    class Users:
        @cherrypy_.expose
        def default(self, *rest):
            return ran("/".join(("/users", *rest)))

    class Below:
        def __init__(self, place):
            self.place = place

        @cherrypy_.expose
        def default(self, *rest):
            return ran(self.place + "/".join(rest))

    class Root:
        admin, users, panel, static = Admin(), Users(), Below("/panel/"), Below("/static/")

        @cherrypy_.expose
        def index(self):
            return ran("/")

        @cherrypy_.expose
        def secret(self):
            return ran("/secret")

    cherrypy_.config.update({
        "server.socket_host": HOST,
        "server.socket_port": PORT,
        "log.screen": False,
        "engine.autoreload.on": False,
        "environment": "embedded",
    })
    cherrypy_.tree.mount(Root(), "/")
    cherrypy_.engine.start()
    cherrypy_.engine.block()


def tornado():
    import tornado.httpserver
    import tornado.ioloop
    import tornado.web

    class Runs(tornado.web.RequestHandler):
        def initialize(self, template):
            self.template = template

        def get(self, *values):
            self.finish(ran(self.template.format(*values)))

    class Echo(tornado.web.RequestHandler):
        def get(self):
            self.finish(f"[{self.request.uri}]")

    routes = [
        (r"/", "/"),
        (r"/admin/?", "/admin"),
        (r"/admin/settings", "/admin/settings"),
        (r"/secret", "/secret"),
        (r"/panel/(.*)", "/panel/{}"),
        (r"/users(?:\.[a-z]+)?", "/users"),
        (r"/users/([^/]+)", "/users/{}"),
        (r"/static/(.*)", "/static/{}"),
    ]
    routes = [(path, Runs, {"template": to}) for path, to in routes]
    app = tornado.web.Application([(r"/echo.*", Echo), *routes])
    app.listen(PORT, HOST)
    tornado.ioloop.IOLoop.current().start()


def starlette():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    def runs(template):
        async def view(request):
            return PlainTextResponse(ran(template.format(**request.path_params)))
        return view

    serve_asgi(Starlette(routes=[
        Route("/", runs("/")),
        Mount("/admin", routes=[
            Route("/", runs("/admin/")),
            Route("/settings", runs("/admin/settings")),
        ]),
        Route("/secret", runs("/secret")),
        Route("/panel/{rest:path}", runs("/panel/{rest}")),
        Route("/users", runs("/users")),
        Route("/users.{ext}", runs("/users")),
        Route("/users/{name}", runs("/users/{name}")),
        Route("/static/{rest:path}", runs("/static/{rest}")),
    ]))


def fastapi():
    from fastapi import APIRouter, FastAPI
    from fastapi.responses import PlainTextResponse
    app = FastAPI(default_response_class=PlainTextResponse)
    app.get("/")(lambda: ran("/"))
    admin = APIRouter(prefix="/admin")
    admin.get("")(lambda: ran("/admin"))
    admin.get("/settings")(lambda: ran("/admin/settings"))
    app.include_router(admin)
    app.get("/secret")(lambda: ran("/secret"))
    app.get("/users")(lambda: ran("/users"))
    app.get("/users.{ext}")(lambda ext: ran("/users"))
    app.get("/users/{name}.{ext}")(lambda name, ext: ran("/users/" + name))
    app.get("/users/{name}")(lambda name: ran("/users/" + name))
    app.get("/panel/{rest:path}")(lambda rest: ran("/panel/" + rest))
    app.get("/static/{rest:path}")(lambda rest: ran("/static/" + rest))
    serve_asgi(app)


def aiohttp():
    from aiohttp import web

    def runs(template):
        async def view(request):
            return web.Response(text=ran(template.format(**request.match_info)))
        return view

    async def echo(request):
        return web.Response(text=f"[{request.raw_path}]")

    app = web.Application()
    app.router.add_get("/echo{rest:.*}", echo)
    app.router.add_get("/", runs("/"))
    app.router.add_get("/admin", runs("/admin"))
    app.router.add_get("/admin/settings", runs("/admin/settings"))
    app.router.add_get("/secret", runs("/secret"))
    app.router.add_get("/panel/{rest:.*}", runs("/panel/{rest}"))
    app.router.add_get("/users", runs("/users"))
    app.router.add_get("/users.{ext}", runs("/users"))
    app.router.add_get("/users/{name}", runs("/users/{name}"))
    app.router.add_get("/static/{rest:.*}", runs("/static/{rest}"))
    web.run_app(app, host=HOST, port=PORT, print=None)


globals()[FRAMEWORK]()
