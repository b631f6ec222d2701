package model

import (
	"testing"
	"time"
)

func TestLoadZone(t *testing.T) {
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]int{"Asia/Tokyo": 9 * 3600, "Europe/Berlin": 2 * 3600, "UTC": 0, "+09:00": 9 * 3600, "-03:30": -12600} {
		zone, err := LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, offset := at.In(zone).Zone(); offset != want || zone.String() != name {
			t.Errorf("%s: %v, %d s", name, zone, offset)
		}
	}
	for _, name := range []string{"", "Local", "JST", "+9", "+25:00", "+08:60", "../../etc/passwd"} {
		if zone, err := LoadZone(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
}
