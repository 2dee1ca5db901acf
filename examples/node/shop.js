'use strict';
// The whole flow in one service: log-in, token check, permission check, and orders behind PostgreSQL's row policy.
// A check that says no throws a Refusal; server.js answers with it.

const { pbkdf2, timingSafeEqual } = require('node:crypto');
const { promisify } = require('node:util');
const express = require('express');
const jwt = require('jsonwebtoken');
const pg = require('pg');
const { required } = require('./settings');
const { Refusal, check, clientAddress, log, person } = require('./telemetry');

const TOKEN_KEY = required('TOKEN_KEY');
if (Buffer.byteLength(TOKEN_KEY) < 32) throw new Error('TOKEN_KEY must be at least 32 bytes long');
const TOKEN_SECONDS = Number(process.env.TOKEN_SECONDS || 900);
const ROLES_FOR_ORDERS = ['clerk'];
const NOBODY = { password_salt: '00'.repeat(16), password_hash: '00'.repeat(32) };
const INSUFFICIENT_PRIVILEGE = '42501'; // PostgreSQL's SQLSTATE where a policy refuses a row

const pool = new pg.Pool({ connectionString: required('DATABASE_URL') });
// An idle connection that breaks is replaced when the next is needed; unheard, its error would end the process.
pool.on('error', (error) => log('WARN', `an idle database connection broke: ${error.code ?? error.name}`));

const shop = express.Router();

shop.post('/login', async (request, response) => {
  const { name, password } = request.body ?? {};
  if (typeof name !== 'string' || typeof password !== 'string') {
    return void response.status(400).json({ error: 'bad_request' });
  }
  const { id, role, customer } = await logIn(request, name, password);
  const claims = { sub: id, role, customer, iss: 'shop' };
  response.json({ token: jwt.sign(claims, TOKEN_KEY, { algorithm: 'HS256', expiresIn: TOKEN_SECONDS }) });
});

shop.get('/orders/:id', async (request, response) => {
  const caller = await validateToken(request);
  await permit(request, caller, 'read');
  // Nine digits at most: PostgreSQL's integer has room for them.
  const id = /^\d{1,9}$/.test(request.params.id) ? Number(request.params.id) : 0;
  const found = await asCustomer(caller.customer, (client) =>
    client.query('SELECT id, customer, item FROM orders WHERE id = $1', [id]),
  );
  if (found.rowCount === 0) return void response.status(404).json({ error: 'not_found' });
  response.json(found.rows[0]);
});

shop.post('/orders', async (request, response) => {
  const caller = await validateToken(request);
  await permit(request, caller, 'create');
  const { customer, item } = request.body ?? {};
  if (typeof customer !== 'string' || typeof item !== 'string') {
    return void response.status(400).json({ error: 'bad_request' });
  }
  try {
    const added = await asCustomer(caller.customer, (client) =>
      client.query('INSERT INTO orders (customer, item) VALUES ($1, $2) RETURNING id, customer, item', [customer, item]),
    );
    response.status(201).json(added.rows[0]);
  } catch (error) {
    if (error.code !== INSUFFICIENT_PRIVILEGE) throw error;
    // The span of the statement tells of it. No check of ours claims what the database refused.
    log('WARN', 'refused by the row policy', { sqlstate: error.code });
    response.status(403).json({ error: 'row_level_security' });
  }
});

/** auth.login: the account that name and password belong to. */
function logIn(request, name, password) {
  const attributes = { 'auth.method': 'password', 'client.address': clientAddress(request), ...person(name) };
  return check('auth.login', attributes, async (span) => {
    const found = await pool.query(
      'SELECT id, role, customer, password_salt, password_hash FROM accounts WHERE name = $1',
      [name.toLowerCase()],
    );
    const account = found.rows[0];
    if (account) span.setAttributes({ 'user.id': account.id, 'user.roles': [account.role] });
    // Hashed for nobody as well: how long an answer takes must not tell which names exist. Nor must its words.
    const { password_salt: salt, password_hash: hash } = account ?? NOBODY;
    const given = await promisify(pbkdf2)(password, Buffer.from(salt, 'hex'), 100_000, 32, 'sha256');
    const same = timingSafeEqual(given, Buffer.from(hash, 'hex'));
    if (!account) throw new Refusal('unknown_user', 401, 'invalid_credentials');
    if (!same) throw new Refusal('invalid_credentials', 401);
    return account;
  });
}

/** auth.token_validate: the claims of the caller's token. */
function validateToken(request) {
  const attributes = { 'auth.method': 'bearer', 'client.address': clientAddress(request) };
  return check('auth.token_validate', attributes, (span) => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) throw new Refusal('token_invalid', 401);
    try {
      const claims = jwt.verify(token, TOKEN_KEY, { algorithms: ['HS256'], issuer: 'shop' });
      span.setAttributes({ 'user.id': claims.sub, 'user.roles': [claims.role] });
      return claims;
    } catch (error) {
      if (!(error instanceof jwt.TokenExpiredError)) throw new Refusal('token_invalid', 401);
      // Its signature was right, so it can be believed whose it was.
      span.setAttribute('user.id', jwt.decode(token).sub);
      throw new Refusal('token_expired', 401);
    }
  });
}

/** auth.permission_check: whether the caller's role may do this to orders. */
function permit(request, caller, action) {
  const attributes = {
    'auth.method': 'bearer',
    'client.address': clientAddress(request),
    'user.id': caller.sub,
    'user.roles': [caller.role],
    'auth.resource': 'order',
    'auth.action': action,
  };
  return check('auth.permission_check', attributes, () => {
    if (!ROLES_FOR_ORDERS.includes(caller.role)) throw new Refusal('forbidden', 403);
  });
}

/** Runs `work` in a transaction whose row policies see this customer and nobody else. */
async function asCustomer(customer, work) {
  const client = await pool.connect();
  let broken;
  try {
    await client.query('BEGIN');
    await client.query("SELECT set_config('app.customer', $1, true)", [customer]);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((failed) => { broken = failed; });
    throw error;
  } finally {
    client.release(broken);
  }
}

module.exports = shop;
