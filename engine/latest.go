package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// Latest is a channel's newest row; of rows at the same time the last written.
// OK is false where the channel has none.
type Latest struct {
	Time  int64
	Value float64
	OK    bool
}

// Latest returns the newest row of each channel. It reads the disk only for
// channels whose newest row was deleted since they were last asked for.
func (db *DB) Latest(ctx context.Context, name model.Tenant, ids []model.ChannelID) ([]Latest, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	now := db.now()
	latest, lost, err := t.latestOf(ids, now)
	for len(lost) > 0 && err == nil {
		// Many channels at a time would hold the headers of all their chunks.
		some := lost[:min(len(lost), lostTogether)]
		lost = lost[len(some):]
		err = db.findLatest(ctx, t, ids, some, latest)
	}
	return latest, err
}

// lostTogether is for how many channels the newest row is looked for at once.
const lostTogether = 256

// latestOf returns what is known of the newest rows of channels, and the places
// in ids of those of which it must be looked for.
func (t *tenant) latestOf(ids []model.ChannelID, now int64) (latest []Latest, lost []int, err error) {
	latest = make([]Latest, len(ids))
	t.mu.RLock()
	defer t.mu.RUnlock()
	keepsAll := t.keepsAll()
	for i, id := range ids {
		if t.index.Get(id) == nil {
			return nil, nil, fmt.Errorf("%w %d", ErrUnknownChannel, id)
		}
		if int(id) >= len(t.latest) {
			continue
		}
		l := t.latest[id]
		switch {
		case l.state == latestLost:
			lost = append(lost, i)
		case l.state == latestKnown && (keepsAll || l.time >= t.floors(id, now)[model.StepRaw]):
			latest[i] = Latest{l.time, l.value, true}
		}
	}
	return latest, lost, nil
}

// findLatest reads the newest rows of the channels at some places of ids into
// latest, and notes them if nothing was written or deleted meanwhile.
func (db *DB) findLatest(ctx context.Context, t *tenant, ids []model.ChannelID, places []int, latest []Latest) error {
	t.mu.RLock()
	applied := t.lastApplied
	t.mu.RUnlock()
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b int) int { return int(int64(ids[a]) - int64(ids[b])) })
	ascending := make([]model.ChannelID, 0, len(places))
	for _, i := range places {
		if n := len(ascending); n == 0 || ascending[n-1] != ids[i] {
			ascending = append(ascending, ids[i])
		}
	}
	s, err := db.snapshot(ctx, t, ascending, model.AllTime())
	if err != nil {
		return err
	}
	defer s.close()
	found := make([]Latest, len(ascending))
	for i := range ascending {
		if err := ctx.Err(); err != nil {
			return err
		}
		if found[i], err = newestRow(s.pieces[i]); err != nil {
			return err
		}
	}
	for _, i := range places {
		at, _ := slices.BinarySearch(ascending, ids[i])
		latest[i] = found[at]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lastApplied != applied || t.gone {
		return nil
	}
	for i, id := range ascending {
		if found[i].OK {
			t.latest[id] = latestSample{found[i].Time, found[i].Value, latestKnown}
		} else {
			t.latest[id] = latestSample{}
		}
	}
	return nil
}

// newestRow returns the newest row of pieces of one channel. It reads them from
// the last on, until it has rows.
func newestRow(pieces []merge.Piece) (Latest, error) {
	rest := slices.Clone(pieces)
	slices.SortFunc(rest, func(a, b merge.Piece) int { // the last to end first
		switch {
		case a.Last > b.Last:
			return -1
		case a.Last < b.Last:
			return 1
		}
		return 0
	})
	var scratch merge.Scratch
	cursor := merge.NewCursor(nil, model.AllTime())
	for to := model.MaxTime; len(rest) > 0; {
		// Of the pieces that end last: from where the first of them begins.
		span := model.Span{From: rest[0].First, To: to}
		sum, err := scratch.Summarize(pieces, span)
		if err != nil {
			return Latest{}, err
		}
		if sum.Rows() == 0 { // the piece was clipped to a time without rows
			to = span.From
			for len(rest) > 0 && rest[0].First >= to {
				rest = rest[1:]
			}
			continue
		}
		cursor.Reset(pieces, model.Span{From: sum.LastTime, To: sum.LastTime + 1})
		times, values, err := cursor.Next()
		if err != nil || len(times) == 0 {
			return Latest{}, err
		}
		return Latest{times[0], values[0], true}, nil
	}
	return Latest{}, nil
}
