'use strict';
// All that this service says about itself: traces by OpenTelemetry, logs as JSON lines with the ids of their trace.
// To take over as it is. Require it before anything else: libraries are instrumented when they are first loaded.

const { createHmac } = require('node:crypto');
const { SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { ExpressInstrumentation, ExpressLayerType } = require('@opentelemetry/instrumentation-express');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg');
const { UndiciInstrumentation } = require('@opentelemetry/instrumentation-undici');
const { defaultResource, detectResources, envDetector, resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const NO_HEALTH_CHECKS = (request) => request.url === '/healthz';
const tracer = trace.getTracer('shop');

/**
 * A check's "no". `reason` is for telemetry, and one of a closed list, because alerts carry it as a label;
 * `status` and `answer` are for the client, who may be told less.
 */
class Refusal extends Error {
  constructor(reason, status, answer = reason) {
    super(reason);
    this.name = 'Refusal';
    Object.assign(this, { reason, status, answer });
  }
}

/** PostgreSQL's SQLSTATE as an attribute: the instrumentation of `pg` only writes it into the exception's words. */
const sqlState = {
  onStart() {},
  onEnding(span) {
    if (span.kind !== SpanKind.CLIENT || !span.attributes['db.system.name']) return;
    for (const event of span.events) {
      const found = /\(code: ([0-9A-Z]{5})\)/.exec(event.attributes?.['exception.message'] ?? '');
      if (found) span.setAttribute('db.response.status_code', found[1]);
    }
  },
  onEnd() {},
  async forceFlush() {},
  async shutdown() {},
};

function start() {
  const role = process.env.ROLE || 'all';
  const named = resourceFromAttributes({ 'service.name': role === 'all' ? 'node-shop' : role });
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so they win.
  const resource = defaultResource().merge(named).merge(detectResources({ detectors: [envDetector] }));
  // The exporter's own default says localhost, which may be ::1, where many Collectors do not listen.
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT ??= 'http://127.0.0.1:4318';
  const provider = new NodeTracerProvider({
    resource,
    spanProcessors: [sqlState, new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register(); // W3C trace context and baggage, context kept over `await`
  registerInstrumentations({
    instrumentations: [
      new HttpInstrumentation({
        ignoreIncomingRequestHook: NO_HEALTH_CHECKS,
        // By itself it believes X-Forwarded-For from anybody.
        startIncomingSpanHook: (request) => ({ 'client.address': clientAddress(request) }),
      }),
      new UndiciInstrumentation(), // fetch()
      // Only for the route's template: a span for each middleware says nothing that the checks do not say better.
      new ExpressInstrumentation({ ignoreLayersType: Object.values(ExpressLayerType) }),
      // Values of parameters are left out, as is its default; spans outside of a request as well.
      new PgInstrumentation({ requireParentSpan: true }),
    ],
  });
  return provider;
}

/**
 * Runs `decide` as one check with a span of its own, and says on it how it ended, whichever way it did:
 * a value is success, a thrown Refusal is failure, anything else thrown means that it could not be decided.
 * `decide` is given the span, to add what it learns (user.id, user.roles) before it decides.
 */
function check(name, attributes, decide) {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      const value = await decide(span);
      span.setAttribute('auth.result', 'success');
      log('INFO', `${name}: success`);
      return value;
    } catch (error) {
      const refused = error instanceof Refusal;
      const reason = refused ? error.reason : 'upstream_error';
      span.setAttributes({
        'auth.result': refused ? 'failure' : 'error',
        'auth.failure_reason': reason,
        'error.type': refused ? reason : error.name,
      });
      span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      log(refused ? 'WARN' : 'ERROR', `${name}: ${reason}`);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Who tried to log in, before there is an id: a keyed hash where USER_HASH_KEY is set, and then the name nowhere. */
function person(name) {
  const key = process.env.USER_HASH_KEY;
  if (!key) return { 'user.name': name };
  return { 'user.hash': createHmac('sha256', key).update(name.toLowerCase()).digest('hex') };
}

/** Who connected to the edge, without port. The header counts only where a proxy in front is known to set it. */
function clientAddress(request) {
  const forwarded = process.env.TRUST_FORWARDED_FOR === 'true' && request.headers['x-forwarded-for'];
  const address = forwarded ? forwarded.split(',')[0].trim() : request.socket.remoteAddress;
  return (address ?? '').replace(/^::ffff:/, '');
}

/** A line on standard output. Never give it names, passwords or tokens. */
function log(severity, message, fields = {}) {
  const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {};
  const timestamp = new Date().toISOString();
  const line = { timestamp, severity, message, trace_id: traceId, span_id: spanId, ...fields };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** The id of the trace that is being written. */
function traceId() {
  return trace.getActiveSpan()?.spanContext().traceId ?? '';
}

const provider = start();

module.exports = { Refusal, check, clientAddress, log, person, shutdown: () => provider.shutdown(), traceId };
