// Express 5 as it comes: letter case and a last slash do not count. express5.js PORT
const express = require('express');
const ran = (path) => (request, answer) => answer.type('text').send(`RAN ${path(request.params)}\n`);
const app = express();
app.get('/', ran(() => '/'));
const admin = express.Router();
admin.get('/', ran(() => '/admin'));
admin.get('/settings', ran(() => '/admin/settings'));
app.use('/admin', admin);
app.get('/secret', ran(() => '/secret'));
app.get('/users{.:format}', ran(() => '/users'));
app.get('/users/:name{.:format}', ran(({ name }) => `/users/${name}`));
app.get('/panel/*rest', ran(({ rest }) => `/panel/${rest.join('/')}`));
app.get('/static/*rest', ran(({ rest }) => `/static/${rest.join('/')}`));
app.listen(Number(process.argv[2]), '127.0.0.1');
