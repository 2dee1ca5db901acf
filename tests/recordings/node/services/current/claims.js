// Claims with the mistakes that services make: a guard that forgets to stop, writes kept after a refusal, refusals in bulk.
const express = require('express');
const { Pool } = require('pg');
const listen = require('./listen');

const { DATABASE, PARTNER, KEY } = process.env;
const pool = new Pool({ connectionString: DATABASE });

const app = express();
// The refusal is sent and nothing is returned: the handler runs all the same.
app.use('/purge', function requireAuditor(req, res, next) {
  if (req.headers['x-role'] !== 'auditor') res.status(403).json({ error: 'auditors only' });
  next();
});
app.post('/purge', async (req, res) => {
  await pool.query("DELETE FROM claims WHERE state = 'closed'");
  if (!res.headersSent) res.status(204).end();
});
// Each claim is written under the tenant it names; those of other tenants are left out.
app.post('/imports', async (req, res) => {
  const refused = [];
  for (const tenant of ['north', 'south', 'north']) {
    try {
      await pool.query("INSERT INTO claims (tenant, state) VALUES ($1, 'open')", [tenant]);
    } catch (error) {
      if (error.code !== '42501') throw error;
      refused.push(tenant);
    }
  }
  res.status(207).json({ refused });
});
// The partner is told first; the claim is kept whatever he says, or not at all.
app.post('/referrals', async (req, res) => {
  const answer = await fetch(`${PARTNER}/referrals`, { method: 'POST', headers: { 'x-api-key': KEY } });
  if (!answer.ok) return res.status(502).json({ error: 'the partner refused us' });
  res.status(201).json({});
});
app.post('/recorded-referrals', async (req, res) => {
  await pool.query("INSERT INTO claims (tenant, state) VALUES ('north', 'referred')");
  const answer = await fetch(`${PARTNER}/referrals`, { method: 'POST', headers: { 'x-api-key': KEY } });
  res.status(answer.status).json({});
});
listen(app);
