// Fastify with a router that tells apart as little as it can: letter case, slashes that are too many
// and whatever follows a semicolon do not count. fastify.js PORT
const ran = (path) => (request, answer) =>
  answer.type('text/plain').send(`RAN ${path(request.params)}\n`);
const site = require('fastify')({
  routerOptions: {
    caseSensitive: false,
    ignoreDuplicateSlashes: true,
    ignoreTrailingSlash: true,
    useSemicolonDelimiter: true,
  },
});
site.get('/', ran(() => '/'));
site.register(async (admin) => {
  admin.get('/', ran(() => '/admin'));
  admin.get('/settings', ran(() => '/admin/settings'));
}, { prefix: '/admin' });
site.get('/secret', ran(() => '/secret'));
site.get('/users', ran(() => '/users'));
site.get('/users.:format', ran(() => '/users'));
site.get('/users/:name', ran(({ name }) => `/users/${name}`));
site.get('/users/:name.:format', ran(({ name }) => `/users/${name}`));
site.get('/panel/*', ran((all) => `/panel/${all['*']}`));
site.get('/static/*', ran((all) => `/static/${all['*']}`));
site.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
