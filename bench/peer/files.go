package peer

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"
)

// part is what a file is for.
type part int

const (
	partOther part = iota
	partRaw
	partIndex
)

// sizeBy adds up the files of a folder by what they are for.
func sizeBy(partOf func(path string) part) func(dir string) (Size, error) {
	return func(dir string) (size Size, err error) {
		err = walk(dir, func(path string, bytes int64) {
			switch partOf(path) {
			case partRaw:
				size.Raw += bytes
			case partIndex:
				size.Index += bytes
			}
		})
		return size, err
	}
}

// FolderBytes returns what all files in a folder take together.
func FolderBytes(dir string) (total int64, err error) {
	err = walk(dir, func(_ string, bytes int64) { total += bytes })
	return total, err
}

// walk visits the files of a folder with their lengths, holes not counted. A
// store that is open may delete some of them meanwhile.
func walk(dir string, visit func(path string, bytes int64)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				visit(path, withoutHoles(info))
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// countRaw counts a store's samples by reading them.
func countRaw(s Store, channels int) (count int64, err error) {
	err = s.Raw(Channels(channels), math.MinInt64/2, math.MaxInt64/2, func(_ int, times []int64, _ []float64) error {
		count += int64(len(times))
		return nil
	})
	return count, err
}

// Channels returns the first n channels.
func Channels(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// sectorBytes is the unit in which a file system tells what a file takes.
const sectorBytes = 512

// withoutHoles is a file's length, or what it takes on the disk where that is
// less: some stores make files long before they fill them.
func withoutHoles(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), stat.Blocks*sectorBytes)
	}
	return info.Size()
}
