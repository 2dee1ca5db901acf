// Refunds for accountants only: a guard of its own, mounted on the path.
const express = require('express');
const jwt = require('jsonwebtoken');
const listen = require('./listen');

const app = express();
app.use(function authenticate(req, res, next) {
  try {
    req.user = jwt.verify((req.headers.authorization ?? '').replace('Bearer ', ''), process.env.SECRET);
    next();
  } catch (error) {
    next(Object.assign(error, { status: 401 }));
  }
});
app.use('/refunds', function requireAccountant(req, res, next) {
  if (!req.user.roles.includes('accountant')) return res.sendStatus(403);
  next();
});
app.get('/refunds', (req, res) => res.json([]));
app.post('/refunds', (req, res) => res.status(201).json({}));
listen(app);
