// Package index knows a tenant's channels: by ID, by labels, and by selector.
// It lives in memory and is rebuilt from checkpoints and log entries.
package index

import (
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrConflict is wrapped by every refusal of a definition.
var ErrConflict = errors.New("conflicting channel definition")

// maxGap bounds how far beyond all others a new channel's ID may lie. IDs are
// dense but for those whose entries never became durable; without a bound, one
// wild ID would need 32 GiB.
const maxGap = 1 << 24

// Index is one tenant's channels. Its user serialises the one writer with all
// readers.
type Index struct {
	channels []*model.Channel // by ID; nil where there is none
	ids      map[model.Labels]model.ChannelID
	all      *roaring.Bitmap                // every ID
	labels   map[string]map[string]*posting // who has a label of this name and value
	removed  int                            // channels that were taken out so far
}

// New returns an index without channels.
func New() *Index {
	return &Index{
		ids:    map[model.Labels]model.ChannelID{},
		all:    roaring.New(),
		labels: map[string]map[string]*posting{},
	}
}

// Lookup returns the channel that has exactly these labels.
func (x *Index) Lookup(l model.Labels) (model.ChannelID, bool) {
	id, ok := x.ids[l]
	return id, ok
}

// Get returns the channel, nil if there is none. It stays valid; its Labels
// must not be changed.
func (x *Index) Get(id model.ChannelID) *model.Channel {
	if uint64(id) >= uint64(len(x.channels)) {
		return nil
	}
	return x.channels[id]
}

// Len returns the number of channels.
func (x *Index) Len() int { return len(x.ids) }

// MaxID returns the greatest ID that was ever in use, 0 if there is none.
func (x *Index) MaxID() model.ChannelID { return model.ChannelID(max(len(x.channels)-1, 0)) }

// Define creates a channel, says what its properties are from a time on, or
// both, and reports whether that was news. IDs may come in any order. A
// definition that gives an ID other labels, or labels another ID, or that
// cannot be a channel's, is refused with an error that wraps ErrConflict.
func (x *Index) Define(d model.Definition) (changed bool, err error) {
	c := x.Get(d.ID)
	if c == nil {
		if c, err = x.create(d); err != nil {
			return false, err
		}
		changed = true
	} else if c.Labels != d.Labels {
		return false, fmt.Errorf("%w: channel %d is %s, not %s", ErrConflict, d.ID, c.Labels, d.Labels)
	}
	if d.Properties == nil {
		return changed, nil
	}
	history := c.History.With(d.ValidFrom, *d.Properties)
	if !same(history, c.History) {
		c.History, changed = history, true
	}
	return changed, nil
}

// same reports whether With returned what it was given.
func same(a, b model.History) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (x *Index) create(d model.Definition) (*model.Channel, error) {
	switch {
	case d.ID == 0 || d.Labels.IsZero():
		return nil, fmt.Errorf("%w: channel %d, labels %s", ErrConflict, d.ID, d.Labels)
	case uint64(d.ID) > uint64(x.MaxID())+maxGap:
		return nil, fmt.Errorf("%w: channel %d after %d", ErrConflict, d.ID, x.MaxID())
	}
	if id, exists := x.ids[d.Labels]; exists {
		return nil, fmt.Errorf("%w: %s is channel %d, not %d", ErrConflict, d.Labels, id, d.ID)
	}
	c := &model.Channel{ID: d.ID, Labels: d.Labels}
	if missing := int(d.ID) + 1 - len(x.channels); missing > 0 {
		x.channels = append(x.channels, make([]*model.Channel, missing)...)
	}
	x.channels[d.ID] = c
	x.ids[d.Labels] = d.ID
	x.all.Add(uint32(d.ID))
	for name, value := range d.Labels.All() {
		values := x.labels[name]
		if values == nil {
			values = map[string]*posting{}
			x.labels[name] = values
		}
		p := values[value]
		if p == nil {
			p = &posting{}
			values[value] = p
		}
		p.add(uint32(d.ID))
	}
	return c, nil
}

// Remove takes channels out, with all that the index knows of them. IDs that it
// does not know are left alone. What Get returned before stays as it is.
func (x *Index) Remove(ids []model.ChannelID) {
	gone := roaring.New()
	for _, id := range ids {
		c := x.Get(id)
		if c == nil {
			continue
		}
		x.channels[id] = nil
		delete(x.ids, c.Labels)
		gone.Add(uint32(id))
		for name, value := range c.Labels.All() {
			values := x.labels[name]
			p := values[value]
			if p.remove(uint32(id)); p.count() > 0 {
				continue
			}
			if delete(values, value); len(values) == 0 {
				delete(x.labels, name)
			}
		}
	}
	x.all.AndNot(gone)
	x.removed += int(gone.GetCardinality())
}

// Select returns the channels that s selects, ascending.
func (x *Index) Select(s model.Selector) []model.ChannelID {
	ids, _ := x.SelectWith(s, func(m *model.Matcher, value string) (bool, error) { return m.Matches(value), nil })
	return ids
}

// Asker tells whether a value satisfies a matcher. An error ends the selection.
type Asker func(m *model.Matcher, value string) (bool, error)

// SelectWith is Select with ask deciding what no posting does. While ask runs
// the index may change, so that its caller need not keep a writer waiting:
// channels made meanwhile are left out, those removed are not among the answer,
// and of properties that change any version may count.
func (x *Index) SelectWith(s model.Selector, ask Asker) ([]model.ChannelID, error) {
	removed := x.removed
	ids, err := x.selectWith(s, ask)
	if x.removed != removed {
		ids = slices.DeleteFunc(ids, func(id model.ChannelID) bool { return x.channels[id] == nil })
	}
	return ids, err
}

func (x *Index) selectWith(s model.Selector, ask Asker) ([]model.ChannelID, error) {
	found, filters, err := x.narrow(s, ask)
	if err != nil {
		return nil, err
	}
	ids := make([]model.ChannelID, 0, found.count())
	found.each(func(id uint32) { ids = append(ids, model.ChannelID(id)) })
	if len(filters) == 0 {
		return ids, nil
	}
	kept := ids[:0]
	for _, id := range ids {
		c := x.channels[id]
		if c == nil {
			continue // removed meanwhile
		}
		matches, err := askAll(filters, c, ask)
		if err != nil {
			return nil, err
		}
		if matches {
			kept = append(kept, id)
		}
	}
	return kept, nil
}

// askAll reports whether every matcher holds for c.
func askAll(s model.Selector, c *model.Channel, ask Asker) (bool, error) {
	for i := range s {
		if matches, err := ask(&s[i], c.Get(s[i].Name)); err != nil || !matches {
			return false, err
		}
	}
	return true, nil
}

// narrow returns channels among which are all that s selects, and the matchers
// that are left to decide which of them.
func (x *Index) narrow(s model.Selector, ask Asker) (found *posting, filters model.Selector, err error) {
	found = &posting{many: x.all}
	var later model.Selector
	for _, m := range s {
		switch {
		case model.IsProperty(m.Name): // properties change and have no postings
			filters = append(filters, m)
		case m.Op == model.MatchEqual && m.Value != "":
			p := x.labels[m.Name][m.Value]
			if p == nil {
				return &posting{}, nil, nil
			}
			found = intersect(found, p)
		default:
			later = append(later, m)
		}
	}
	for i := range later {
		m := &later[i]
		// Asking each channel costs about as much as asking each value and
		// adding up who has it.
		if found.many == nil || found.count() <= 2*len(x.labels[m.Name]) {
			filters = append(filters, *m)
			continue
		}
		if found, err = x.matching(found.many, m, ask); err != nil {
			return nil, nil, err
		}
	}
	return found, filters, nil
}

// matching returns those of some channels whose label satisfies m, by asking
// each value that the label has once.
func (x *Index) matching(among *roaring.Bitmap, m *model.Matcher, ask Asker) (*posting, error) {
	among = among.Clone() // it may be that of all, which grows while ask runs
	absentMatches, err := ask(m, "")
	if err != nil {
		return nil, err
	}
	set := roaring.New()
	for value, p := range x.labels[m.Name] {
		matches, err := ask(m, value)
		if err != nil {
			return nil, err
		}
		if matches != absentMatches {
			p.addTo(set)
		}
	}
	if absentMatches { // set holds those that do not match
		return &posting{many: roaring.AndNot(among, set)}, nil
	}
	return &posting{many: roaring.And(among, set)}, nil
}
