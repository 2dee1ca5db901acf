// Orders behind passport's bearer strategy, with guards given at the route and the database's own grants and policies.
const express = require('express');
const jwt = require('jsonwebtoken');
const passport = require('passport');
const { Strategy } = require('passport-http-bearer');
const { Pool } = require('pg');
const { trace } = require('@opentelemetry/api');
const listen = require('./listen');

const { SECRET, DATABASE, BILLING } = process.env;
const pool = DATABASE && new Pool({ connectionString: DATABASE, connectionTimeoutMillis: 2000, query_timeout: 2000 });

passport.use(new Strategy((token, done) => {
  try {
    done(null, jwt.verify(token, SECRET));
  } catch (error) {
    done(null, false, { message: error.message });
  }
}));

const app = express();
app.use(passport.authenticate('bearer', { session: false }));
app.use(function identify(req, res, next) {
  trace.getActiveSpan()?.setAttribute('user.id', req.user.sub);
  next();
});

function requireRole(role) {
  return function requireRole(req, res, next) {
    if (req.user.roles.includes(role)) return next();
    res.status(403).json({ error: `role ${role} is missing` });
  };
}

// Row-level security reads the tenant from this setting.
async function asTenant(tenant, work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query("SELECT set_config('app.tenant', $1, true)", [tenant]);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

app.get('/orders', async (req, res) => {
  const found = await asTenant(req.user.tenant, (db) => db.query('SELECT id, item FROM orders ORDER BY id'));
  res.json(found.rows);
});
app.get('/orders/:id', async (req, res) => {
  const found = await asTenant(req.user.tenant, (db) => db.query('SELECT id, item FROM orders WHERE id = $1', [req.params.id]));
  if (!found.rows.length) return res.status(404).json({ error: 'no such order' });
  res.json(found.rows[0]);
});
app.post('/orders', async (req, res) => {
  const tenant = req.query.for ?? req.user.tenant;
  try {
    await asTenant(req.user.tenant, (db) => db.query('INSERT INTO orders (tenant, item) VALUES ($1, $2)', [tenant, 'lamp']));
  } catch (error) {
    if (error.code === '42501') return res.status(403).json({ error: 'not your tenant' });
    throw error;
  }
  res.status(201).json({});
});
app.get('/ledger', async (req, res) => {
  const found = await pool.query('SELECT total FROM ledger');
  res.json(found.rows);
});
app.delete('/orders/:id', requireRole('clerk'), async (req, res) => {
  await asTenant(req.user.tenant, (db) => db.query('DELETE FROM orders WHERE id = $1', [req.params.id]));
  res.status(204).end();
});
// The reservation is written before anybody asks whether a refund is allowed.
app.post('/orders/:id/refund', async (req, res) => {
  await pool.query("INSERT INTO reservations (order_id, state) VALUES ($1, 'held')", [req.params.id]);
  const answer = await fetch(`${BILLING}/refunds`, { method: 'POST', headers: { authorization: req.headers.authorization } });
  if (!answer.ok) return res.status(answer.status).json({ error: 'refund refused' });
  res.status(201).json({});
});
listen(app);
