// Works orders off the queue; it asks itself whether the customer may order, and says so in a span of its own.
const amqp = require('amqplib');
const { SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');

const tracer = trace.getTracer('fulfilment');

function mayOrder(customer) {
  return tracer.startActiveSpan('auth.permission_check', { kind: SpanKind.INTERNAL }, (span) => {
    const allowed = customer !== 'blocked-ltd';
    span.setAttributes({ 'auth.result': allowed ? 'success' : 'failure', 'auth.resource': 'order' });
    if (!allowed) {
      span.setAttribute('auth.failure_reason', 'customer is blocked');
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'customer is blocked' });
    }
    span.end();
    return allowed;
  });
}

async function main() {
  const channel = await (await amqp.connect(process.env.BROKER)).createChannel();
  await channel.assertQueue('orders');
  await channel.consume('orders', (message) => {
    if (mayOrder(message.properties.headers.customer)) channel.ack(message);
    else channel.nack(message, false, false);
  });
  console.log('listening on 1');
}
main();
