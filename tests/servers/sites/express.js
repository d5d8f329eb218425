// Express as it comes: letter case and a last slash do not count. express.js PORT
const express = require('express');
const ran = (path) => (request, answer) => answer.type('text').send(`RAN ${path(request)}\n`);
const app = express();
app.get(/^\/echo/, (request, answer) => answer.type('text').send(`[${request.originalUrl}]`));
app.get('/', ran(() => '/'));
const admin = express.Router();
admin.get('/', ran(() => '/admin'));
admin.get('/settings', ran(() => '/admin/settings'));
app.use('/admin', admin);
app.get('/secret', ran(() => '/secret'));
app.get('/users.:format?', ran(() => '/users'));
app.get('/users/:name.:format?', ran((request) => `/users/${request.params.name}`));
app.get('/panel/:rest(.*)', ran((request) => `/panel/${request.params.rest}`));
app.get('/static/:rest(.*)', ran((request) => `/static/${request.params.rest}`));
app.listen(Number(process.argv[2]), '127.0.0.1');
