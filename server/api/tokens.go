package api

// TokenRequest is the body of POST /api/v1/tokens: a token of a tenant, which
// is made where it is missing, or an administrator's.
type TokenRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name,omitempty"`  // for people
	Scope  string `json:"scope,omitempty"` // read, write, both; left out: both
	Admin  bool   `json:"admin,omitempty"`

	SamplesPerSecond uint64 `json:"samples_per_second,omitempty" doc:"Samples written with it per second, on average, besides what its tenant may; 0 or left out: no limit of its own"`
}

// TokenBody is a token. Token, the secret, is given only by the answer that
// makes it.
type TokenBody struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name"`
	Scope  string `json:"scope,omitempty"`
	Admin  bool   `json:"admin"`

	SamplesPerSecond uint64 `json:"samples_per_second,omitempty" doc:"Samples that may be written with it per second, on average; left out: no limit but its tenant's"`

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
