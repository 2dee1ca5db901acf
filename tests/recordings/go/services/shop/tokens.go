package main

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

var errNoToken = errors.New("no bearer token")

type claims struct {
	Roles  []string `json:"roles"`
	Tenant string   `json:"tenant"`
	jwt.RegisteredClaims
}

func (c *claims) has(role string) bool { return slices.Contains(c.Roles, role) }

// verified gives the claims of a bearer token that is ours and has not expired.
func verified(authorization string) (*claims, error) {
	raw, found := strings.CutPrefix(authorization, "Bearer ")
	if !found {
		return nil, errNoToken
	}
	held := &claims{}
	_, err := jwt.ParseWithClaims(raw, held, func(*jwt.Token) (any, error) { return []byte(os.Getenv("SECRET")), nil },
		jwt.WithValidMethods([]string{"HS256"}))
	return held, err
}

// authenticated lets a request pass whose token is verified.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := verified(r.Header.Get("Authorization")); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="shop"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
