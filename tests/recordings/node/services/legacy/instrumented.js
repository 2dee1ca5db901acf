// Fastify 4 is instrumented from outside.
module.exports = async () => {};
