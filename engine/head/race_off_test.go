//go:build !race

package head

const underRace = false
