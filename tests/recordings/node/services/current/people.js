// A front for browsers: it asks the graph and makes a status of what the graph says in a 200.
const express = require('express');
const listen = require('./listen');

const STATUS = { FORBIDDEN: 403, UNAUTHENTICATED: 401 };

async function ask(req, query) {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  if (req.headers.authorization) headers.authorization = req.headers.authorization;
  const answer = await fetch(`${process.env.GRAPH}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return answer.json();
}
const refused = (answer) => STATUS[answer.errors?.[0].extensions.code];

const app = express();
app.get('/me', async (req, res) => {
  const answer = await ask(req, '{ me { name } }');
  res.status(refused(answer) ?? 200).json(answer.data);
});
// The page shows what it was given.
app.get('/people/:id', async (req, res) => {
  const answer = await ask(req, `{ person(id: "${req.params.id}") { name salary } }`);
  res.json(answer.data);
});
app.delete('/people/:id', async (req, res) => {
  const answer = await ask(req, `mutation { dismiss(id: "${req.params.id}") }`);
  res.status(refused(answer) ?? 204).end();
});
listen(app);
