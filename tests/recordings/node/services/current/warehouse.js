// A warehouse under hapi: @hapi/jwt with scopes at the routes, an extension that refuses, knex before PostgreSQL.
const Hapi = require('@hapi/hapi');
const Jwt = require('@hapi/jwt');
const knex = require('knex');

const db = knex({ client: 'pg', connection: process.env.DATABASE, acquireConnectionTimeout: 3000 });

async function requireShift(request, h) {
  if (request.headers['x-shift'] === 'off') return h.response({ error: 'not on shift' }).code(403).takeover();
  return h.continue;
}

async function main() {
  const server = Hapi.server({ host: '127.0.0.1', port: 0 });
  await server.register(Jwt);
  server.auth.strategy('token', 'jwt', {
    keys: process.env.SECRET,
    verify: { aud: false, iss: false, sub: false, exp: true },
    validate: (artifacts) => ({
      isValid: true,
      credentials: { user: artifacts.decoded.payload.sub, scope: artifacts.decoded.payload.roles },
    }),
  });
  server.auth.default('token');
  server.ext('onPostAuth', requireShift);
  server.route([
    { method: 'GET', path: '/shelves', handler: () => db('shelves').select('id') },
    { method: 'DELETE', path: '/shelves/{id}', options: { auth: { scope: ['keeper'] } }, handler: () => ({}) },
    { method: 'GET', path: '/audits', handler: () => db('audits').select('total') },
  ]);
  await server.start();
  console.log(`listening on ${server.info.port}`);
}
main();
