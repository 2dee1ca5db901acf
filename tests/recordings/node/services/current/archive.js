// An archive whose every permission is asked of Cerbos; what cannot be asked is refused, but for reading, which is let through.
const express = require('express');
const { HTTP } = require('@cerbos/http');
const { trace } = require('@opentelemetry/api');
const listen = require('./listen');

const cerbos = new HTTP(process.env.CERBOS);
const FILES = { 1: 'ines', 2: 'olga' };

const app = express();
app.use(function identify(req, res, next) {
  req.user = { id: req.headers['x-user'], roles: ['member'] };
  trace.getActiveSpan()?.setAttribute('user.id', req.user.id);
  next();
});
const file = (id) => ({ kind: 'file', id, attr: { owner: FILES[id] } });
const may = (user, action, id) => cerbos.isAllowed({ principal: user, resource: file(id), action });

app.get('/files', async (req, res) => {
  const answer = await cerbos.checkResources({
    principal: req.user,
    resources: Object.keys(FILES).map((id) => ({ resource: file(id), actions: ['read', 'delete'] })),
  });
  res.json(answer.results.map((one) => ({ id: one.resource.id, actions: one.allowedActions() })));
});
app.get('/files/:id', async (req, res) => {
  let allowed;
  try {
    allowed = await may(req.user, 'read', req.params.id);
  } catch {
    allowed = true;
  }
  if (!allowed) return res.status(404).json({ error: 'no such file' });
  res.json({ id: req.params.id });
});
app.delete('/files/:id', async (req, res) => {
  let allowed;
  try {
    allowed = await may(req.user, 'delete', req.params.id);
  } catch {
    return res.status(403).json({ error: 'permissions are not known' });
  }
  if (!allowed) return res.status(403).json({ error: 'only the owner deletes a file' });
  res.status(204).end();
});
listen(app);
