// Fastify 5 is instrumented by a plugin of its own.
const { FastifyOtelInstrumentation } = require('@fastify/otel');

module.exports = (app) => app.register(new FastifyOtelInstrumentation().plugin());
