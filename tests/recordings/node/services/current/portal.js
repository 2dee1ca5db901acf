// Reports for whoever brings a token that the identity provider calls active.
const express = require('express');
const listen = require('./listen');

const { IDENTITY, CLIENT_SECRET } = process.env;
const basic = `Basic ${Buffer.from(`portal:${CLIENT_SECRET}`).toString('base64')}`;

const app = express();
app.use(async function introspect(req, res, next) {
  let answer;
  try {
    answer = await fetch(`${IDENTITY}/token/introspection`, {
      method: 'POST',
      headers: { authorization: basic },
      body: new URLSearchParams({ token: (req.headers.authorization ?? '').replace('Bearer ', '') }),
      signal: AbortSignal.timeout(2000),
    });
  } catch {
    return res.status(401).json({ error: 'token cannot be checked' });
  }
  if (!answer.ok) return res.status(502).json({ error: 'identity provider refused the portal' });
  if (!(await answer.json()).active) return res.status(401).json({ error: 'token is not active' });
  next();
});
app.get('/reports', (req, res) => res.json([]));
listen(app);
