// Contracts that Cerbos guards and PostgreSQL guards again: the two do not always agree.
const express = require('express');
const { HTTP } = require('@cerbos/http');
const { Pool } = require('pg');
const listen = require('./listen');

const cerbos = new HTTP(process.env.CERBOS);
const pool = new Pool({ connectionString: process.env.DATABASE });

const may = (req, action, owner) => cerbos.isAllowed({
  principal: { id: req.headers['x-user'], roles: ['member'] }, resource: { kind: 'file', id: 'c', attr: { owner } }, action,
});

const app = express();
// Which buttons the page shows, and the figures beside them, which the service's own role may not read.
app.get('/contracts', async (req, res) => {
  const buttons = { delete: await may(req, 'delete', 'somebody else') };
  const { rows } = await pool.query('SELECT total FROM figures');
  res.json({ buttons, rows });
});
// Asked before the contract is signed, and after the draft was written.
app.post('/signatures', async (req, res) => {
  await pool.query("INSERT INTO drafts (tenant) VALUES ('north')");
  if (!(await may(req, 'delete', req.query.owner))) return res.status(403).json({ error: 'not your contract' });
  await pool.query("INSERT INTO drafts (tenant) VALUES ('north')");
  res.status(201).json({});
});
app.post('/transfers', async (req, res) => {
  if (!(await may(req, 'delete', req.headers['x-user']))) return res.status(403).json({ error: 'not your contract' });
  try {
    await pool.query("INSERT INTO drafts (tenant) VALUES ('south')");
  } catch (error) {
    if (error.code === '42501') return res.status(403).json({ error: 'not in this tenant' });
    throw error;
  }
  res.status(201).json({});
});
listen(app);
