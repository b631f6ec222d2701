package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxFew is the number of IDs up to which a sorted list is smaller and faster
// than a bitmap. Labels that are unique per channel make one list of one each.
const maxFew = 128

// posting is a set of channel IDs: a short ascending list, or a bitmap. It is
// nowhere changed once it was handed out, but by add and remove.
type posting struct {
	few  []uint32
	many *roaring.Bitmap // instead of few, if not nil
}

// add puts in an ID that is not there yet.
func (p *posting) add(id uint32) {
	if p.many != nil {
		p.many.Add(id)
		return
	}
	i, _ := slices.BinarySearch(p.few, id)
	p.few = slices.Insert(p.few, i, id)
	if len(p.few) > maxFew {
		p.many, p.few = roaring.BitmapOf(p.few...), nil
	}
}

// remove takes out an ID.
func (p *posting) remove(id uint32) {
	if p.many != nil {
		p.many.Remove(id)
		return
	}
	if i, found := slices.BinarySearch(p.few, id); found {
		p.few = slices.Delete(slices.Clone(p.few), i, i+1)
	}
}

func (p *posting) count() int {
	if p.many != nil {
		return int(p.many.GetCardinality())
	}
	return len(p.few)
}

// each visits the IDs in ascending order.
func (p *posting) each(visit func(id uint32)) {
	for _, id := range p.few {
		visit(id)
	}
	if p.many == nil {
		return
	}
	var buffer [256]uint32
	for it := p.many.ManyIterator(); ; {
		n := it.NextMany(buffer[:])
		if n == 0 {
			return
		}
		for _, id := range buffer[:n] {
			visit(id)
		}
	}
}

func (p *posting) addTo(set *roaring.Bitmap) {
	if p.many != nil {
		set.Or(p.many)
		return
	}
	set.AddMany(p.few)
}

func (p *posting) contains(id uint32) bool {
	if p.many != nil {
		return p.many.Contains(id)
	}
	_, found := slices.BinarySearch(p.few, id)
	return found
}

// intersect returns what a and b share.
func intersect(a, b *posting) *posting {
	if a.many != nil && b.many != nil {
		return &posting{many: roaring.And(a.many, b.many)}
	}
	if a.many != nil || b.many == nil && len(a.few) > len(b.few) {
		a, b = b, a
	}
	shared := &posting{}
	for _, id := range a.few {
		if b.contains(id) {
			shared.few = append(shared.few, id)
		}
	}
	return shared
}
