package model

import (
	"fmt"
	"time"
)

// LoadZone finds an IANA time zone by name, or makes one of an offset such as
// +09:00, which is its name. A machine's own zone has no name that others know:
// "" and Local are none.
func LoadZone(name string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", name); err == nil && at.Format("-07:00") == name {
		_, offset := at.Zone()
		return time.FixedZone(name, offset), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("%.60q is no IANA time zone such as Asia/Tokyo or Etc/GMT-9, which is 9 hours ahead of UTC, nor an offset such as +09:00", name)
	}
	return zone, nil
}
