package shop;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.instrumentation.api.instrumenter.AttributesExtractor;
import io.opentelemetry.instrumentation.javahttpserver.JavaHttpServerTelemetry;
import io.opentelemetry.instrumentation.jdbc.datasource.JdbcTelemetry;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.sql.DataSource;

/**
 * All that this service says about itself: traces by OpenTelemetry, logs as JSON lines that carry the ids of their trace.
 * To take over as it is, together with {@link Refusal} and {@link SqlState}.
 */
final class Telemetry {
  static final AttributeKey<String> AUTH_METHOD = AttributeKey.stringKey("auth.method");
  static final AttributeKey<String> AUTH_RESOURCE = AttributeKey.stringKey("auth.resource");
  static final AttributeKey<String> AUTH_ACTION = AttributeKey.stringKey("auth.action");
  static final AttributeKey<String> USER_ID = AttributeKey.stringKey("user.id");
  static final AttributeKey<List<String>> USER_ROLES = AttributeKey.stringArrayKey("user.roles");
  private static final AttributeKey<String> AUTH_RESULT = AttributeKey.stringKey("auth.result");
  private static final AttributeKey<String> AUTH_FAILURE_REASON = AttributeKey.stringKey("auth.failure_reason");
  private static final AttributeKey<String> CLIENT_ADDRESS = AttributeKey.stringKey("client.address");
  private static final AttributeKey<String> ERROR_TYPE = AttributeKey.stringKey("error.type");
  private static final AttributeKey<String> USER_HASH = AttributeKey.stringKey("user.hash");
  private static final AttributeKey<String> USER_NAME = AttributeKey.stringKey("user.name");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Tracer tracer;
  private final JavaHttpServerTelemetry http;
  private final JdbcTelemetry jdbc;
  private final String hashKey;
  private final boolean trustForwardedFor;

  /** Decides; is given the check's span, to add what it learns (user.id, user.roles) before it decides. */
  interface Decision<T> {
    T decide(Span span) throws Exception;
  }

  /** Starts the SDK with the usual OTEL_* variables; `service` is the name without OTEL_SERVICE_NAME. */
  Telemetry(String service, Map<String, String> environment) {
    // Today's names for what is written about databases; without this the libraries write those of 2023.
    System.getProperties().putIfAbsent("otel.semconv-stability.opt-in", "database");
    Map<String, String> defaults =
        Map.of(
            "otel.service.name", service,
            "otel.exporter.otlp.endpoint", "http://127.0.0.1:4318",
            "otel.exporter.otlp.protocol", "http/protobuf",
            "otel.metrics.exporter", "none",
            "otel.logs.exporter", "none");
    // Propagates W3C trace context and baggage; sends what is left when the JVM ends.
    OpenTelemetry sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> defaults)
            .addSpanExporterCustomizer((exporter, config) -> new SqlState(exporter))
            .build()
            .getOpenTelemetrySdk();
    hashKey = environment.getOrDefault("USER_HASH_KEY", "");
    trustForwardedFor = "true".equals(environment.get("TRUST_FORWARDED_FOR"));
    tracer = sdk.getTracer("shop");
    http = JavaHttpServerTelemetry.builder(sdk).addAttributesExtractor(new ClientAddress()).build();
    // With a span for getting a connection, which is what fails when the database is down. Values of parameters are left
    // out, as is its default.
    jdbc = JdbcTelemetry.builder(sdk).setDataSourceInstrumenterEnabled(true).build();
  }

  /** Gives the requests of a route their SERVER spans. */
  void trace(HttpContext route) {
    http.configure(route);
  }

  /** Gives statements their CLIENT spans. */
  DataSource trace(DataSource source) {
    return jdbc.wrap(source);
  }

  /**
   * Runs a check with a span of its own, and says on it how it ended, whichever way it did: a value is success, a
   * {@link Refusal} is failure, any other exception means that it could not be decided.
   */
  <T> T check(String name, Attributes known, Decision<T> check) throws Exception {
    Span span = tracer.spanBuilder(name).setAllAttributes(known).startSpan();
    try (Scope current = span.makeCurrent()) {
      T value = check.decide(span);
      span.setAttribute(AUTH_RESULT, "success");
      log("INFO", name + ": success");
      return value;
    } catch (Exception failed) {
      boolean refused = failed instanceof Refusal;
      String reason = refused ? ((Refusal) failed).reason : "upstream_error";
      span.setAttribute(AUTH_RESULT, refused ? "failure" : "error");
      span.setAttribute(AUTH_FAILURE_REASON, reason);
      span.setAttribute(ERROR_TYPE, refused ? reason : failed.getClass().getName());
      span.recordException(failed);
      span.setStatus(StatusCode.ERROR);
      log(refused ? "WARN" : "ERROR", name + ": " + reason);
      throw failed;
    } finally {
      span.end();
    }
  }

  /** What every check knows from the beginning. */
  AttributesBuilder from(HttpExchange exchange) {
    return Attributes.builder().put(CLIENT_ADDRESS, clientAddress(exchange));
  }

  /** Who tried to log in, before there is an id: a keyed hash where USER_HASH_KEY is set, and then the name nowhere. */
  Attributes person(String name) throws GeneralSecurityException {
    if (hashKey.isEmpty()) {
      return Attributes.of(USER_NAME, name);
    }
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(hashKey.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    byte[] hash = mac.doFinal(name.toLowerCase(Locale.ROOT).getBytes(StandardCharsets.UTF_8));
    return Attributes.of(USER_HASH, HexFormat.of().formatHex(hash));
  }

  /** Who connected to the edge, without port. The header counts only where a proxy in front is known to set it. */
  private String clientAddress(HttpExchange exchange) {
    String forwarded = exchange.getRequestHeaders().getFirst("X-Forwarded-For");
    if (trustForwardedFor && forwarded != null) {
      return forwarded.split(",", 2)[0].strip();
    }
    return exchange.getRemoteAddress().getAddress().getHostAddress();
  }

  /** A line on standard output. Never give it names, passwords or tokens. */
  static void log(String severity, String message) {
    Map<String, String> line = new LinkedHashMap<>();
    line.put("timestamp", Instant.now().toString());
    line.put("severity", severity);
    line.put("message", message);
    SpanContext span = Span.current().getSpanContext();
    if (span.isValid()) {
      line.put("trace_id", span.getTraceId());
      line.put("span_id", span.getSpanId());
    }
    try {
      System.out.println(JSON.writeValueAsString(line));
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** The id of the trace that is being written; "" where none is. */
  static String traceId() {
    SpanContext span = Span.current().getSpanContext();
    return span.isValid() ? span.getTraceId() : "";
  }

  /** By itself the instrumentation of the server believes X-Forwarded-For from anybody. */
  private final class ClientAddress implements AttributesExtractor<HttpExchange, HttpExchange> {
    @Override
    public void onStart(AttributesBuilder attributes, Context parent, HttpExchange exchange) {
      attributes.put(CLIENT_ADDRESS, clientAddress(exchange));
    }

    @Override
    public void onEnd(
        AttributesBuilder attributes, Context context, HttpExchange exchange, HttpExchange answered, Throwable error) {}
  }
}
