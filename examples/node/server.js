'use strict';
// The shop as one service, or as the gateway of the chain (ROLE=gateway). Settings: ../README.md

const telemetry = require('./telemetry'); // first: see there
const express = require('express');

const ROLES = { all: './shop', gateway: './gateway' };
const role = process.env.ROLE || 'all';
if (!(role in ROLES)) throw new Error(`ROLE is "${role}"; this service can be: ${Object.keys(ROLES).join(', ')}`);

const app = express();
app.disable('x-powered-by');
app.get('/healthz', (request, response) => void response.json({ status: 'ok' }));
app.use((request, response, next) => {
  response.setHeader('x-trace-id', telemetry.traceId());
  next();
});
app.use(express.json({ limit: '10kb' }));
app.use(require(ROLES[role]));
app.use((request, response) => void response.status(404).json({ error: 'not_found' }));
// Express knows an error handler by its four parameters.
app.use((error, request, response, _next) => {
  if (error instanceof telemetry.Refusal) {
    if (error.status === 401) response.set('WWW-Authenticate', 'Bearer');
    return void response.status(error.status).json({ error: error.answer });
  }
  // Of reading the body: no JSON, too long.
  if (error.status >= 400 && error.status < 500) {
    return void response.status(error.status).json({ error: 'bad_request' });
  }
  telemetry.log('ERROR', `failed: ${error.name}`);
  response.status(503).json({ error: 'unavailable' });
});

const { HOST = '127.0.0.1', PORT = '8080' } = process.env;
const server = app.listen(Number(PORT), HOST, (error) => {
  if (error) throw error;
  telemetry.log('INFO', `listening on ${HOST}:${server.address().port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.closeAllConnections();
    // What is not sent yet would be lost with the process.
    server.close(() => telemetry.shutdown().finally(() => process.exit(0)));
  });
}
