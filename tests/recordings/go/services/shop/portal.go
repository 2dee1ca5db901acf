package main

import (
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"golang.org/x/time/rate"
)

// portal guards its pages with Echo's own middlewares and looks sessions up in Redis.
func portal() http.Handler {
	options, err := redis.ParseURL(os.Getenv("SESSIONS"))
	if err != nil {
		log.Fatal(err)
	}
	options.MaxRetries = -1
	sessions := redis.NewClient(options)
	if err := redisotel.InstrumentTracing(sessions); err != nil {
		log.Fatal(err)
	}
	limit, _ := strconv.Atoi(os.Getenv("LIMIT"))

	app := echo.New()
	app.Use(otelecho.Middleware(os.Getenv("OTEL_SERVICE_NAME")))
	app.Use(middleware.RateLimiter(middleware.NewRateLimiterMemoryStoreWithConfig(
		middleware.RateLimiterMemoryStoreConfig{Rate: rate.Limit(limit), Burst: limit})))
	known := middleware.KeyAuth(func(key string, c echo.Context) (bool, error) {
		owner, err := sessions.Get(c.Request().Context(), "session:"+key).Result()
		if errors.Is(err, redis.Nil) {
			return false, nil
		}
		c.Set("owner", owner)
		return err == nil, err
	})
	done := func(c echo.Context) error { return c.NoContent(http.StatusOK) }
	app.GET("/reports", done, known)
	app.GET("/admin", done, known, administrators)
	app.POST("/profile", done, middleware.CSRF(), known)
	app.DELETE("/sessions/:id", func(c echo.Context) error {
		if err := sessions.Del(c.Request().Context(), "session:"+c.Param("id")).Err(); err != nil {
			return err
		}
		return done(c)
	}, known)
	return app
}

func administrators(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Get("owner") != "root" {
			return echo.NewHTTPError(http.StatusForbidden, "administrators only")
		}
		return next(c)
	}
}
