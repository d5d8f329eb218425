// Hapi with a router for which letter case and a last slash do not count. hapi.js PORT
const site = require('@hapi/hapi').server({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  router: { isCaseSensitive: false, stripTrailingSlash: true },
});
const get = (path, ran) => site.route({
  method: 'GET',
  path,
  handler: ({ params }, answer) => answer.response(`RAN ${ran(params)}\n`).type('text/plain'),
});
get('/', () => '/');
get('/admin', () => '/admin');
get('/admin/settings', () => '/admin/settings');
get('/secret', () => '/secret');
get('/users', () => '/users');
get('/users.{format}', () => '/users');
get('/users/{name}', ({ name }) => `/users/${name}`);
get('/users/{name}.{format}', ({ name }) => `/users/${name}`);
get('/panel/{rest*}', ({ rest = '' }) => `/panel/${rest}`);
get('/static/{rest*}', ({ rest = '' }) => `/static/${rest}`);
site.start();
