package folder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Journal is a file that says what was done: a line of JSON for each file. What
// is added is durable; a line that a crash cut off is forgotten.
type Journal struct {
	path  string
	file  *os.File
	size  int64           // of its whole lines
	files map[string]File // by path, the last that was done there
	done  map[doneKey]bool
}

// doneKey is a content and for which instrument it was done.
type doneKey struct{ hash, instrument string }

// line is one of the journal.
type line struct {
	Path       string `json:"path"`
	Size       int64  `json:"size"`
	Modified   int64  `json:"modified"` // ns since the epoch
	SHA256     string `json:"sha256"`
	Instrument string `json:"instrument"`
}

// OpenJournal opens the journal at path, or makes it.
func OpenJournal(path string) (*Journal, error) {
	_, missing := os.Stat(path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, file: file, files: map[string]File{}, done: map[doneKey]bool{}}
	if err := j.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if missing != nil {
		if err := syncFolder(filepath.Dir(path)); err != nil {
			file.Close()
			return nil, err
		}
	}
	return j, nil
}

// read takes in what the journal says.
func (j *Journal) read() error {
	text, err := os.ReadFile(j.path)
	if err != nil {
		return err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	for i, one := range bytes.Split(bytes.TrimSuffix(whole, []byte{'\n'}), []byte{'\n'}) {
		var l line
		if len(one) == 0 {
			continue
		}
		if err := json.Unmarshal(one, &l); err != nil {
			return fmt.Errorf("line %d is not of a journal of hokan watch: %w", i+1, err)
		}
		j.take(&l)
	}
	if err := j.file.Truncate(int64(len(whole))); err != nil {
		return err
	}
	j.size = int64(len(whole))
	return nil
}

func (j *Journal) take(l *line) {
	j.files[l.Path] = File{l.Path, l.Size, l.Modified}
	j.done[doneKey{l.SHA256, l.Instrument}] = true
}

// add appends a line, which is durable on return.
func (j *Journal) add(file File, hash, instrument string) error {
	l := line{file.Path, file.Size, file.Modified, hash, instrument}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if _, err := j.file.WriteAt(text, j.size); err != nil {
		return err // the next line is written over what was
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.size += int64(len(text))
	j.take(&l)
	return nil
}

// isAt reports whether the journal is the file at path.
func (j *Journal) isAt(path string) bool {
	own, err := filepath.Abs(j.path)
	other, err2 := filepath.Abs(path)
	return err == nil && err2 == nil && own == other
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
