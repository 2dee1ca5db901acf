// Stock under Koa: koa-jwt, a guard that throws, and MariaDB under a reading and a writing account.
const Koa = require('koa');
const koaJwt = require('koa-jwt');
const { Router } = require('@koa/router');
const KoaRouter = Router ?? require('@koa/router');
const mysql = require('mysql2/promise');
const listen = require('./listen');

const { SECRET, DATABASE_PORT, PASSWORD } = process.env;
const account = (user) => mysql.createPool({
  host: '127.0.0.1', port: Number(DATABASE_PORT), user, password: PASSWORD, database: 'shop', connectTimeout: 2000,
});
const reader = account('reader');
const writer = account('writer');

async function requireStaff(ctx, next) {
  ctx.assert(ctx.state.user.roles.includes('staff'), 403, 'only staff may change the stock');
  await next();
}

const router = new KoaRouter();
router.get('/stock', async (ctx) => {
  [ctx.body] = await reader.query('SELECT item, pieces FROM stock');
});
router.get('/margins', async (ctx) => {
  [ctx.body] = await reader.query('SELECT item, margin FROM margins');
});
// The reading account is tried first; where it may not write, the writing one does.
router.post('/reservations', async (ctx) => {
  const reserve = "INSERT INTO reservations (item) VALUES ('lamp')";
  try {
    await reader.query(reserve);
  } catch (error) {
    if (error.code !== 'ER_TABLEACCESS_DENIED_ERROR') throw error;
    await writer.query(reserve);
  }
  ctx.status = 201;
});
router.delete('/stock/:item', requireStaff, async (ctx) => {
  await writer.query('DELETE FROM stock WHERE item = ?', [ctx.params.item]);
  ctx.status = 204;
});

const app = new Koa();
app.silent = true;
app.use(koaJwt({ secret: SECRET }));
app.use(router.routes());
listen(app);
