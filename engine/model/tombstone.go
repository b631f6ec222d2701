package model

import "slices"

// Tombstone is a deletion of rows. It hides the rows of the span that entries
// of the log before Offset wrote, and no later ones.
type Tombstone struct {
	Offset   uint64
	Span     Span
	Channels []ChannelID // ascending; nil: every channel
}

// Covers reports whether it is about this channel.
func (t *Tombstone) Covers(id ChannelID) bool {
	if t.Channels == nil {
		return true
	}
	_, found := slices.BinarySearch(t.Channels, id)
	return found
}
