'use strict';
// The gateway of the chain: log-ins go to identity, which is also asked about every token; what may pass goes to orders.

const express = require('express');
const { required } = require('./settings');
const { Refusal, check, clientAddress } = require('./telemetry');

const IDENTITY_URL = required('IDENTITY_URL');
const ORDERS_URL = required('ORDERS_URL');
const PATIENCE_MS = 20_000;

const gateway = express.Router();

gateway.post('/login', async (request, response) => {
  await pass(response, await call(request, `${IDENTITY_URL}/login`, request.body));
});

// Routes are named one by one, so that no other path of `orders` can be reached through here.
gateway.get('/orders/:id', async (request, response) => {
  await validateToken(request);
  await pass(response, await call(request, `${ORDERS_URL}/orders/${encodeURIComponent(request.params.id)}`));
});

gateway.post('/orders', async (request, response) => {
  await validateToken(request);
  await pass(response, await call(request, `${ORDERS_URL}/orders`, request.body));
});

/** auth.token_validate: asks identity, whose own span of that name tells how it decided. */
function validateToken(request) {
  const attributes = { 'auth.method': 'bearer', 'client.address': clientAddress(request) };
  return check('auth.token_validate', attributes, async (span) => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) throw new Refusal('token_invalid', 401);
    const answer = await call(request, `${IDENTITY_URL}/introspect`, { token });
    if (!answer.ok) throw new Error(`identity answered ${answer.status}`);
    const { active, reason, sub, role } = await answer.json();
    if (!active) throw new Refusal(reason, 401);
    span.setAttributes({ 'user.id': sub, 'user.roles': [role] });
  });
}

/** Asks another service on behalf of a request. fetch() is instrumented: it carries the trace on by itself. */
function call(request, url, body) {
  const headers = { 'x-forwarded-for': clientAddress(request) };
  if (request.headers.authorization) headers.authorization = request.headers.authorization;
  const options = { headers, redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) };
  if (body === undefined) return fetch(url, options);
  headers['content-type'] = 'application/json';
  return fetch(url, { ...options, method: 'POST', body: JSON.stringify(body) });
}

async function pass(response, answer) {
  response.status(answer.status).type('json').send(await answer.text());
}

module.exports = gateway;
