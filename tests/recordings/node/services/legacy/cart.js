// Carts in Redis through node-redis 4.
const express = require('express');
const { createClient } = require('redis');
const listen = require('./listen');

const redis = createClient({ url: process.env.REDIS_URL, socket: { reconnectStrategy: false } });
redis.on('error', () => {});

const app = express();
// The first request connects: what the login says is part of its trace.
app.use(async function connect(req, res, next) {
  try {
    if (!redis.isOpen) await redis.connect();
    next();
  } catch (error) {
    next(error);
  }
});
app.get('/cart', (req, res, next) => {
  redis.lRange(`cart:${req.query.of}`, 0, -1).then((items) => res.json(items), next);
});
app.post('/maintenance', (req, res, next) => {
  redis.flushAll().then(() => res.status(204).end(), next);
});
listen(app);
