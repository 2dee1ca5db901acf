// An older front door: it forwards with axios and leaves every decision to what lies behind.
const axios = require('axios');
const express = require('express');
const listen = require('./listen');

const app = express();
app.use('/api', function forward(req, res, next) {
  axios({
    method: req.method, url: process.env.ORDERS + req.url, headers: { authorization: req.headers.authorization ?? '' },
    validateStatus: () => true, timeout: 3000,
  }).then((answer) => res.status(answer.status).json(answer.data), next);
});
app.use((error, req, res, next) => {
  res.status(error.code === 'ECONNABORTED' ? 504 : 502).json({ error: error.message });
});
listen(app);
