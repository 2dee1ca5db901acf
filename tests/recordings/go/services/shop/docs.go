package main

import (
	"context"
	"database/sql"
	"log"
	"net/http"
	"os"

	"github.com/XSAM/otelsql"
	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/gin-gonic/gin"
	_ "github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.30.0"
	"go.opentelemetry.io/otel/trace"
)

const rules = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && keyMatch(r.obj, p.obj) && r.act == p.act
`

// docs keeps documents through database/sql and asks Casbin, in its own process, who may have them.
func docs() http.Handler {
	held, err := model.NewModelFromString(rules)
	if err != nil {
		log.Fatal(err)
	}
	enforcer, err := casbin.NewEnforcer(held)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = enforcer.AddPolicies([][]string{
		{"mary", "/documents*", "GET"}, {"mary", "/documents*", "POST"}, {"mary", "/shares*", "POST"},
		{"mary", "/archive*", "GET"}, {"bob", "/documents", "GET"},
	})
	database, err := otelsql.Open("pgx", os.Getenv("DATABASE"), otelsql.WithAttributes(semconv.DBSystemNamePostgreSQL))
	if err != nil {
		log.Fatal(err)
	}

	gin.SetMode(gin.ReleaseMode)
	app := gin.New()
	app.Use(otelgin.Middleware(os.Getenv("OTEL_SERVICE_NAME")), bearer)
	plain := app.Group("/documents", permitted(enforcer))
	plain.GET("", query(database, "SELECT title FROM documents"))
	plain.POST("", exec(database, "INSERT INTO documents (title) VALUES ('plan')"))
	app.GET("/archive", permitted(enforcer), query(database, "SELECT title FROM archive"))
	app.POST("/shares", logged(database), traced(enforcer), exec(database, "INSERT INTO shares (title) VALUES ('plan')"))
	return app
}

func bearer(c *gin.Context) {
	who, err := verified(c.GetHeader("Authorization"))
	if err != nil {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "token wanted"})
		return
	}
	c.Set("who", who)
	trace.SpanFromContext(c.Request.Context()).SetAttributes(attribute.String("enduser.id", who.Subject))
}

func allowed(c *gin.Context, enforcer *casbin.Enforcer) bool {
	passed, err := enforcer.Enforce(c.MustGet("who").(*claims).Subject, c.Request.URL.Path, c.Request.Method)
	return err == nil && passed
}

// permitted says nothing to the trace.
func permitted(enforcer *casbin.Enforcer) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !allowed(c, enforcer) {
			c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "not yours"})
		}
	}
}

// traced puts the check into a span of its own, in the words a team may choose.
func traced(enforcer *casbin.Enforcer) gin.HandlerFunc {
	return func(c *gin.Context) {
		_, span := otel.Tracer("docs/authorization").Start(c.Request.Context(), "casbin.enforce", trace.WithAttributes(
			attribute.String("authz.action", c.Request.Method), attribute.String("authz.resource", c.Request.URL.Path)))
		defer span.End()
		if allowed(c, enforcer) {
			span.SetAttributes(attribute.String("authz.decision", "allow"))
			return
		}
		span.SetAttributes(attribute.String("authz.decision", "deny"), attribute.String("authz.reason", "no policy matches"))
		c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "not yours"})
	}
}

// logged counts the attempt before anybody has looked whether it may be made.
func logged(database *sql.DB) gin.HandlerFunc {
	return func(c *gin.Context) { _ = run(c.Request.Context(), database, "UPDATE counters SET tried = tried + 1") }
}

func query(database *sql.DB, statement string) gin.HandlerFunc {
	return func(c *gin.Context) {
		rows, err := database.QueryContext(c.Request.Context(), statement)
		if err == nil {
			err = rows.Close()
		}
		finish(c, err, http.StatusOK)
	}
}

func exec(database *sql.DB, statement string) gin.HandlerFunc {
	return func(c *gin.Context) { finish(c, run(c.Request.Context(), database, statement), http.StatusCreated) }
}

func run(ctx context.Context, database *sql.DB, statement string) error {
	_, err := database.ExecContext(ctx, statement)
	return err
}

func finish(c *gin.Context, err error, status int) {
	if err != nil {
		_ = c.Error(err)
		c.AbortWithStatusJSON(http.StatusInternalServerError, gin.H{"error": "internal error"})
		return
	}
	c.Status(status)
}
