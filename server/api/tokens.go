package api

// TokenRequest is the body of POST /api/v1/tokens: a token of a tenant, which
// is made where it is missing, or an administrator's.
type TokenRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name,omitempty"`  // for people
	Scope  string `json:"scope,omitempty"` // read, write, both; left out: both
	Admin  bool   `json:"admin,omitempty"`
}

// TokenBody is a token. Token, the secret, is given only by the answer that
// makes it.
type TokenBody struct {
	ID      string `json:"id"`
	Tenant  string `json:"tenant,omitempty"`
	Name    string `json:"name"`
	Scope   string `json:"scope,omitempty"`
	Admin   bool   `json:"admin"`
	Created int64  `json:"created"`
	Unit    string `json:"unit"`
	Token   string `json:"token,omitempty"`
}

// TokensBody answers GET /api/v1/tokens.
type TokensBody struct {
	Unit   string      `json:"unit"`
	Tokens []TokenBody `json:"tokens"`
}

// SessionRequest is the body of POST /api/v1/session.
type SessionRequest struct {
	Token string `json:"token"`
}
