// Carts and sessions in Redis through ioredis; whose session cannot be read is sent away.
const express = require('express');
const Redis = require('ioredis');
const listen = require('./listen');

const redis = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: 1, retryStrategy: () => 100 });
redis.on('error', () => {});

const app = express();
app.get('/cart', async (req, res) => {
  res.json(await redis.lrange(`cart:${req.query.of}`, 0, -1));
});
app.get('/sessions/:id', async (req, res) => {
  res.json(await redis.get(`session:${req.params.id}`));
});
app.post('/maintenance', async (req, res) => {
  await redis.set('cart:maintenance', 'started');
  await redis.flushall();
  res.status(204).end();
});
app.get('/account', async function requireSession(req, res) {
  let owner;
  try {
    owner = await redis.get('login:4711');
  } catch {
    return res.status(401).json({ error: 'log in again' });
  }
  res.json({ owner });
});
listen(app);
