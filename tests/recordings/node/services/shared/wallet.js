// Hands requests on to the ledger and translates its answers; a stranger's account is not admitted to exist.
const express = require('express');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const listen = require('./listen');

const { shop } = grpc.loadPackageDefinition(loader.loadSync(`${__dirname}/ledger.proto`));
const ledger = new shop.v1.Ledger(process.env.LEDGER, grpc.credentials.createInsecure());
const STATUS = { [grpc.status.UNAUTHENTICATED]: 401, [grpc.status.PERMISSION_DENIED]: 403, [grpc.status.UNAVAILABLE]: 503 };

function call(req, res, method, message, status = STATUS) {
  const metadata = new grpc.Metadata();
  if (req.headers.authorization) metadata.set('authorization', req.headers.authorization);
  ledger[method](message, metadata, { deadline: Date.now() + 2000 }, (error, reply) => {
    if (error) return res.status(status[error.code] ?? 500).json({ error: error.details });
    res.json(reply);
  });
}

const app = express();
app.get('/balance', (req, res) => call(req, res, 'getBalance', { id: 'mary' }));
app.post('/transfers/:from', (req, res) => call(req, res, 'transfer', { from: req.params.from, amount: 5 }));
app.get('/strangers/:from', (req, res) => call(req, res, 'transfer', { from: req.params.from, amount: 0 },
  { ...STATUS, [grpc.status.PERMISSION_DENIED]: 404 }));
listen(app);
