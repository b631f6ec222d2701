package index

// Count returns how many channels have a label of this name and value.
func (x *Index) Count(name, value string) int {
	if p := x.sets().labels[name][value]; p != nil {
		return p.count()
	}
	return 0
}
