package tenants

import "time"

// forecastDays is over how many whole days growth is averaged.
const forecastDays = 30

// farthest is how far ahead a forecast looks: beyond it nothing is said.
const farthest = 100 * 365 * 24 * time.Hour

// Forecast returns when a quota will be full if bytes go on to be added as on
// the last whole days, up to thirty, zero if never or not in a hundred years.
// added has the bytes of each UTC day, numbered since 1970; the day of now is
// not whole and does not count.
func Forecast(added map[int64]uint64, used, quota uint64, now time.Time) time.Time {
	if quota == 0 {
		return time.Time{}
	}
	if used >= quota {
		return now.Truncate(time.Second)
	}
	today := dayOf(now)
	first, sum := today, uint64(0)
	for day, bytes := range added {
		if day >= today || day < today-forecastDays || bytes == 0 {
			continue
		}
		first = min(first, day)
		sum += bytes
	}
	if sum == 0 {
		return time.Time{}
	}
	perDay := float64(sum) / float64(today-first)
	left := float64(quota-used) / perDay * float64(24*time.Hour)
	if left > float64(farthest) {
		return time.Time{}
	}
	return now.Add(time.Duration(left)).Truncate(time.Second)
}

// dayOf returns the number of the UTC day of at, 0 for the first of 1970.
func dayOf(at time.Time) int64 {
	seconds := at.Unix()
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return day
}
