// Koa with its router as it comes: letter case and a last slash do not count. koa.js PORT
const Koa = require('koa');
const Router = require('@koa/router');
const ran = (path) => (context) => { context.body = `RAN ${path(context.params)}\n`; };
const site = new Router();
site.get('/', ran(() => '/'));
const admin = new Router();
admin.get('/', ran(() => '/admin'));
admin.get('/settings', ran(() => '/admin/settings'));
site.use('/admin', admin.routes());
site.get('/secret', ran(() => '/secret'));
site.get('/users{.:format}?', ran(() => '/users'));
site.get('/users/:name{.:format}?', ran(({ name }) => `/users/${name}`));
site.get('/panel/:rest(.*)', ran(({ rest }) => `/panel/${rest}`));
site.get('/static/:rest(.*)', ran(({ rest }) => `/static/${rest}`));
new Koa().use(site.routes()).listen(Number(process.argv[2]), '127.0.0.1');
