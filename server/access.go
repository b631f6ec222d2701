package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/auth"
)

// access is who may use a route.
type access int

const (
	open         access = iota // without a token
	anyToken                   // whoever has a token
	readTenant                 // a tenant's token that may read
	writeTenant                // a tenant's token that may write
	readAbout                  // the same as readTenant, or an administrator's that names the tenant
	writeAbout                 // the same as writeTenant, or an administrator's that names the tenant
	adminOnly                  // an administrator's token
	adminOrLocal               // the same, or without a token from this machine
)

// sessionCookie holds the page's token.
const sessionCookie = "hokan_session"

// caller is who sent a request. The zero value is one without a token.
type caller struct {
	auth.Token
	about model.Tenant // whose data the request is about, "" if nobody's
}

type answerKey struct{}

// tenantOf returns the tenant whose data the request is about.
func tenantOf(ctx context.Context) model.Tenant {
	if a := answerOf(ctx); a != nil {
		return a.caller.about
	}
	return ""
}

// isAdmin reports whether an administrator asks.
func isAdmin(ctx context.Context) bool {
	a := answerOf(ctx)
	return a != nil && a.caller.Admin
}

// answerOf returns the answer to the request, nil where there is none.
func answerOf(ctx context.Context) *answer {
	a, _ := ctx.Value(answerKey{}).(*answer)
	return a
}

// callerOf returns who sends r, as far as the route asks for that.
func (s *Server) callerOf(r *http.Request, o *operation) (caller, error) {
	a := o.access
	if a == open || a == adminOrLocal && isLocal(r) {
		return caller{}, nil
	}
	secret, byCookie, err := o.secretOf(r)
	if err != nil {
		return caller{}, err
	}
	token, err := s.tokens.Lookup(secret)
	if err != nil {
		return caller{}, newProblem("unauthorized", "the token is unknown or was revoked")
	}
	if byCookie {
		if err := s.sameOrigin.Check(r); err != nil {
			return caller{}, newProblem("forbidden", "a request with a session cookie must come from the server's own pages")
		}
	}
	who := caller{token, token.Tenant}
	if err := a.permits(&token); err != nil {
		return who, err
	}
	if !token.Admin {
		if err := s.tenants.Admits(token.Tenant); err != nil {
			return who, problemOf(err)
		}
	}
	if a == readAbout || a == writeAbout {
		who.about, err = aboutWhom(&token, r.URL.Query().Get(tenantParameter))
	}
	return who, err
}

// tenantParameter is with which an administrator says whose data is meant.
const tenantParameter = "tenant"

// aboutWhom returns whose data a request is about that may name a tenant.
func aboutWhom(t *auth.Token, named string) (model.Tenant, error) {
	switch {
	case t.Admin && named == "":
		return "", newProblem("malformed", "an administrator says whose data is meant: tenant=T")
	case !t.Admin && named != "" && named != string(t.Tenant):
		return "", newProblem("not_found", "there is no such tenant")
	case !t.Admin:
		return t.Tenant, nil
	}
	name := model.Tenant(named)
	return name, name.Validate()
}

// secretOf returns the secret that r shows, as the operation has it.
func (o *operation) secretOf(r *http.Request) (secret string, byCookie bool, err error) {
	if o.secret == nil {
		return secretOf(r)
	}
	if secret = o.secret(r); secret == "" {
		return "", false, newProblem("unauthorized", "a token is missing")
	}
	return secret, false, nil
}

// secretOf returns the secret that r shows: in a header, or in the page's
// cookie.
func secretOf(r *http.Request) (secret string, byCookie bool, err error) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false, newProblem("unauthorized", "the Authorization header must be: Bearer and a token")
		}
		return strings.TrimSpace(secret), false, nil
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", false, newProblem("unauthorized", "a token is missing: send the header Authorization: Bearer TOKEN")
	}
	return cookie.Value, true, nil
}

// permits returns why a token may not use a route.
func (a access) permits(t *auth.Token) error {
	switch a {
	case adminOnly, adminOrLocal:
		if !t.Admin {
			return newProblem("forbidden", "this takes an administrator's token")
		}
	case readTenant, writeTenant:
		if t.Admin {
			return newProblem("forbidden", "this takes a tenant's token, not an administrator's")
		}
	}
	switch {
	case t.Admin:
	case (a == readTenant || a == readAbout) && !t.Scope.CanRead():
		return newProblem("forbidden", "the token may write, not read")
	case (a == writeTenant || a == writeAbout) && !t.Scope.CanWrite():
		return newProblem("forbidden", "the token may read, not write")
	}
	return nil
}

// isLocal reports whether a program on this machine sent r itself: from a
// loopback address, under a name of this machine, and without a header that a
// proxy adds. What a proxy here passes on is its clients'.
func isLocal(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() || !isLocalName(r.Host) {
		return false
	}
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	return true
}

// isLocalName reports whether a request's host is this machine whoever asks.
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && (address.IsLoopback() || address.IsUnspecified())
}
