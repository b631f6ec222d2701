package influx

import (
	"regexp"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

// Answer is what a query answers.
type Answer struct {
	Results []Statement `json:"results"`
}

// Statement is the answer to one statement of a query.
type Statement struct {
	ID     int     `json:"statement_id"`
	Series []Table `json:"series,omitempty"`
}

// Table is rows of one kind.
type Table struct {
	Name    string   `json:"name,omitempty"`
	Columns []string `json:"columns"`
	Values  [][]any  `json:"values,omitempty"`
}

// What clients ask before they write. A database is made by nobody: the tenant
// is the one that a token has, whatever it is called.
var (
	showDatabases  = regexp.MustCompile(`(?i)^SHOW\s+DATABASES$`)
	showRetention  = regexp.MustCompile(`(?i)^SHOW\s+RETENTION\s+POLICIES(\s+ON\s+\S+)?$`)
	createDatabase = regexp.MustCompile(`(?i)^CREATE\s+DATABASE\s`)
)

// Query answers what clients ask before they write: which databases there are,
// and that one is made. Every other query is refused.
func Query(tenant model.Tenant, q string) (*Answer, error) {
	q = strings.TrimRight(strings.TrimSpace(q), "; \t\n")
	var s Statement
	switch {
	case q == "":
		return nil, api.NewError("malformed", `missing required parameter "q"`)
	case showDatabases.MatchString(q):
		s.Series = []Table{{Name: "databases", Columns: []string{"name"}, Values: [][]any{{string(tenant)}}}}
	case showRetention.MatchString(q):
		s.Series = []Table{{
			Columns: []string{"name", "duration", "shardGroupDuration", "replicaN", "default"},
			Values:  [][]any{{"autogen", "0s", "168h0m0s", 1, true}},
		}}
	case createDatabase.MatchString(q):
	default:
		return nil, api.NewError("malformed", "only SHOW DATABASES, SHOW RETENTION POLICIES and CREATE DATABASE are answered here: read by /api/v1")
	}
	return &Answer{Results: []Statement{s}}, nil
}
