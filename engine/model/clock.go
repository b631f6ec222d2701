package model

import "time"

// Clock tells the time. The engine never asks the machine's clock itself, so
// that tests and drills can set it.
type Clock func() time.Time
