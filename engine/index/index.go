// Package index knows a tenant's channels: by ID, by labels, and by selector.
// It lives in memory and is rebuilt from checkpoints and log entries.
package index

import (
	"errors"
	"fmt"
	"slices"
	"sync"

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
	removed  int // channels that were taken out so far

	making   sync.Mutex // held by readers of what is made for them
	postings *postings  // nil until they are first asked
}

// postings are what selectors are answered from. Of the channels of ten thousand
// tenants few are ever selected, so they are made when the first selector comes.
type postings struct {
	all    *roaring.Bitmap                // every ID
	labels map[string]map[string]*posting // who has a label of this name and value
}

// New returns an index without channels.
func New() *Index { return &Index{ids: map[model.Labels]model.ChannelID{}} }

// Restore makes channels of an index that has none, in any order, with their
// properties. What it refuses Define would refuse; the index is good for nothing
// then. The channels are the index's afterwards.
func (x *Index) Restore(channels []model.Channel) error {
	x.ids = make(map[model.Labels]model.ChannelID, len(channels))
	x.channels = make([]*model.Channel, 0, len(channels)+1)
	for i := range channels {
		if err := x.create(&channels[i]); err != nil {
			return err
		}
	}
	return nil
}

// sets returns the postings. They stay those of the index as it changes.
func (x *Index) sets() *postings {
	x.making.Lock()
	defer x.making.Unlock()
	if x.postings == nil {
		x.postings = &postings{roaring.New(), map[string]map[string]*posting{}}
		for _, c := range x.channels {
			if c != nil {
				x.postings.add(c)
			}
		}
	}
	return x.postings
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
		c = &model.Channel{ID: d.ID, Labels: d.Labels}
		if err := x.create(c); err != nil {
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

// create puts in a channel that is not there.
func (x *Index) create(c *model.Channel) error {
	switch {
	case c.ID == 0 || c.Labels.IsZero() || x.Get(c.ID) != nil:
		return fmt.Errorf("%w: channel %d, labels %s", ErrConflict, c.ID, c.Labels)
	case uint64(c.ID) > uint64(x.MaxID())+maxGap:
		return fmt.Errorf("%w: channel %d after %d", ErrConflict, c.ID, x.MaxID())
	}
	if id, exists := x.ids[c.Labels]; exists {
		return fmt.Errorf("%w: %s is channel %d, not %d", ErrConflict, c.Labels, id, c.ID)
	}
	if missing := int(c.ID) + 1 - len(x.channels); missing > 0 {
		x.channels = append(x.channels, make([]*model.Channel, missing)...)
	}
	x.channels[c.ID], x.ids[c.Labels] = c, c.ID
	if x.postings != nil {
		x.postings.add(c)
	}
	return nil
}

// add puts in a channel.
func (p *postings) add(c *model.Channel) {
	p.all.Add(uint32(c.ID))
	for name, value := range c.Labels.All() {
		values := p.labels[name]
		if values == nil {
			values = map[string]*posting{}
			p.labels[name] = values
		}
		who := values[value]
		if who == nil {
			who = &posting{}
			values[value] = who
		}
		who.add(uint32(c.ID))
	}
}

// Remove takes channels out, with all that the index knows of them. IDs that it
// does not know are left alone. What Get returned before stays as it is.
func (x *Index) Remove(ids []model.ChannelID) {
	for _, id := range ids {
		c := x.Get(id)
		if c == nil {
			continue
		}
		x.channels[id] = nil
		delete(x.ids, c.Labels)
		x.removed++
		if x.postings != nil {
			x.postings.remove(c)
		}
	}
}

// remove takes out a channel.
func (p *postings) remove(c *model.Channel) {
	p.all.Remove(uint32(c.ID))
	for name, value := range c.Labels.All() {
		values := p.labels[name]
		who := values[value]
		if who.remove(uint32(c.ID)); who.count() > 0 {
			continue
		}
		if delete(values, value); len(values) == 0 {
			delete(p.labels, name)
		}
	}
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
	sets := x.sets()
	found = &posting{many: sets.all}
	var later model.Selector
	for _, m := range s {
		switch {
		case model.IsProperty(m.Name): // properties change and have no postings
			filters = append(filters, m)
		case m.Op == model.MatchEqual && m.Value != "":
			p := sets.labels[m.Name][m.Value]
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
		if found.many == nil || found.count() <= 2*len(sets.labels[m.Name]) {
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
	for value, p := range x.sets().labels[m.Name] {
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
