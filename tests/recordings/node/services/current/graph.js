// A graph under Apollo Server: one operation for administrators, one field for the person itself.
const express = require('express');
const { ApolloServer } = require('@apollo/server');
const { expressMiddleware } = require('@as-integrations/express5');
const { GraphQLError } = require('graphql');
const jwt = require('jsonwebtoken');
const listen = require('./listen');

const typeDefs = `
  type Person { name: String, salary: Int }
  type Query { person(id: ID!): Person, me: Person }
  type Mutation { dismiss(id: ID!): Boolean! }
`;
const refusal = (text, code) => new GraphQLError(text, { extensions: { code } });
const resolvers = {
  Query: {
    person: (_, { id }) => ({ name: id }),
    me: (_, __, { user }) => {
      if (!user) throw refusal('You must be logged in', 'UNAUTHENTICATED');
      return { name: user.sub };
    },
  },
  Person: {
    salary: (person, _, { user }) => {
      if (user?.sub !== person.name) throw refusal('Not authorized to read the salary', 'FORBIDDEN');
      return 4000;
    },
  },
  Mutation: {
    dismiss: (_, __, { user }) => {
      if (!user?.roles?.includes('admin')) throw refusal('Forbidden: administrators only', 'FORBIDDEN');
      return true;
    },
  },
};

async function main() {
  const server = new ApolloServer({ typeDefs, resolvers });
  await server.start();
  const context = async ({ req }) => {
    const token = (req.headers.authorization ?? '').replace('Bearer ', '');
    return { user: token ? jwt.verify(token, process.env.SECRET) : null };
  };
  const app = express();
  app.use('/graphql', express.json(), expressMiddleware(server, { context }));
  listen(app);
}
main();
