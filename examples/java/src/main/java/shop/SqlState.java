package shop;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.DelegatingSpanData;
import io.opentelemetry.sdk.trace.data.ExceptionEventData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.sql.SQLException;
import java.util.Collection;

/**
 * Puts the SQLSTATE of a failed statement into db.response.status_code on its way out. The instrumentation of JDBC writes
 * the driver's error number there, which for PostgreSQL is always 0.
 */
final class SqlState implements SpanExporter {
  private static final AttributeKey<String> STATUS_CODE = AttributeKey.stringKey("db.response.status_code");

  private final SpanExporter next;

  SqlState(SpanExporter next) {
    this.next = next;
  }

  @Override
  public CompletableResultCode export(Collection<SpanData> spans) {
    return next.export(spans.stream().map(SqlState::stated).toList());
  }

  private static SpanData stated(SpanData span) {
    if (span.getAttributes().get(STATUS_CODE) == null) {
      return span;
    }
    return span.getEvents().stream()
        .filter(event -> event instanceof ExceptionEventData)
        .map(event -> ((ExceptionEventData) event).getException())
        .filter(thrown -> thrown instanceof SQLException sql && sql.getSQLState() != null)
        .findFirst()
        .map(thrown -> withState(span, ((SQLException) thrown).getSQLState()))
        .orElse(span);
  }

  private static SpanData withState(SpanData span, String state) {
    Attributes attributes = span.getAttributes().toBuilder().put(STATUS_CODE, state).build();
    return new DelegatingSpanData(span) {
      @Override
      public Attributes getAttributes() {
        return attributes;
      }
    };
  }

  @Override
  public CompletableResultCode flush() {
    return next.flush();
  }

  @Override
  public CompletableResultCode shutdown() {
    return next.shutdown();
  }
}
