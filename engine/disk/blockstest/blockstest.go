// Package blockstest is what every disk.Blocks must do, as tests.
package blockstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
)

// Run runs the suite. open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) disk.Blocks) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, b disk.Blocks)
	}{
		{"PutAndRead", testPutAndRead},
		{"Immutable", testImmutable},
		{"FailedPutLeavesNothing", testFailedPut},
		{"List", testList},
		{"Delete", testDelete},
		{"BadNames", testBadNames},
		{"Concurrent", testConcurrent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Put stores data under a name.
func Put(b disk.Blocks, name string, data []byte) error {
	return b.Put(name, func(w io.Writer) error {
		_, err := w.Write(bytes.Clone(data))
		return err
	})
}

// Get returns all of an object.
func Get(b disk.Blocks, name string) ([]byte, error) {
	o, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data := make([]byte, o.Size())
	if n, err := o.ReadAt(data, 0); n < len(data) {
		return nil, err
	}
	return data, nil
}

func expectHolds(t *testing.T, b disk.Blocks, name string, expected []byte) {
	t.Helper()
	if data, err := Get(b, name); err != nil || !bytes.Equal(data, expected) {
		t.Errorf("%s: %d bytes, %v, expected %d bytes", name, len(data), err, len(expected))
	}
}

func testPutAndRead(t *testing.T, b disk.Blocks) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB
	for name, data := range map[string][]byte{
		"blocks/a/empty.blk": {}, "blocks/a/small.blk": []byte("x"), "blocks/b/large.blk": large,
		"checkpoints/c.ckpt": []byte("y"), "files/t/deep/er/f": []byte("z"),
	} {
		if err := Put(b, name, data); err != nil {
			t.Fatal(err)
		}
		expectHolds(t, b, name, data)
	}
	o, err := b.Open("blocks/b/large.blk")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	part := make([]byte, 20)
	if n, err := o.ReadAt(part, 16_008); n != 20 || err != nil || string(part) != "89abcdef0123456789ab" {
		t.Errorf("read %q, %d, %v", part, n, err)
	}
	if n, err := o.ReadAt(part, o.Size()-5); n != 5 || err != io.EOF {
		t.Errorf("reading over the end: %d, %v", n, err)
	}
	if _, err := b.Open("blocks/a/none.blk"); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("a missing object: %v", err)
	}
	if _, err := b.Open("blocks/none/none.blk"); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("an object of a missing folder: %v", err)
	}
}

func testImmutable(t *testing.T, b disk.Blocks) {
	const name = "blocks/a/x.blk"
	if err := Put(b, name, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := Put(b, name, []byte("second")); !errors.Is(err, disk.ErrExists) {
		t.Errorf("a second put: %v", err)
	}
	expectHolds(t, b, name, []byte("first"))
}

func testFailedPut(t *testing.T, b disk.Blocks) {
	const name = "blocks/a/x.blk"
	cause := errors.New("no more rows")
	err := b.Put(name, func(w io.Writer) error {
		w.Write(make([]byte, 3<<20))
		if names, err := b.List(""); err != nil || len(names) > 0 {
			t.Errorf("half-written objects are listed: %v, %v", names, err)
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("put: %v", err)
	}
	if _, err := b.Open(name); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("after a failed put: %v", err)
	}
	if err := Put(b, name, []byte("again")); err != nil {
		t.Errorf("a second try: %v", err)
	}
	expectHolds(t, b, name, []byte("again"))
}

func testList(t *testing.T, b disk.Blocks) {
	if names, err := b.List(""); err != nil || len(names) > 0 {
		t.Errorf("an empty store lists %v, %v", names, err)
	}
	all := []string{"blocks/a.b/1.blk", "blocks/a/1.blk", "blocks/a/2.blk", "blocks/ab/1.blk", "checkpoints/01-1.ckpt",
		"checkpoints/02-1.ckpt", "files/a/x/y"}
	for _, i := range []int{3, 1, 0, 6, 5, 2, 4} {
		if err := Put(b, all[i], []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, expected := range map[string][]string{
		"": all, "b": all[:4], "blocks": all[:4], "blocks/": all[:4], "blocks/a": all[:4], "blocks/a/": all[1:3],
		"blocks/a/1": all[1:2], "blocks/a/1.blk": all[1:2], "blocks/a/1.blk/": nil, "blocks/ab/": all[3:4],
		"checkpoints/02-": all[5:6], "checkpoints/03-": nil, "other/": nil, "files/a/x/": all[6:],
	} {
		names, err := b.List(prefix)
		if err != nil || !slices.Equal(names, expected) {
			t.Errorf("list %q: %v, %v, expected %v", prefix, names, err, expected)
		}
	}
}

func testDelete(t *testing.T, b disk.Blocks) {
	const name = "blocks/a/x.blk"
	if err := b.Delete(name); err != nil {
		t.Errorf("deleting a missing object: %v", err)
	}
	if err := Put(b, name, []byte("x")); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for range 2 {
		if err := b.Delete(name); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := b.Open(name); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
	part := make([]byte, 1)
	if _, err := o.ReadAt(part, 0); err != nil || part[0] != 'x' {
		t.Errorf("an open object that was deleted: %q, %v", part, err)
	}
	if err := Put(b, name, []byte("y")); err != nil {
		t.Errorf("put after delete: %v", err)
	}
}

func testBadNames(t *testing.T, b disk.Blocks) {
	for _, name := range []string{"", "x", "blocks", "blocks/", "/blocks/x", "blocks//x", "blocks/../log/x", "blocks/./x",
		"log/0000000001.seg", "catalog/x", "keys/t", "blocks/t/x.tmp", "blocks/t/x.quarantine", "blocks/t\\x", "blocks/a\x00b"} {
		if err := Put(b, name, []byte("x")); !errors.Is(err, disk.ErrBadName) {
			t.Errorf("put %q: %v", name, err)
		}
		if _, err := b.Open(name); !errors.Is(err, disk.ErrBadName) {
			t.Errorf("open %q: %v", name, err)
		}
		if err := b.Delete(name); !errors.Is(err, disk.ErrBadName) {
			t.Errorf("delete %q: %v", name, err)
		}
	}
}

// testConcurrent lets several put the same names at once: one of each wins.
func testConcurrent(t *testing.T, b disk.Blocks) {
	const workers, count = 6, 20
	won := make([][]int, workers)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := range count {
				err := Put(b, fmt.Sprintf("blocks/t%d/%d.blk", i%3, i), []byte{byte(w)})
				if err == nil {
					won[w] = append(won[w], i)
				} else if !errors.Is(err, disk.ErrExists) {
					t.Errorf("put: %v", err)
				}
				if _, err := b.List("blocks/"); err != nil {
					t.Errorf("list: %v", err)
				}
			}
		})
	}
	running.Wait()
	total := 0
	for w := range won {
		for _, i := range won[w] {
			expectHolds(t, b, fmt.Sprintf("blocks/t%d/%d.blk", i%3, i), []byte{byte(w)})
			total++
		}
	}
	if total != count {
		t.Errorf("%d puts of %d names succeeded", total, count)
	}
}
