// Takes orders in and hands them to the broker, with confirms; it connects with the first request.
const amqp = require('amqplib');
const express = require('express');
const listen = require('./listen');

let opened;
const channel = () => (opened ??= amqp.connect(process.env.BROKER).then((connection) => {
  connection.on('error', () => {});
  return connection.createConfirmChannel();
}).then((made) => {
  // What closes the channel says why; the confirms that are still out only say that it closed.
  const failed = new Promise((_, reject) => made.once('error', reject));
  failed.catch(() => {});
  return { made, failed };
}));

async function publish(exchange, key, headers) {
  const { made, failed } = await channel();
  made.publish(exchange, key, Buffer.from('{}'), { headers });
  await Promise.race([made.waitForConfirms(), failed]);
}
const hand = (exchange, key) => (req, res, next) => {
  publish(exchange, key, { customer: req.headers['x-customer'] }).then(() => res.status(202).json({}), next);
};

const app = express();
app.post('/orders', hand('', 'orders'));
app.post('/payouts', hand('payouts', ''));
app.use((error, req, res, next) => {
  res.status(500).json({ error: error.message });
});
listen(app);
