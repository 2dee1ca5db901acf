// Somebody else's service, which sends no spans: it knows one key.
const { createServer } = require('node:http');

const server = createServer((req, res) => {
  res.writeHead(req.headers['x-api-key'] === 'a good key' ? 201 : 403, { 'content-type': 'application/json' });
  res.end('{}');
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
