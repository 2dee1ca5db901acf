// Documents behind Nest's guards: how often, who is it, may they; decorators are applied by hand, as TypeScript would.
require('reflect-metadata');
const { Controller, Delete, ForbiddenException, Get, Module, Post, Req, UnauthorizedException, UseGuards } = require('@nestjs/common');
const { APP_GUARD, NestFactory } = require('@nestjs/core');
const { ThrottlerGuard, ThrottlerModule } = require('@nestjs/throttler');
const axios = require('axios');
const jwt = require('jsonwebtoken');
const { Pool } = require('pg');
const { trace } = require('@opentelemetry/api');

const { SECRET, DATABASE, ENTITLEMENTS, LIMIT } = process.env;
const pool = new Pool({ connectionString: DATABASE, connectionTimeoutMillis: 2000 });

class TokenGuard {
  canActivate(context) {
    const request = context.switchToHttp().getRequest();
    try {
      request.user = jwt.verify((request.headers.authorization ?? '').replace('Bearer ', ''), SECRET);
    } catch (error) {
      throw new UnauthorizedException(error.message);
    }
    trace.getActiveSpan()?.setAttribute('enduser.id', request.user.sub);
    return true;
  }
}
class EditorGuard {
  canActivate(context) {
    return context.switchToHttp().getRequest().user.roles.includes('editor');
  }
}
// What cannot be asked is refused.
class EntitlementGuard {
  async canActivate() {
    try {
      return (await axios.get(`${ENTITLEMENTS}/entitlements/share`, { timeout: 1000 })).data.entitled;
    } catch {
      throw new ForbiddenException('entitlements are not known');
    }
  }
}

class Documents {
  async list() {
    return (await pool.query('SELECT id, title FROM documents ORDER BY id')).rows;
  }
  async salaries() {
    return (await pool.query('SELECT name, amount FROM salaries')).rows;
  }
  async read(request) {
    const { rows } = await pool.query('SELECT title, owner FROM documents WHERE id = $1', [request.params.id]);
    if (rows[0].owner !== request.user.sub) throw new ForbiddenException('only the owner may read this document');
    return rows[0];
  }
  remove() {
    return {};
  }
  share() {
    return {};
  }
}
function route(method, ...decorators) {
  const described = Object.getOwnPropertyDescriptor(Documents.prototype, method);
  Object.defineProperty(Documents.prototype, method, Reflect.decorate(decorators, Documents.prototype, method, described) ?? described);
}
route('list', Get());
route('salaries', Get('salaries'));
Req()(Documents.prototype, 'read', 0);
route('read', Get(':id'));
route('remove', Delete(':id'), UseGuards(EditorGuard));
route('share', Post(':id/share'), UseGuards(EntitlementGuard));
Controller('documents')(Documents);
UseGuards(TokenGuard)(Documents);

class Desk {}
Module({
  imports: [ThrottlerModule.forRoot([{ ttl: 60_000, limit: Number(LIMIT ?? 1000) }])],
  controllers: [Documents],
  providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
})(Desk);

NestFactory.create(Desk, { logger: false }).then(async (app) => {
  await app.listen(0, '127.0.0.1');
  console.log(`listening on ${app.getHttpServer().address().port}`);
});
