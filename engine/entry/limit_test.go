package entry_test

import (
	"testing"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/policy"
)

func TestTheLimitIsTheOneInTheTable(t *testing.T) {
	if policy.EntryBytes.Default != entry.MaxBytes {
		t.Errorf("the table says %d, entries hold %d", policy.EntryBytes.Default, entry.MaxBytes)
	}
}
