package tenants

import "time"

// A clock that goes more than mostJump further than time has passed is not
// trusted until it has kept so for jumpPatience: what would be deleted by a
// clock that is wrong for some minutes does not come back.
const (
	mostJump     = time.Hour
	jumpPatience = time.Hour
)

// clockWatch notices that a clock was put forward while the process ran. The
// zero value trusts the first time it is shown.
type clockWatch struct {
	origin   time.Time     // what the clock showed when the process began to watch, as far as it is trusted
	doubted  time.Time     // the same of a clock that is not trusted; zero: it is
	doubtful time.Duration // how long the process had run when that began
}

// trusts reports whether what is due at now, on the clock, may be done, when
// the process has run for so long.
func (w *clockWatch) trusts(now time.Time, running time.Duration) bool {
	origin := now.Round(0).Add(-running) // the reading of the clock alone
	if !w.origin.IsZero() && origin.Sub(w.origin) > mostJump {
		if w.doubted.IsZero() || origin.Sub(w.doubted).Abs() > mostJump {
			w.doubted, w.doubtful = origin, running
		}
		if running-w.doubtful < jumpPatience {
			return false
		}
	}
	w.origin, w.doubted = origin, time.Time{}
	return true
}
