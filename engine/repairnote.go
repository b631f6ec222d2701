package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"
	"strings"

	"github.com/hokan-db/hokan/engine/disk"
)

// RepairedName is the file in DATA in which every repair leaves its report, one
// line of JSON each.
const RepairedName = "REPAIRED"

// repairNote is a line of the file RepairedName.
type repairNote struct {
	Time string `json:"time"`
	RepairReport
}

// settledFiles returns the names, without their suffix, of the files that
// earlier repairs set aside or found set aside: what is to be had of them has
// another file, and they are missed no more. A line that cannot be read is
// passed over.
func settledFiles(fsys disk.FS, dir string) (map[string]bool, error) {
	text, err := disk.ReadFile(fsys, path.Join(dir, RepairedName))
	if errors.Is(err, disk.ErrNotFound) {
		return nil, nil
	}
	settled := map[string]bool{}
	for line := range bytes.Lines(text) {
		var note repairNote
		if json.Unmarshal(line, &note) != nil {
			continue
		}
		for _, item := range note.SetAside {
			settled[item.Path] = true
		}
	}
	return settled, err
}

// quarantinedFiles returns the names, without their suffix, of all objects and
// segments that are set aside.
func quarantinedFiles(fsys disk.FS, dir string, local *disk.LocalBlocks) ([]string, error) {
	_, names, err := local.Leftovers()
	if err != nil {
		return nil, err
	}
	segments, err := fsys.List(path.Join(dir, disk.LogDir))
	if err = disk.Wrap(err); err != nil && !errors.Is(err, disk.ErrNotFound) {
		return nil, err // a log that is missing ends too early, which is told
	}
	for _, name := range segments {
		if disk.IsQuarantined(name) {
			names = append(names, path.Join(disk.LogDir, name))
		}
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], disk.QuarantineSuffix)
	}
	return names, nil
}

// tellAside reports what else is set aside, once: from now on it is known.
func (r *repairer) tellAside() error {
	names, err := quarantinedFiles(r.options.FS, r.options.Dir, r.local)
	for _, item := range r.report.SetAside {
		r.settled[item.Path] = true
	}
	for _, name := range names {
		if !r.settled[name] {
			r.setAside(name, "damage was found in it before")
		}
	}
	return err
}

// leaveNote appends the report to the file RepairedName.
func (r *repairer) leaveNote() error {
	if r.report.Empty() {
		return nil
	}
	line, err := json.Marshal(repairNote{r.options.Clock().UTC().Format("2006-01-02T15:04:05Z"), r.report})
	if err != nil {
		return err
	}
	name := path.Join(r.options.Dir, RepairedName)
	before, err := disk.ReadFile(r.options.FS, name)
	if err != nil && !errors.Is(err, disk.ErrNotFound) {
		return err
	}
	return disk.WriteAtomic(r.options.FS, name, append(append(before, line...), '\n'))
}
