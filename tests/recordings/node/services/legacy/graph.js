// The same graph under graphql-http, where a refusal is a plain Error.
const express = require('express');
const { buildSchema } = require('graphql');
const { createHandler } = require('graphql-http/lib/use/express');
const jwt = require('jsonwebtoken');
const listen = require('./listen');

const schema = buildSchema(`
  type Person { name: String, salary: Int }
  type Query { person(id: ID!): Person }
  type Mutation { dismiss(id: ID!): Boolean! }
`);
const person = (name) => ({
  name,
  salary: (_, { user }) => {
    if (user.sub !== name) throw new Error('Not authorized to read the salary');
    return 4000;
  },
});
const rootValue = {
  person: ({ id }) => person(id),
  dismiss: (_, { user }) => {
    if (!user.roles.includes('admin')) throw new Error('Forbidden: administrators only');
    return true;
  },
};
const context = (req) => ({ user: jwt.verify((req.headers.authorization ?? '').replace('Bearer ', ''), process.env.SECRET) });

const app = express();
app.all('/graphql', createHandler({ schema, rootValue, context }));
listen(app);
