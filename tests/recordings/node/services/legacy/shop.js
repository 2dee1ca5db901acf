// Express 4: a limiter, passport's bearer strategy and a guard, each mounted with app.use, before PostgreSQL.
const express = require('express');
const { expressjwt } = require('express-jwt');
const { rateLimit } = require('express-rate-limit');
const jwt = require('jsonwebtoken');
const passport = require('passport');
const { Strategy } = require('passport-http-bearer');
const { Pool } = require('pg');
const listen = require('./listen');

const { SECRET, DATABASE, LIMIT } = process.env;
const pool = new Pool({ connectionString: DATABASE, connectionTimeoutMillis: 2000 });
passport.use(new Strategy((token, done) => {
  try {
    done(null, jwt.verify(token, SECRET));
  } catch {
    done(null, false);
  }
}));

const app = express();
app.use(rateLimit({ windowMs: 60_000, max: Number(LIMIT ?? 1000) }));
app.use('/partners', expressjwt({ secret: SECRET, algorithms: ['HS256'] }));
app.get('/partners', (req, res) => res.json([]));
app.use(passport.authenticate('bearer', { session: false }));
app.use('/invoices', function requireBookkeeper(req, res, next) {
  if (!req.user.roles.includes('bookkeeper')) return res.status(403).json({ error: 'bookkeepers only' });
  next();
});
app.get('/invoices', (req, res, next) => {
  pool.query('SELECT id FROM invoices').then((found) => res.json(found.rows), next);
});
app.get('/payroll', (req, res, next) => {
  pool.query('SELECT total FROM payroll').then((found) => res.json(found.rows), next);
});
app.use((error, req, res, next) => {
  res.status(error.status ?? 500).json({ error: error.message });
});
listen(app);
