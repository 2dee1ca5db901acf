// The shop's front door: counts requests, verifies a JWT, forwards what is left.
const express = require('express');
const { expressjwt } = require('express-jwt');
const { rateLimit } = require('express-rate-limit');
const jwks = require('jwks-rsa');
const listen = require('./listen');

const { KEYS, ORDERS, BILLING, LIMIT } = process.env;
const key = KEYS
  ? jwks.expressJwtSecret({ jwksUri: KEYS, timeout: 1000 })
  : process.env.SECRET;

const app = express();
app.set('trust proxy', 1);
app.use(rateLimit({ windowMs: 60_000, limit: Number(LIMIT ?? 1000), legacyHeaders: false }));
app.use(expressjwt({ secret: key, algorithms: ['HS256', 'RS256'] }));
// What a caller may not see of the overview stays empty.
app.get('/overview', async function overview(req, res) {
  const headers = { authorization: req.headers.authorization };
  const parts = await Promise.all([fetch(`${ORDERS}/orders`, { headers }), fetch(`${BILLING}/refunds`, { headers })]);
  const [orders, refunds] = await Promise.all(parts.map((part) => (part.ok ? part.json() : null)));
  res.json({ orders, refunds });
});
app.use('/api', async function forward(req, res) {
  let answer;
  try {
    answer = await fetch(ORDERS + req.url, {
      method: req.method,
      headers: { authorization: req.headers.authorization, 'content-type': 'application/json' },
      body: req.method === 'GET' ? undefined : '{}',
    });
  } catch {
    return res.status(502).json({ error: 'upstream does not answer' });
  }
  res.status(answer.status).type('json').send(await answer.text());
});
app.use((error, req, res, next) => {
  res.status(error.status ?? 500).json({ error: error.code ?? error.message });
});
listen(app);
