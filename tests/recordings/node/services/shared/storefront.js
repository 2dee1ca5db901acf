// The storefront under Fastify: @fastify/jwt before validation, guards before the handler, the stock behind it.
const Fastify = require('fastify');
const instrumented = require('./instrumented');

const { SECRET, STOCK, LIMIT } = process.env;

async function requireManager(request) {
  if (!request.user.roles.includes('manager')) throw Object.assign(new Error('managers only'), { statusCode: 403 });
}
async function requireAdult(request, reply) {
  if (!request.user.adult) return reply.code(403).send({ error: 'adults only' });
}
async function relay(request, reply) {
  const answer = await fetch(STOCK + request.url, {
    method: request.method,
    headers: { authorization: request.headers.authorization },
  });
  return reply.code(answer.status).send(await answer.text());
}

async function main() {
  const app = Fastify({ trustProxy: true });
  await instrumented(app);
  if (LIMIT) await app.register(require('@fastify/rate-limit'), { max: Number(LIMIT), timeWindow: 60_000 });
  await app.register(require('@fastify/jwt'), { secret: SECRET });
  app.addHook('preValidation', async function authenticate(request) {
    await request.jwtVerify();
  });
  app.get('/prices', { preHandler: requireManager }, async () => []);
  app.get('/spirits', { preHandler: requireAdult }, async () => []);
  app.get('/stock', relay);
  app.get('/margins', relay);
  app.post('/reservations', relay);
  app.delete('/stock/:item', relay);
  await app.listen({ port: 0, host: '127.0.0.1' });
  console.log(`listening on ${app.server.address().port}`);
}
main();
