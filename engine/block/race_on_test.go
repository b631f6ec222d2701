//go:build race

package block

// underRace says that the race detector is on: pools forget on purpose then,
// and memory is not what it is.
const underRace = true
