package main

import (
	"slices"
	"strings"
	"testing"
)

// TestImportIntoAFullTenant: a folder takes no more than a server does.
func TestImportIntoAFullTenant(t *testing.T) {
	flags, _ := lake(t)
	name := loggerFile(t, " 1,2,0", " 3,4,0")
	again := with(flags, "import", "--instrument", "lake", "--zone", "UTC", name)
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "10")...)
	before := expect(t, 0, with(flags, "table", "-o", "csv")...).stdout
	expectCode(t, 1, "over_quota", again...)
	if after := expect(t, 0, with(flags, "table", "-o", "csv")...).stdout; after != before {
		t.Errorf("table: %s, want %s", after, before)
	}
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "1000")...)
	expect(t, 0, again...)
}

// TestImportOfWhatHasExpired: rows that nobody would see are refused, and a
// channel that has no others is not made.
func TestImportOfWhatHasExpired(t *testing.T) {
	flags, _ := lake(t)
	expect(t, 0, with(flags, "retention", "set", "--raw", "1y", "--scope", "instrument", "--match", "roof")...)
	name := loggerFile(t, " 1,2,0", " 3,4,0")
	refused := expectCode(t, 1, "before_retention", with(flags, "import", "--instrument", "roof", "--zone", "UTC", name, "-o", "json")...)
	var result struct {
		Accepted, Rejected int
		Files              []struct{ Reasons map[string]int }
	}
	decode(t, refused.stdout, &result)
	if result.Accepted != 0 || result.Rejected != 6 || result.Files[0].Reasons["before_retention"] != 6 {
		t.Errorf("import: %s", refused.stdout)
	}
	if listed := expect(t, 0, with(flags, "channels", "-o", "csv")...).stdout; strings.Contains(listed, "roof") {
		t.Errorf("channels: %s", listed)
	}
	expect(t, 0, with(flags, "import", "--instrument", "lake", "--zone", "UTC", name)...)
}

// TestViewOfRollupsAlone leaves both ends open: the view covers all that
// channels counts, also where only rollups of it are left.
func TestViewOfRollupsAlone(t *testing.T) {
	flags, data := lake(t)
	expect(t, 0, with(flags, "retention", "set", "--raw", "1y", "--1h", "forever")...)
	check := func() {
		t.Helper()
		var view struct {
			Channels []struct{ Count []int }
		}
		body(t, &view, with(flags, "view", `{channel="2-1"}`)...)
		var listed struct {
			Channels []struct{ Samples int }
		}
		body(t, &listed, with(flags, "channels", `{channel="2-1"}`)...)
		count := 0
		for _, n := range view.Channels[0].Count {
			count += n
		}
		if count != 3 || listed.Channels[0].Samples != 3 {
			t.Errorf("%d rows in the view, %d in the list, want 3", count, listed.Channels[0].Samples)
		}
		var table struct{ Times []int }
		body(t, &table, with(flags, "table")...)
		if len(table.Times) != 0 {
			t.Errorf("rows that have expired: %v", table.Times)
		}
	}
	check()
	expect(t, 0, "compact", "--data", data)
	check()
	var edge struct{ From int64 }
	body(t, &edge, with(flags, "view", "--to", "2022-07-01T00:00:00Z", `{channel="2-1"}`)...)
	if first := int64(1654555413000); edge.From > first || edge.From < first-3600e3 {
		t.Errorf("a view with an open start begins at %d, want about %d", edge.From, first)
	}
}

// TestRetentionGetWithASelector: only what holds for channels can be chosen.
func TestRetentionGetWithASelector(t *testing.T) {
	flags, _ := lake(t)
	expectCode(t, 2, "malformed", with(flags, "retention", "get", "{instrument=\"lake\"}")...)
	expect(t, 0, with(flags, "retention", "get", "--effective", "{instrument=\"lake\"}")...)
	bad := expectCode(t, 2, "invalid", with(flags, "retention", "set", "--raw", "1y", "--scope", "channel", "--match", "{x=1}")...)
	if slices.Contains(strings.Fields(bad.stderr), "bad_selector:") {
		t.Errorf("stderr: %s", bad.stderr)
	}
}
