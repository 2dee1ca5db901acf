package main

// Everything about telemetry that this service needs: take this file over and call setUp first of all.

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("shop")

// setUp sends spans as OTEL_* says, under this name if that says none, and writes logs as lines of JSON to standard
// output. Call flush before the program ends.
func setUp(ctx context.Context, service string) (flush func(context.Context) error, err error) {
	setDefault("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	setDefault("OTEL_SERVICE_NAME", service)
	slog.SetDefault(slog.New(withTrace{slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: fieldNames})}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	otel.SetTracerProvider(provider)
	// W3C trace context: taken from every request and set on every call out.
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return provider.Shutdown, nil
}

func setDefault(name, value string) {
	if os.Getenv(name) == "" {
		os.Setenv(name, value)
	}
}

// instrument gives each request a SERVER span, but for health checks, and its answer the header x-trace-id, so that
// whoever was refused can say which request it was.
func instrument(mux *http.ServeMux) http.Handler {
	traced := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := trace.SpanFromContext(r.Context())
		if span.SpanContext().IsValid() {
			w.Header().Set("x-trace-id", span.SpanContext().TraceID().String())
		}
		mux.ServeHTTP(w, r)
		// The library puts the route into the span's name only.
		if _, route, found := strings.Cut(r.Pattern, " "); found {
			span.SetAttributes(attribute.String("http.route", route))
		}
	}), "", otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The library takes client.address from this header, whoever wrote it.
		if os.Getenv("TRUST_FORWARDED_FOR") != "true" {
			r.Header.Del("X-Forwarded-For")
		}
		traced.ServeHTTP(w, r)
	})
}

// refused is a check that said no. Its reason is one of the closed list that becomes a label; the detail is for people.
type refused struct{ reason, detail string }

func (r refused) Error() string { return r.detail }

// check puts a span around one check, and nothing else, with a result on every way out of it: refused is a failure, any
// other error means that the check could not decide.
func check(ctx context.Context, name string, decide func(context.Context, trace.Span) error, known ...attribute.KeyValue) error {
	ctx, span := tracer.Start(ctx, name, trace.WithAttributes(known...))
	defer span.End()
	// Stands if decide panics.
	span.SetAttributes(attribute.String("auth.result", "error"))
	err := decide(ctx, span)
	var no refused
	switch {
	case err == nil:
		span.SetAttributes(attribute.String("auth.result", "success"))
		return nil
	case errors.As(err, &no):
		span.SetAttributes(
			attribute.String("auth.result", "failure"),
			attribute.String("auth.failure_reason", no.reason),
			attribute.String("error.type", no.reason))
	default:
		span.SetAttributes(attribute.String("auth.failure_reason", "upstream_error"))
	}
	// On the check alone: the SERVER span stays as it is, because a 403 is an answer.
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	return err
}

// who is the name given at a log-in as an attribute: hashed where there is a key for it, and then written nowhere.
func who(name string) attribute.KeyValue {
	name = strings.ToLower(name)
	key := os.Getenv("USER_HASH_KEY")
	if key == "" {
		return attribute.String("user.name", name)
	}
	hash := hmac.New(sha256.New, []byte(key))
	hash.Write([]byte(name))
	return attribute.String("user.hash", hex.EncodeToString(hash.Sum(nil)))
}

// clientAddress says who connected to the edge: the first of X-Forwarded-For, where instrument has left any.
func clientAddress(r *http.Request) attribute.KeyValue {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" {
		address = strings.TrimSpace(first)
	}
	return attribute.String("client.address", address)
}

// withSQLState adds to a failed statement's span what PostgreSQL's refusal is called, in OpenTelemetry's word for it:
// otelpgx has one of its own, pgx.sql_state.
type withSQLState struct{ *otelpgx.Tracer }

func (t withSQLState) TraceQueryEnd(ctx context.Context, connection *pgx.Conn, end pgx.TraceQueryEndData) {
	var refusal *pgconn.PgError
	if errors.As(end.Err, &refusal) {
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("db.response.status_code", refusal.Code))
	}
	t.Tracer.TraceQueryEnd(ctx, connection, end)
}

// withTrace adds to each line of the log the trace it belongs to.
type withTrace struct{ slog.Handler }

func (h withTrace) Handle(ctx context.Context, record slog.Record) error {
	if current := trace.SpanContextFromContext(ctx); current.IsValid() {
		record.AddAttrs(slog.String("trace_id", current.TraceID().String()), slog.String("span_id", current.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// fieldNames are OpenTelemetry's words for what slog calls time, level and msg.
func fieldNames(groups []string, field slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch field.Key {
		case slog.TimeKey:
			field.Key = "timestamp"
		case slog.LevelKey:
			field.Key = "severity"
		case slog.MessageKey:
			field.Key = "message"
		}
	}
	return field
}
