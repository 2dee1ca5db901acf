package main

// Access tokens: HS256 JWTs, signed and verified with TOKEN_KEY; and how passwords are compared.

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"os"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer = "shop"
	rounds = 100_000
)

func tokenKey() []byte { return []byte(os.Getenv("TOKEN_KEY")) }

// caller is whom a token speaks of.
type caller struct {
	Role     string `json:"role"`
	Customer string `json:"customer"`
	jwt.RegisteredClaims
}

func issue(userID, role, customer string) (string, error) {
	seconds, err := strconv.Atoi(os.Getenv("TOKEN_SECONDS"))
	if err != nil {
		seconds = 900
	}
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, caller{role, customer, jwt.RegisteredClaims{
		Issuer: issuer, Subject: userID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Duration(seconds) * time.Second)),
	}}).SignedString(tokenKey())
}

// signedByUs says whose token it is. Its age is not looked at, so that a span can name the person before an expired one
// is refused.
func signedByUs(token string) (*caller, error) {
	found := &caller{}
	_, err := jwt.ParseWithClaims(token, found, func(*jwt.Token) (any, error) { return tokenKey(), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())
	if err != nil || found.Issuer != issuer || found.Subject == "" || found.ExpiresAt == nil {
		return nil, refused{"token_invalid", "The token is not ours."}
	}
	return found, nil
}

func (c *caller) refuseExpired() error {
	if !time.Now().Before(c.ExpiresAt.Time) {
		return refused{"token_expired", "The token has expired."}
	}
	return nil
}

// isPassword tells whether the hash of a password is the one kept; salt and hash in hex.
func isPassword(password, salt, expected string) (bool, error) {
	salted, err := hex.DecodeString(salt)
	if err != nil {
		return false, err
	}
	kept, err := hex.DecodeString(expected)
	if err != nil {
		return false, err
	}
	found, err := pbkdf2.Key(sha256.New, password, salted, rounds, len(kept))
	return err == nil && subtle.ConstantTimeCompare(found, kept) == 1, err
}
