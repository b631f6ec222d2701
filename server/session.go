package server

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
)

// sessionSeconds is how long a browser keeps the session: 30 days. The token
// itself is good until it is revoked.
const sessionSeconds = 30 * 24 * 60 * 60

// begin puts a token into the browser's cookie.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) error {
	if err := s.sameOrigin.Check(r); err != nil {
		return newProblem("forbidden", "a session must be begun from the server's own pages")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return newProblem("unsupported_media_type", "the body must be application/json")
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var asked api.SessionRequest
	if err := json.Unmarshal(text, &asked); err != nil {
		return newProblem("malformed", "the body is not JSON with a token")
	}
	token, err := s.tokens.Lookup(asked.Token)
	if err != nil {
		return newProblem("unauthorized", "the token is unknown or was revoked")
	}
	if err := s.tenants.Admits(token.Tenant); err != nil {
		return err
	}
	http.SetCookie(w, session(r, asked.Token, sessionSeconds))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// end makes the browser forget the token.
func (s *Server) end(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, endedSession(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func session(r *http.Request, secret string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: secret, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

func endedSession(r *http.Request) *http.Cookie { return session(r, "", -1) }

// tokenProblem returns the problem that an error of package auth is.
func tokenProblem(err error) *Problem {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return newProblem("not_found", err.Error())
	case errors.Is(err, auth.ErrInvalid):
		return newProblem("invalid", err.Error())
	case errors.Is(err, auth.ErrNotDurable):
		p := *problemOf(err)
		p.Detail = "the token is void until the server starts again, but not for ever: that could not be stored; repeat this when the disk works"
		return &p
	}
	return problemOf(err)
}
