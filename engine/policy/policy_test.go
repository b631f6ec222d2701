package policy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/policy"
)

// codes are the error codes and sample reasons that clients rely on.
var codes = strings.Fields(`
	malformed bad_selector bad_span bad_time unauthorized forbidden not_found no_channel conflict locked
	body_too_large unsupported_media_type too_many_channels nothing_accepted invalid rate_limited busy
	corrupt internal disk_full over_quota idempotency_limit
	too_far_ahead before_retention not_a_number channel_limit instrument_limit bad_label`)

func TestLimits(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, l := range policy.Limits() {
		if !name.MatchString(l.Name) || seen[l.Name] {
			t.Errorf("name %q is odd or given twice", l.Name)
		}
		seen[l.Name] = true
		if l.Default < 1 {
			t.Errorf("%s: %d", l.Name, l.Default)
		}
		if l.Code != "" && !slices.Contains(codes, l.Code) {
			t.Errorf("%s: no error has the code %q", l.Name, l.Code)
		}
		if l.Doc == "" || strings.ContainsAny(l.Doc, "\n") {
			t.Errorf("%s: doc %q", l.Name, l.Doc)
		}
	}
}

func TestLimitsListsEveryLimit(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.CompositeLit); ok {
			if id, ok := literal.Type.(*ast.Ident); ok && id.Name == "Limit" {
				declared++
			}
		}
		return true
	})
	if got := len(policy.Limits()); got != declared || declared == 0 {
		t.Errorf("Limits lists %d of %d", got, declared)
	}
}

func TestLimitsIsACopy(t *testing.T) {
	policy.Limits()[0].Default = -1
	if policy.Limits()[0].Default == -1 {
		t.Error("a caller changed the table")
	}
}
